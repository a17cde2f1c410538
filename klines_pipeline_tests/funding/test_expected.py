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
) -> list[float]:
    """Hours of the day."""
    return [(time - at(0)).total_seconds() / 3600 for time in due_times(held, DAY, now=now, before=before, after=after)]


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


def test_an_archive_that_names_the_new_interval_early_leaves_no_gap_either() -> None:
    assert due([*every(8, 0), *every(4, 8, 12, 16, 20)]) == [0, 8, 12, 16, 20]


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
