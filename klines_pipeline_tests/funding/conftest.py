"""Runs of the funding stages over the embedded exchange, with a new connection each time."""

from collections.abc import Callable, Collection
from datetime import date

import polars as pl
import pytest

from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.utc_day import days_between
from klines_pipeline.exchanges.binance.vision import VisionArchive
from klines_pipeline.exchanges.registry import connect
from klines_pipeline.exchanges.retry import RetryPolicy
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.stages.funding.dataset import funding_datasets
from klines_pipeline.stages.funding.ingest import ALL_FUNDING_STAGES, FundingIngest, FundingStage
from klines_pipeline.stages.funding.results import FundingDay
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.conftest import endpoints_of

Fund = Callable[..., list[FundingDay]]


@pytest.fixture
def fund(exchange: EmbeddedExchange, lake: Lake) -> Fund:
    """`fund([dataset, ...], "2025-02-01", "2025-03-04")`: those days, first to last, through the stages."""

    def run(
        datasets: list[Dataset],
        first: str,
        last: str | None = None,
        *,
        stages: Collection[FundingStage] = ALL_FUNDING_STAGES,
        into: Lake | None = None,
    ) -> list[FundingDay]:
        [dataset] = funding_datasets(datasets)
        market = connect(*dataset.prefix, endpoints_of(exchange))
        policy = RetryPolicy(attempts=3, first_wait=0.01)
        market.api.host.policy = policy  # type: ignore[attr-defined]
        if isinstance(market.archive, VisionArchive):
            market.archive.policy = policy
        days = list(days_between(date.fromisoformat(first), date.fromisoformat(last or first)))
        return list(FundingIngest(into or lake, market, dataset, stages=stages, log=lambda _: None).days(days))

    return run


def table(lake: Lake, name: str, day: str, *, venue: str = "binance/um") -> pl.DataFrame:
    """A funding table's file of one day, as any reader would see it."""
    exchange, market = venue.split("/")
    path = f"{lake.base}/{name}/exchange={exchange}/market={market}/date={day}/part.parquet"
    return pl.read_parquet(path, hive_partitioning=False)


def row_of(lake: Lake, name: str, symbol: str, day: str, *, venue: str = "binance/um") -> dict[str, object]:
    """One symbol's row of a ledger."""
    return table(lake, name, day, venue=venue).row(by_predicate=pl.col("symbol") == symbol, named=True)


def certificate(lake: Lake, symbol: str, day: str, *, venue: str = "binance/um") -> dict[str, object]:
    """One symbol's certificate."""
    return row_of(lake, "ledger/funding_certificates", symbol, day, venue=venue)


def asked(exchange: EmbeddedExchange) -> tuple[int, int, int, int]:
    """Listings, archives, checksums and REST answers asked for."""
    counts = exchange.requests()
    return counts["listing"], counts["archives"], counts["checksums"], counts["rest_total"]


def failures(days: list[FundingDay]) -> dict[str, dict[str, str]]:
    """Why days must be reported failed."""
    return {str(day.day): dict(day.failures) for day in days if day.failures}
