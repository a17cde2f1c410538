"""Which settlements are due: no fixed grid, each interval reaches back to the settlement before."""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

import klines_pipeline_tests.domain.properties  # noqa: F401 - loads the profile
from klines_pipeline.funding.expected import Gap, Settlement, due_times, gaps_of
from klines_pipeline_tests.funding.moments import DAY, LATER, at, every


def due(
    held: list[Settlement],
    *,
    now: datetime = LATER,
    before: Settlement | None = None,
    after: Settlement | None = None,
    answered_until: datetime | None = None,
) -> list[float]:
    """Hours of the day."""
    times = due_times(held, DAY, now=now, before=before, after=after, answered_until=answered_until)
    return [(time - at(0)).total_seconds() / 3600 for time in times]


@pytest.mark.parametrize("hours", [1, 2, 4, 6, 8])
def test_a_whole_day_expects_what_it_has(hours: int) -> None:
    assert due(every(hours, *range(0, 24, hours))) == list(range(0, 24, hours))


@given(st.sampled_from([1, 2, 4, 6, 8]), st.data())
def test_any_settlement_lost_inside_a_day_is_expected(hours: int, data: st.DataObject) -> None:
    whole = every(hours, *range(0, 24, hours))
    kept = data.draw(st.lists(st.sampled_from(whole), unique=True, min_size=1).map(sorted))

    assert due(kept) == list(range(0, 24, hours))


def test_an_interval_that_changes_within_the_day_leaves_no_gap() -> None:
    switched = [*every(8, 0, 8), *every(4, 12, 16, 20)]

    assert due(switched) == [0, 8, 12, 16, 20]


def test_what_may_lack_before_a_switch_is_due_until_rest_has_answered_that_it_was_none() -> None:
    switched = [*every(4, 0), *every(1, 4, 5, 6)]
    later = list(range(5, 24))

    assert due(switched) == [0, 1, 2, 3, 4, *later]
    assert due(switched, answered_until=at(24)) == [0, 4, *later]
    assert due(switched, answered_until=at(3)) == [0, 3, 4, *later]


def test_a_distance_that_neither_interval_explains_stays_due_whatever_rest_answered() -> None:
    switched = [*every(8, 0), *every(4, 12, 16, 20)]

    assert due(switched, answered_until=at(24)) == [0, 4, 8, 12, 16, 20]


@given(st.lists(st.tuples(st.integers(-30, 60), st.integers(-(2**15), 2**15 - 1) | st.none()), max_size=6))
def test_whatever_intervals_are_told_the_times_due_are_of_the_day(known: list[tuple[int, int | None]]) -> None:
    found = sorted({Settlement(at(hour), hours) for hour, hours in known}, key=lambda settlement: settlement.time)
    before = next((settlement for settlement in reversed(found) if settlement.time < at(0)), None)
    after = next((settlement for settlement in found if settlement.time >= at(24)), None)
    held = [settlement for settlement in found if at(0) <= settlement.time < at(24)]

    times = due(held, before=before, after=after)

    assert times == sorted(times)
    assert all(0 <= hour < 24 for hour in times)


def test_a_hole_that_opens_the_day_is_judged_by_the_intervals_after_it() -> None:
    held = [Settlement(at(2)), *every(1, *range(3, 24))]

    assert due(held, before=Settlement(at(-1))) == list(range(24))


def test_an_hourly_stretch_that_ends_the_day_expects_more_hours() -> None:
    assert due([*every(8, 0, 8, 16), *every(1, 17, 18)]) == [0, 8, 16, 17, 18, 19, 20, 21, 22, 23]


def test_the_settlement_after_the_day_tells_that_the_hourly_stretch_was_over() -> None:
    held = [*every(8, 0, 8, 16), *every(1, 17, 18)]

    assert due(held, after=Settlement(at(24), 6)) == [0, 8, 16, 17, 18]


def test_a_day_without_settlements_takes_the_interval_of_its_neighbours() -> None:
    assert due([]) == [0, 8, 16]
    assert due([], after=Settlement(at(24), 4)) == [0, 4, 8, 12, 16, 20]
    assert due([], before=Settlement(at(-4), 4)) == [0, 4, 8, 12, 16, 20]
    assert due([], before=Settlement(at(-4), 4), after=Settlement(at(24), 4)) == [0, 4, 8, 12, 16, 20]


def test_a_settlement_whose_interval_nobody_told_is_judged_by_the_others() -> None:
    assert due([Settlement(at(0), 8), Settlement(at(16), None)]) == [0, 8, 16]


def test_nothing_is_expected_before_it_has_settled() -> None:
    assert due([], now=at(8)) == [0]
    assert due([], now=at(8.1)) == [0, 8]
    assert due(every(8, 0), now=at(8)) == [0]
    assert due(every(8, 0, 8), now=at(8.01)) == [0, 8]


def test_gaps_reach_to_the_next_settlement_or_to_the_days_end() -> None:
    held = every(4, 0, 12)

    gaps = gaps_of(due_times(held, DAY, now=LATER), held, DAY)

    assert gaps == [Gap(at(4), at(12), at(8)), Gap(at(16), at(24), at(20))]
