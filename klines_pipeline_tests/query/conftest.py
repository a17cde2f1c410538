"""Small lakes made by the real flow from an embedded exchange; those that are only read are made once."""

from datetime import date

import pytest

from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.exchanges.registry import connect
from klines_pipeline.settings import lake_options
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.stages.ingest import Ingest
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.conftest import endpoints_of, make_dataset
from klines_pipeline_tests.storage.s3 import s3_root

__all__ = ["s3_root"]

DATASET = make_dataset("BTCUSDT", "LUNAUSDT", "币安人生USDT", start="2025-03-01")
HOURS = make_dataset("BTCUSDT", "币安人生USDT", interval="1h", start="2025-03-01")


def fill(lake: Lake, dataset: Dataset, *days: str, **fault: object) -> None:
    """Run the flow for the days; `fault` is one of the exchange's."""
    with EmbeddedExchange(rate=0) as exchange:
        if fault:
            exchange.add_fault(**fault)
        market = connect(dataset.exchange, dataset.market, endpoints_of(exchange))
        list(Ingest(lake, market, dataset, log=lambda _: None).days([date.fromisoformat(day) for day in days]))


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """2025-03-01 whole, 03-02 with the venue's halt of 48 minutes, 03-03 absent, 03-04 (until 09:00) without REST."""
    lake = Lake(str(tmp_path_factory.mktemp("kept") / "lake"))
    fill(lake, DATASET, "2025-03-01", "2025-03-02")
    fill(lake, DATASET, "2025-03-04", kind="blocked", group="rest")
    return lake


@pytest.fixture
def s3_lake(s3_root: str) -> Lake:
    """A day of hours in an S3-compatible store."""
    lake = Lake(s3_root, lake_options(s3_root))
    fill(lake, HOURS, "2025-03-01")
    return lake
