"""Klines made few enough for a picture."""

from datetime import timedelta

import polars as pl
import pytest

from klines_pipeline.klines.candles import candles
from klines_pipeline_tests.klines.frames import MINUTE, at, frame, kline


def test_a_day_of_minutes_becomes_quarters_that_keep_the_extremes() -> None:
    minutes = [kline("BTCUSDT", minute, high=20.0 if minute == 7 else 12.0, volume=1.0) for minute in range(1440)]

    drawn = candles(frame(minutes), MINUTE, most=97)

    assert drawn.height == 96
    assert drawn.row(0, named=True) == {
        "open_time": at(0), "open": 10.0, "high": 20.0, "low": 9.0, "close": 11.0, "volume": 15.0
    }  # fmt: skip


@pytest.mark.parametrize(("interval", "count"), [(15, 90), (60, 2), (240, 96), (60, 1)])
def test_a_candle_never_falls_between_two_klines(interval: int, count: int) -> None:
    rows = frame([kline("BTCUSDT", minute * interval, volume=1.0) for minute in range(count)])

    drawn = candles(rows, timedelta(minutes=interval), most=96)

    assert drawn.height <= 96
    assert drawn["volume"].sum() == count
    steps = drawn["open_time"].diff().drop_nulls().unique()
    assert len(steps) <= 1


def test_no_klines_are_no_candles() -> None:
    assert candles(frame([kline("BTCUSDT", 0)]).clear(), MINUTE, most=96).is_empty()
    assert (
        candles(frame([kline("BTCUSDT", 0)]).clear(), MINUTE, most=96).columns
        == pl.Series(["open_time", "open", "high", "low", "close", "volume"]).to_list()
    )
