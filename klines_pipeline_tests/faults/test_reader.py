"""Readers while a day is merged again: the old day or the new one, whole."""

import threading
from datetime import UTC, datetime, timedelta

import polars as pl

from klines_pipeline.domain.errors import KlinesError
from klines_pipeline.query.read import load
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.conftest import make_dataset
from klines_pipeline_tests.faults.archives import key_of
from klines_pipeline_tests.faults.conftest import Runner


def test_load_sees_the_old_day_or_the_new_one_while_it_is_merged_again(
    exchange: EmbeddedExchange, run: Runner, lake: Lake
) -> None:
    dataset, day = make_dataset("BTCUSDT", "ETHUSDT"), "2024-03-01"
    run(dataset, day)
    done, troubles, loads = threading.Event(), list[str](), list[int]()

    def read_on() -> None:
        while not done.is_set():
            try:
                loads.append(load("BTCUSDT", "1m", "2024-03-01", "2024-03-02", lake=lake.root).height)
            except (KlinesError, pl.exceptions.PolarsError, OSError) as error:
                troubles.append(repr(error))

    reader = threading.Thread(target=read_on)
    reader.start()
    for hour in range(1, 30):
        exchange.set_clock(datetime(2025, 3, 5, tzinfo=UTC) + timedelta(hours=hour))
        exchange.revise(key_of("ETHUSDT", day))
        run(dataset, day)
    done.set()
    reader.join()

    assert troubles == []
    assert set(loads) == {1440}
