"""Coarser klines: first, highest, lowest, last, and sums."""

from datetime import timedelta

import polars as pl
import pytest

from klines_pipeline.domain.interval import Interval
from klines_pipeline.klines.resample import resample_klines, resample_period
from klines_pipeline.klines.schema import KLINE_SCHEMA, REST, with_contracts
from klines_pipeline_tests.klines.frames import DAY, at, frame, kline, klines

MINUTES_A_DAY = 1440


def test_a_period_takes_first_highest_lowest_last_and_sums_whatever_the_order_of_its_rows() -> None:
    days = [
        kline("BTCUSDT", 2 * MINUTES_A_DAY, open=3.0, high=4.0, low=0.5, close=3.5, volume=0.3, trades=5, source=REST),
        kline("BTCUSDT", 0, open=1.0, high=2.0, low=0.7, close=1.5, volume=0.1, trades=1),
        kline("BTCUSDT", MINUTES_A_DAY, open=1.5, high=9.0, low=0.9, close=2.5, volume=0.2, trades=2, revision=3),
    ]

    [row] = resample_period(frame(days), DAY, incomplete=()).klines.rows(named=True)

    assert row["open_time"] == DAY
    assert [row[name] for name in ("open", "high", "low", "close")] == [1.0, 9.0, 0.5, 3.5]
    assert (row["volume"], row["trades"]) == (0.6, 8)
    assert (row["source"], row["revision"]) == (REST, 3)


def test_a_period_opens_where_it_opens_though_its_first_days_have_no_klines() -> None:
    rows = klines("BTCUSDT", [3 * MINUTES_A_DAY])

    made = resample_period(rows, DAY, incomplete=()).klines

    assert made["open_time"].to_list() == [DAY]
    assert made.schema == KLINE_SCHEMA


def test_symbols_that_are_incomplete_are_left_out_and_counted_even_without_a_row() -> None:
    rows = pl.concat([klines("BTCUSDT", [0]), klines("ETHUSDT", [0])])

    made = resample_period(rows, DAY, incomplete={"ETHUSDT", "SOLUSDT"})

    assert made.klines["symbol"].to_list() == ["BTCUSDT"]
    assert made.left_out == 2


def test_a_period_without_rows_has_none() -> None:
    assert resample_period(KLINE_SCHEMA.to_frame(), DAY, incomplete=()).klines.schema == KLINE_SCHEMA


@pytest.mark.parametrize(("bought", "total"), [([2, 3], 5), ([2, None], None)])
def test_contracts_are_summed_where_every_day_has_them(bought: list[int | None], total: int | None) -> None:
    rows = klines("BTCUSD_PERP", [0, MINUTES_A_DAY], quote_volume=None)
    counted = rows.with_columns(
        pl.Series("contracts", [10, 20], pl.Int64), pl.Series("taker_buy_contracts", bought, pl.Int64)
    )

    [row] = resample_period(counted, DAY - timedelta(1), incomplete=()).klines.rows(named=True)

    assert list(row) == with_contracts(KLINE_SCHEMA).names()
    assert (row["contracts"], row["taker_buy_contracts"], row["quote_volume"]) == (30, total, None)


@pytest.mark.parametrize(("minutes", "hours"), [(59, 0), (60, 1), (90, 1), (119, 1), (120, 2)])
def test_an_hour_is_made_when_its_last_minute_was_over_for_its_symbol(minutes: int, hours: int) -> None:
    rows = klines("BTCUSDT", range(minutes))

    made = resample_klines(rows, Interval.parse("1h"), closed_until={"BTCUSDT": at(minutes)}, unexplained={})

    assert made.klines["open_time"].to_list() == [at(0), at(60)][:hours]
    assert made.left_out == 0


def test_each_symbol_closes_by_its_own_certificate_and_without_one_not_at_all() -> None:
    rows = pl.concat([klines(symbol, range(120)) for symbol in ("BTCUSDT", "ETHUSDT", "SOLUSDT")])

    closed = {"BTCUSDT": at(120), "ETHUSDT": at(61)}
    made = resample_klines(rows, Interval.parse("1h"), closed_until=closed, unexplained={}).klines

    assert made.select("symbol", "open_time").rows() == [("BTCUSDT", at(0)), ("BTCUSDT", at(60)), ("ETHUSDT", at(0))]
