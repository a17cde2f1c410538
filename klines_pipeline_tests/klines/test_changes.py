"""What differs between two versions of the same klines, value by value."""

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from klines_pipeline.klines.changes import CHANGE_SCHEMA, changed_values
from klines_pipeline.klines.merge import row_changes
from klines_pipeline.klines.schema import MARKET_NAMES
from klines_pipeline_tests.klines.frames import at, frame, kline, klines

ROWS = st.dictionaries(st.integers(0, 9), st.sampled_from([1.0, 2.0]))


def rows_of(known: dict[int, float]) -> pl.DataFrame:
    """A row a minute, with its volume."""
    return frame(kline("A", minute, volume=volume) for minute, volume in sorted(known.items()))


def test_a_changed_row_is_told_by_the_values_that_changed_alone() -> None:
    old, new = klines("A", range(3)), frame([kline("A", 0), kline("A", 1, close=11.5, trades=4), kline("A", 2)])

    assert changed_values(old, new).rows() == [
        ("A", at(1), "changed", "close", 11.0, 11.5),
        ("A", at(1), "changed", "trades", 3.0, 4.0),
    ]


def test_a_row_that_came_or_went_is_told_by_all_its_values() -> None:
    came = changed_values(klines("A", [0]), klines("A", [0, 1]))
    went = changed_values(klines("A", [0, 1]), klines("A", [0]))

    assert came.select("change", "column").rows() == [("added", name) for name in MARKET_NAMES]
    assert went["change"].unique().to_list() == ["removed"]
    assert came["after"].equals(went["before"])
    assert came["before"].null_count() == went["after"].null_count() == len(MARKET_NAMES)


def test_where_a_row_came_from_is_no_change() -> None:
    assert changed_values(klines("A", [0]), klines("A", [0], revision=2, ingested_at=at(0))).is_empty()


@given(ROWS, ROWS)
def test_as_many_rows_differ_as_the_ledger_counts(before: dict[int, float], after: dict[int, float]) -> None:
    old, new = rows_of(before), rows_of(after)

    values = changed_values(old, new)

    assert values.schema == CHANGE_SCHEMA
    kinds = values.select("open_time", "change").unique()["change"].to_list()
    assert tuple(kinds.count(kind) for kind in ("added", "removed", "changed")) == row_changes(old, new)
