"""An exchange whose archives come one a minute, and a lake that has the days before."""

import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.stages.watching.published_days.watcher import Watcher, at, one_a_minute


@pytest.fixture(scope="package")
def running() -> Iterator[EmbeddedExchange]:
    with EmbeddedExchange(rate=0, now=at(4, 12)) as exchange:
        yield exchange


@pytest.fixture(scope="package")
def two_days(running: EmbeddedExchange, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with the days before."""
    lake = Lake(str(tmp_path_factory.mktemp("two-days")))
    Watcher(running, lake).run((date(2025, 3, 2), date(2025, 3, 3)))
    return Path(lake.base)


@pytest.fixture
def exchange(running: EmbeddedExchange) -> EmbeddedExchange:
    """The archives of DAY come from 02:00 on, one a minute."""
    running.clear_faults()
    one_a_minute(running)
    return running


@pytest.fixture
def watcher(exchange: EmbeddedExchange, two_days: Path, lake: Lake) -> Watcher:
    shutil.copytree(two_days, lake.base)
    return Watcher(exchange, lake)
