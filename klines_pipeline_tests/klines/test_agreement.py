"""Two sources compared: what differs is counted and measured, what rounding explains is only measured."""

from datetime import date

import polars as pl
import pytest

from klines_pipeline.domain.interval import Interval
from klines_pipeline.klines.agreement import SUMMED, Comparison, compare, drawn_window, in_drawn_order
from klines_pipeline_tests.klines.frames import at, klines

MINUTE = Interval.parse("1m")
OURS = pl.concat([klines("A", range(5)), klines("B", range(5))])


def with_value(minute: int, **values: float | None) -> pl.DataFrame:
    """The same rows, but for one of A."""
    is_it = (pl.col("symbol") == "A") & (pl.col("open_time") == at(minute))
    return OURS.with_columns(
        pl.when(is_it).then(pl.lit(value)).otherwise(name).alias(name) for name, value in values.items()
    )


def test_the_same_rows_agree_whatever_their_provenance() -> None:
    theirs = OURS.with_columns(pl.lit("rest").alias("source"), pl.lit(0, pl.Int16).alias("revision"))

    assert compare(OURS, theirs, MINUTE) == (10, 0, 0.0, None)


@pytest.mark.parametrize(
    ("theirs", "largest"),
    [
        (with_value(3, close=11.11), pytest.approx(0.01, rel=0.02)),
        (with_value(3, trades=4), pytest.approx(0.25)),
        (with_value(3, quote_volume=None), 1.0),
        (with_value(3, volume=8.0000001), pytest.approx(1e-7 / 8, rel=0.01)),
        (OURS.filter((pl.col("symbol") == "B") | (pl.col("open_time") != at(3))), 1.0),
    ],
    ids=["price", "count", "nothing", "a last digit", "a row they lack"],
)
def test_a_row_that_differs_is_counted_once_and_measured(theirs: pl.DataFrame, largest: float) -> None:
    assert compare(OURS, theirs, MINUTE) == (10, 1, largest, at(3))


def test_rounding_is_allowed_in_volumes_only_and_stays_visible() -> None:
    volumes = compare(OURS, with_value(3, volume=8.000001, quote_volume=80.00001), MINUTE, rounding=SUMMED)
    price = compare(OURS, with_value(3, high=12.000001), MINUTE, rounding=SUMMED)

    assert (volumes.differing, price.differing) == (0, 1)
    assert volumes.largest > 0


def test_a_column_that_the_other_side_never_fills_is_not_compared() -> None:
    """COIN-M's REST names no quote volume, OKX counts no trades."""
    theirs = OURS.with_columns(pl.lit(None, pl.Float64).alias("quote_volume"), pl.lit(None, pl.Int64).alias("trades"))

    assert compare(OURS, theirs, MINUTE).differing == 0
    assert compare(OURS, OURS.clear(), MINUTE).differing == 10


def test_rows_are_matched_by_their_slot_on_the_grid() -> None:
    theirs = OURS.with_columns(pl.col("open_time") + pl.duration(milliseconds=20_799))

    assert compare(OURS, theirs, MINUTE).differing == 0


def test_a_comparison_names_days_symbols_and_the_first_row() -> None:
    found = Comparison()
    found.add(date(2024, 3, 1), "A", compare(OURS, with_value(3, close=11.11), MINUTE))
    found.add(date(2024, 3, 2), "B", compare(OURS, OURS, MINUTE))

    assert (found.rows, found.differing, found.bad_days) == (20, 1, ["2024-03-01"])
    assert [*map(str, found.examples)] == ["2024-03-01 A: 1 of 10 rows, the first at 00:03:00"]


def test_what_is_drawn_is_the_same_each_time_and_differs_from_day_to_day() -> None:
    days = [date(2024, 3, day) for day in range(1, 29)]
    symbols = [f"S{number}USDT" for number in range(50)]

    assert in_drawn_order(symbols, "x") == in_drawn_order(reversed(symbols), "x")
    assert len({in_drawn_order(symbols, str(day))[0] for day in days}) > 10
    windows = {drawn_window(day, MINUTE, 1000, "A") for day in days}
    assert {(window.start.hour, window.bars(MINUTE)) for window in windows} == {(0, 1000), (16, 440)}
