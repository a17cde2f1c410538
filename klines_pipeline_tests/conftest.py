"""Shared fixtures: an embedded exchange with its clock stopped, a lake in a temporary folder, a short way to ingest."""

import os
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.interval import Interval
from klines_pipeline.exchanges.protocols import Market
from klines_pipeline.exchanges.registry import connect
from klines_pipeline.exchanges.retry import RetryPolicy
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.stages.ingest import ALL_STAGES, Ingest, Stage
from klines_pipeline.stages.results import DayResult
from klines_pipeline.storage.lake import Lake

REAL = Path(__file__).parents[2] / "shared" / "real"
"""Real archives and answers; not part of the project, so tests that read them skip where they are absent."""


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No KLINES_*, DAGSTER_HOME, proxy or AWS_* of the machine reaches a test."""
    for name in [*os.environ]:
        if name.startswith(("KLINES_", "DAGSTER_", "AWS_")) or name.lower() in ("http_proxy", "https_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture
def real_root() -> Path:
    """The folder of real files."""
    if not REAL.is_dir():
        pytest.skip("the real archives are not beside the project")
    return REAL


@pytest.fixture
def exchange() -> Iterator[EmbeddedExchange]:
    """An exchange of this test's own; its clock stands at 2025-03-04 09:00 UTC."""
    with EmbeddedExchange(rate=0) as running:
        yield running


def endpoints_of(exchange: EmbeddedExchange) -> dict[str, str]:
    """The exchange's URLs by the names that `connect` knows."""
    variables = exchange.environment().items()
    return {name.removeprefix("KLINES_").lower(): url for name, url in variables if name.endswith("_URL")}


def impatient(exchange: EmbeddedExchange, venue: str, *, attempts: int = 2) -> Market:
    """A new connection to `binance/um` or the like that tries twice and hardly waits in between."""
    market, policy = connect(*venue.split("/"), endpoints_of(exchange)), RetryPolicy(attempts, first_wait=0.001)
    archive = market.archive
    for part in (market.api.host, archive, getattr(archive, "listing", None)):  # type: ignore[attr-defined]
        if hasattr(part, "policy"):
            part.policy = policy
    return market


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """An empty lake."""
    return Lake(str(tmp_path / "lake"))


def make_dataset(
    *symbols: str,
    interval: str = "1m",
    start: str = "2017-08-17",
    market: str = "spot",
    exchange: str = "binance",
    **fields: object,
) -> Dataset:
    """A dataset, of Binance spot unless told otherwise."""
    return Dataset(exchange, market, Interval.parse(interval), symbols, date.fromisoformat(start), **fields)  # type: ignore[arg-type]


Run = Callable[..., list[DayResult]]


@pytest.fixture
def ingest(exchange: EmbeddedExchange, lake: Lake) -> Run:
    """`ingest(dataset, "2024-01-01", "2024-01-02", ...)`: those days through the stages, with a new connection."""

    def run(
        dataset: Dataset,
        *days: str,
        stages: Sequence[Stage] = (),
        market: Market | None = None,
        log: Callable[[str], None] = lambda _: None,
    ) -> list[DayResult]:
        connected = market or connect(dataset.exchange, dataset.market, endpoints_of(exchange))
        steps = stages or [*ALL_STAGES]
        flow = Ingest(lake, connected, dataset, stages=steps, log=log)
        return list(flow.days([date.fromisoformat(day) for day in days]))

    return run


def read_day(lake: Lake, table: str, day: str, *, interval: str = "1m", venue: str = "binance/spot") -> pl.DataFrame:
    """A table's file of one day, as any reader would see it."""
    exchange, market = venue.split("/")
    path = f"{lake.base}/{table}/exchange={exchange}/market={market}/interval={interval}/date={day}/part.parquet"
    return pl.read_parquet(path, hive_partitioning=False)


def certificate(lake: Lake, symbol: str, day: str, **where: str) -> dict[str, object]:
    """One symbol's certificate; `where` is interval and venue."""
    return read_day(lake, "ledger/certificates", day, **where).row(by_predicate=pl.col("symbol") == symbol, named=True)


def archive_entry(lake: Lake, symbol: str, day: str, **where: str) -> dict[str, object]:
    """One symbol's row in the archives ledger; `where` is interval and venue."""
    return read_day(lake, "ledger/archives", day, **where).row(by_predicate=pl.col("symbol") == symbol, named=True)
