"""Wishes for days of funding in short, and running what they ask for."""

from datetime import UTC, datetime

from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.wanted import Kind, Wanted
from klines_pipeline.exchanges.protocols import Market
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.stages.funding.dataset import funding_datasets
from klines_pipeline.stages.funding.freshness import wanted_of_funding
from klines_pipeline.stages.funding.ingest import ALL_FUNDING_STAGES, FundingStage
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.conftest import impatient, make_dataset
from klines_pipeline_tests.funding.conftest import Fund

UM = make_dataset("BTCUSDT", "SOLUSDT", market="um", interval="1h", funding=True, start="2025-02-26")
[FUNDING] = funding_datasets([UM])
Said = tuple[Kind, str, str, bool]


def at(month: int, day: int, hour: int, minute: int = 10) -> datetime:
    """A moment of 2025, UTC."""
    return datetime(2025, month, day, hour, minute, tzinfo=UTC)


def market_of(exchange: EmbeddedExchange, dataset: Dataset = UM) -> Market:
    """Its market, for a tick."""
    return impatient(exchange, "/".join(dataset.prefix))


def wanted(exchange: EmbeddedExchange, lake: Lake, dataset: Dataset, moment: datetime) -> list[Wanted]:
    """What the hourly tick wants at that moment."""
    exchange.set_clock(moment)
    market = market_of(exchange, dataset)
    found = wanted_of_funding(lake, market, funding_datasets([dataset])[0], moment)
    market.api.close()
    return found


def said(wishes: list[Wanted]) -> list[Said]:
    """Kind, first and last day, and whether archives are looked for."""
    return [(wish.kind, str(wish.days[0]), str(wish.days[-1]), wish.with_archives) for wish in wishes]


def run(fund: Fund, dataset: Dataset, wishes: list[Wanted]) -> None:
    """Bring all that is wished for."""
    for wish in wishes:
        stages = ALL_FUNDING_STAGES if wish.with_archives else [FundingStage.REST, FundingStage.FUNDING]
        assert not any(
            found.failures for found in fund([dataset], str(wish.days[0]), str(wish.days[-1]), stages=stages)
        )
