"""Expected open_times and gaps: together with what is present they make the whole."""

from datetime import datetime, timedelta
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from klines_pipeline.domain.interval import DAILY_INTERVALS, Interval
from klines_pipeline.domain.utc_day import day_end, day_start, from_microseconds, to_microseconds
from klines_pipeline.klines.grid import TimeRange, expected_range, missing_ranges, present_slots, subtract
from klines_pipeline_tests.klines.frames import DAY, at, klines

ONE_MINUTE = Interval.parse("1m")
INTERVALS = st.sampled_from([Interval.parse(name) for name in DAILY_INTERVALS if name != "1s"])
RANGES = st.lists(
    st.tuples(st.integers(0, 60), st.integers(1, 20)).map(
        lambda at_length: TimeRange(at(at_length[0]), at(sum(at_length)))
    ),
    max_size=6,
)


def minutes(ranges: list[TimeRange]) -> list[datetime]:
    """Every minute of every range, one by one."""
    return [one.start + n * timedelta(minutes=1) for one in ranges for n in range(one.bars(ONE_MINUTE))]


@given(INTERVALS, st.timedeltas(timedelta(days=-2), timedelta(days=2)))
def test_only_klines_closed_by_now_are_expected(interval: Interval, past_midnight: timedelta) -> None:
    now = DAY + past_midnight

    expected = expected_range(DAY.date(), interval, now)

    assert expected.start == DAY
    assert expected.end <= max(now, DAY)
    assert expected.end <= day_end(DAY.date())
    assert expected.bars(interval) * interval.duration == expected.end - expected.start
    next_close = expected.end + interval.duration
    assert next_close > now or next_close > day_end(DAY.date())


@given(INTERVALS, st.data())
def test_missing_and_present_partition_what_is_expected(interval: Interval, data: st.DataObject) -> None:
    day = DAY.date()
    expected = expected_range(day, interval, DAY + data.draw(st.timedeltas(timedelta(), timedelta(hours=30))))
    step, first = interval.microseconds, to_microseconds(day_start(day))
    present = sorted(data.draw(st.sets(st.integers(-3, interval.bars_per_day + 3), max_size=80)))
    slots = pl.Series([first + step * n for n in present], dtype=pl.Int64)

    gaps = missing_ranges(slots, expected, interval)

    absent = [gap.start + n * interval.duration for gap in gaps for n in range(gap.bars(interval))]
    here = [moment for moment in map(from_microseconds, slots) if expected.start <= moment < expected.end]
    wanted = [expected.start + n * interval.duration for n in range(expected.bars(interval))]
    assert sorted(absent + here) == wanted
    assert all(left.end < right.start for left, right in pairwise(gaps))


@pytest.mark.parametrize("nothing", [None, pl.Series([], dtype=pl.Int64)])
def test_without_any_row_the_whole_range_is_one_gap(nothing: pl.Series | None) -> None:
    expected = TimeRange(at(0), at(10))

    assert missing_ranges(nothing, expected, ONE_MINUTE) == [expected]
    assert missing_ranges(nothing, TimeRange(at(0), at(0)), ONE_MINUTE) == []


def test_present_slots_are_distinct_sorted_and_on_the_grid() -> None:
    rows = pl.concat([klines("B", [3, 1.5, 1]), klines("A", [0])])

    slots = present_slots(rows, ONE_MINUTE)

    assert {name: list(map(from_microseconds, found)) for name, found in slots.items()} == {
        "A": [at(0)],
        "B": [at(1), at(3)],
    }


@given(RANGES, RANGES)
def test_subtracting_leaves_exactly_what_is_not_covered(ranges: list[TimeRange], covered: list[TimeRange]) -> None:
    rest = subtract(ranges, covered)

    left = [minute for minute in minutes(ranges) if minute not in set(minutes(covered))]
    assert sorted(minutes(rest)) == sorted(left)
    assert all(piece.start < piece.end for piece in rest)


@given(RANGES, RANGES, RANGES)
def test_it_does_not_matter_how_often_or_in_which_order_is_subtracted(
    ranges: list[TimeRange], some: list[TimeRange], more: list[TimeRange]
) -> None:
    at_once = set(minutes(subtract(ranges, some + more)))

    assert set(minutes(subtract(subtract(ranges, some), more))) == at_once
    assert set(minutes(subtract(subtract(ranges, more), some + some))) == at_once
    assert subtract(ranges, []) == ranges
    assert subtract(ranges, ranges) == []
