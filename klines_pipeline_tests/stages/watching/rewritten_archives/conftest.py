"""A lake that has both days."""

import shutil
from pathlib import Path

import pytest

from klines_pipeline.exchanges.registry import connect
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.stages.ingest import Ingest
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.conftest import endpoints_of
from klines_pipeline_tests.stages.watching.rewritten_archives.looking import (
    DATASET,
    OLD,
    RECENT,
    Looking,
    days,
)


@pytest.fixture(scope="package")
def two_days(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake that has a recent day and an old one, to be copied: each test's exchange publishes the same."""
    lake = Lake(str(tmp_path_factory.mktemp("two_days") / "lake"))
    with EmbeddedExchange(rate=0) as exchange:
        market = connect("binance", "spot", endpoints_of(exchange))
        list(Ingest(lake, market, DATASET, log=lambda _: None).days(days(OLD, RECENT)))
    return Path(lake.base)


@pytest.fixture
def looking(exchange: EmbeddedExchange, lake: Lake, two_days: Path) -> Looking:
    """Over that lake."""
    shutil.copytree(two_days, lake.base, dirs_exist_ok=True)
    return Looking(exchange, lake)
