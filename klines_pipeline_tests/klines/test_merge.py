"""The merge: an archive row wins, REST fills what is missing, disagreements are listed."""

from collections import Counter

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from klines_pipeline.domain.interval import Interval
from klines_pipeline.klines.merge import CONFLICT_SCHEMA, disagreeing_symbols, merge_klines, row_changes
from klines_pipeline.klines.schema import KLINE_SCHEMA, MARKET_NAMES, REST, VISION
from klines_pipeline_tests.klines.frames import at, frame, keys, kline, klines

ONE_MINUTE = Interval.parse("1m")
ROWS = st.dictionaries(
    st.tuples(st.sampled_from(["A", "B"]), st.integers(0, 40)), st.sampled_from([1.0, 2.0]), max_size=40
)


def rows_of(known: dict[tuple[str, int], float], source: str) -> pl.DataFrame:
    """Sorted rows with the given volumes."""
    return frame(kline(name, minute, source=source, volume=volume) for (name, minute), volume in sorted(known.items()))


@given(ROWS, ROWS)
def test_no_archive_row_is_lost_rest_only_fills_and_keys_are_unique(
    archived: dict[tuple[str, int], float], asked: dict[tuple[str, int], float]
) -> None:
    merged = merge_klines(rows_of(archived, VISION), rows_of(asked, REST), ONE_MINUTE)

    table = merged.klines
    assert keys(table) == sorted((name, at(minute)) for name, minute in archived.keys() | asked.keys())
    assert table.filter(source=VISION).equals(rows_of(archived, VISION))
    lacking = {key: volume for key, volume in asked.items() if key not in archived}
    assert table.filter(source=REST).equals(rows_of(lacking, REST))
    disputed = sorted(key for key in archived.keys() & asked.keys() if archived[key] != asked[key])
    assert keys(merged.conflicts) == [(name, at(minute)) for name, minute in disputed]
    agreed = Counter(name for name, minute in archived.keys() & asked.keys() - set(disputed))
    assert merged.confirmed == agreed
    assert table.schema == KLINE_SCHEMA
    assert merged.conflicts.schema == CONFLICT_SCHEMA


@given(ROWS, ROWS)
def test_merging_again_what_was_merged_changes_nothing(
    archived: dict[tuple[str, int], float], asked: dict[tuple[str, int], float]
) -> None:
    once = merge_klines(rows_of(archived, VISION), rows_of(asked, REST), ONE_MINUTE).klines

    assert merge_klines(once, rows_of(asked, REST), ONE_MINUTE).klines.equals(once)


@pytest.mark.parametrize("column", MARKET_NAMES)
def test_both_values_of_a_disagreement_are_shown(column: str) -> None:
    archived, asked = klines("A", [1]), klines("A", [1], source=REST, **{column: 7})

    conflicts = merge_klines(archived, asked, ONE_MINUTE).conflicts

    assert conflicts.select(column, f"{column}_rest").rows() == [(archived[column][0], 7)]


def test_a_column_only_one_source_has_is_a_disagreement_and_two_nulls_are_not() -> None:
    archived = klines("A", [1, 2], trades=None)
    asked = frame([kline("A", 1, source=REST, trades=3), kline("A", 2, source=REST, trades=None)])

    assert keys(merge_klines(archived, asked, ONE_MINUTE).conflicts) == [("A", at(1))]


def test_rest_does_not_double_a_row_that_the_archive_has_beside_the_grid() -> None:
    archived, asked = klines("A", [1.7]), klines("A", [1, 2], source=REST)

    assert keys(merge_klines(archived, asked, ONE_MINUTE).klines) == [("A", at(1.7)), ("A", at(2))]


@pytest.mark.parametrize(
    ("archived", "asked", "disagree"),
    [
        ([1, 2], [1, 2], set()),
        ([1, 2], [1], {"A"}),
        ([1], [1, 2], {"A"}),
        ([], [1], {"A"}),
        ([], [], set()),
    ],
)
def test_sources_agree_only_if_they_have_the_same_klines(
    archived: list[int], asked: list[int], disagree: set[str]
) -> None:
    assert disagreeing_symbols(klines("A", archived), klines("A", asked, source=REST), ONE_MINUTE) == disagree


def test_sources_that_differ_in_one_value_or_in_a_null_disagree() -> None:
    archived = pl.concat([klines("A", [1]), klines("B", [1], trades=None), klines("C", [1], trades=None)])
    asked = pl.concat([klines("A", [1], close=10.5), klines("B", [1]), klines("C", [1], trades=None)])

    assert disagreeing_symbols(archived, asked, ONE_MINUTE) == {"A", "B"}


@given(ROWS, ROWS)
def test_row_changes_count_added_removed_and_changed(
    old: dict[tuple[str, int], float], new: dict[tuple[str, int], float]
) -> None:
    changed = [key for key in old.keys() & new.keys() if old[key] != new[key]]

    assert row_changes(rows_of(old, VISION), rows_of(new, VISION)) == (
        len(new.keys() - old.keys()),
        len(old.keys() - new.keys()),
        len(changed),
    )
