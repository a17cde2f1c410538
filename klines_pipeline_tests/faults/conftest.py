"""What every fault test needs: runs that retry without waiting, and the proof that a lake has recovered."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest

from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.exchanges.protocols import Market
from klines_pipeline.exchanges.registry import connect
from klines_pipeline.exchanges.retry import RetryPolicy
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.stages.ingest import Ingest
from klines_pipeline.stages.results import DayResult
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.conftest import endpoints_of
from klines_pipeline_tests.faults.lakes import table_files

ATTEMPTS = 3


def impatient(exchange: EmbeddedExchange) -> Market:
    """A new connection that tries `ATTEMPTS` times, with waits of some 10 ms."""
    market, policy = connect("binance", "spot", endpoints_of(exchange)), RetryPolicy(attempts=ATTEMPTS, first_wait=0.01)
    market.archive.policy = market.archive.listing.policy = market.api.host.policy = policy
    return market


@dataclass(frozen=True, slots=True)
class Runner:
    """`run(dataset, "2024-03-01", ...)`: those days through all stages into a lake, with a new connection each time."""

    exchange: EmbeddedExchange
    lake: Lake

    def __call__(
        self, dataset: Dataset, *days: str, into: Lake | None = None, market: Market | None = None
    ) -> list[DayResult]:
        ingest = Ingest(into or self.lake, market or impatient(self.exchange), dataset, log=lambda _: None)
        return list(ingest.days([date.fromisoformat(day) for day in days]))


@pytest.fixture
def run(exchange: EmbeddedExchange, lake: Lake) -> Runner:
    """The stages over the embedded exchange."""
    return Runner(exchange, lake)


Recovery = Callable[..., None]


@pytest.fixture
def assert_recovers(exchange: EmbeddedExchange, lake: Lake, run: Runner, tmp_path: Path) -> Recovery:
    """Without faults, the next run makes the table that a lake without a past has, byte by byte, and then rests."""

    def check(dataset: Dataset, *days: str) -> None:
        exchange.clear_faults()
        assert_good(run(dataset, *days))
        undisturbed = Lake(str(tmp_path / "undisturbed"))
        assert_good(run(dataset, *days, into=undisturbed))

        exchange.reset_requests()
        assert_good(run(dataset, *days))

        assert table_files(lake) == table_files(undisturbed)
        assert len(table_files(lake)) == len(days)
        assert asked(exchange) == {"archives": 0, "checksums": 0, "rest": 0}

    return check


def assert_good(results: Iterable[DayResult]) -> None:
    """No day is reported failed."""
    assert {str(result.day): dict(result.failures) for result in results if result.failures} == {}


def asked(exchange: EmbeddedExchange) -> dict[str, int]:
    """How many objects and REST answers were asked for, listings left out."""
    counts = exchange.requests()
    return {"archives": counts["archives"], "checksums": counts["checksums"], "rest": counts["rest_total"]}


def asked_klines(exchange: EmbeddedExchange) -> int:
    """REST requests for klines; the server's time is not counted."""
    return int(exchange.requests()["rest"].get("klines", 0))
