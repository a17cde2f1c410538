"""A daily pass over the last weeks, a weekly one over all history, in slices; the cursor is small and of no account."""

from datetime import date, timedelta

import pytest

from klines_pipeline.stages.watching.comparison_cursor import ComparisonCursor, Slice

TODAY = date(2025, 3, 4)
DAYS = [TODAY - timedelta(days=back) for back in range(3000, 0, -1)]
REVISIT = 35


def all_slices(rounds: ComparisonCursor, today: date) -> tuple[list[Slice], ComparisonCursor]:
    """Every slice until both comparisons rest, each gone through at once."""
    slices = list[Slice]()
    while (past := rounds.due(DAYS, today, REVISIT)) is not None:
        slices.append(past)
        rounds = rounds.gone(past, None, today)
    return slices, rounds


def test_the_last_weeks_come_first_then_history_each_day_once_in_windows_of_a_listing_page() -> None:
    [recent, *history], rounds = all_slices(ComparisonCursor(), TODAY)

    assert (recent.window, [*recent.days]) == (None, DAYS[-REVISIT:])
    assert [day for past in history for day in past.days] == DAYS[:-REVISIT]
    assert max((past.days[-1] - past.days[0]).days for past in history if past.days) < 450
    assert rounds == ComparisonCursor(passed=TODAY, swept=TODAY)


def test_the_last_weeks_are_due_daily_and_history_weekly() -> None:
    rounds = ComparisonCursor(passed=TODAY, swept=TODAY)
    later = [all_slices(rounds, TODAY + timedelta(days=days))[0] for days in (0, 1, 6, 7)]

    assert [len([past for past in slices if past.window is None]) for slices in later] == [0, 1, 1, 1]
    assert [any(past.window for past in slices) for slices in later] == [False, False, False, True]


def test_a_slice_cut_short_goes_on_where_it_stood_even_the_day_after() -> None:
    first = ComparisonCursor()
    [recent] = [first.due(DAYS, TODAY, REVISIT)]
    assert recent is not None
    cut = first.gone(recent, "MMM", TODAY)

    resumed = cut.due(DAYS, TODAY + timedelta(days=1), REVISIT)

    assert resumed is not None
    assert (resumed.after, resumed.window) == ("MMM", None)


def test_history_cut_short_goes_on_in_the_same_window_after_the_days_pass() -> None:
    rounds = ComparisonCursor(passed=TODAY)
    past = rounds.due(DAYS, TODAY, REVISIT)
    assert past is not None
    rounds = rounds.gone(past, "MMM", TODAY)
    tomorrow = TODAY + timedelta(days=1)
    recent = rounds.due(DAYS, tomorrow, REVISIT)
    assert recent is not None
    assert recent.window is None

    resumed = rounds.gone(recent, None, tomorrow).due(DAYS, tomorrow, REVISIT)

    assert resumed is not None
    assert (resumed.window, resumed.after, resumed.days[0]) == (past.window, "MMM", DAYS[0])


def test_a_tick_that_gets_no_further_is_known_to_the_next() -> None:
    rounds = ComparisonCursor(after="MMM")
    past = rounds.due(DAYS, TODAY, REVISIT)
    assert past is not None
    assert not past.stalled

    again = rounds.gone(past, "MMM", TODAY).due(DAYS, TODAY, REVISIT)

    assert again is not None
    assert again.stalled


def test_an_empty_lake_rests_after_two_looks() -> None:
    rounds = ComparisonCursor()
    for _ in range(2):
        past = rounds.due([], TODAY, REVISIT)
        assert past is not None
        rounds = rounds.gone(past, None, TODAY)

    assert rounds.due([], TODAY, REVISIT) is None


def test_a_clock_put_back_does_not_stop_the_comparison() -> None:
    ahead = ComparisonCursor(passed=date(2031, 1, 1), swept=date(2031, 1, 1))

    slices, _ = all_slices(ahead, TODAY)

    assert slices[0].window is None
    assert len(slices) > 2


def test_what_is_written_is_read_and_small() -> None:
    rounds = ComparisonCursor(TODAY, "1000000BABYDOGEUSDT", TODAY, TODAY, "币安人生USDT", stalled=True)

    assert ComparisonCursor.parse(str(rounds)) == rounds
    assert len(str(rounds).encode()) < 200


@pytest.mark.parametrize(
    "cursor",
    [
        None, "", "{", "[]", "7", "null", '{"v":0}', '{"v":1}', "[" * 100_000,
        str(ComparisonCursor(TODAY)).replace('"2025-03-04"', '"2025-02-30"'),
        str(ComparisonCursor(TODAY)).replace('"2025-03-04"', "7"),
        str(ComparisonCursor()).replace('"after":""', '"after":null'),
        str(ComparisonCursor()).replace('"v":1', '"v":2'),
    ],
)  # fmt: skip
def test_a_lost_or_spoiled_cursor_begins_anew(cursor: str | None) -> None:
    assert ComparisonCursor.parse(cursor) == ComparisonCursor()
