"""When an answer of REST is the last word, and how days become requests."""

from datetime import date, datetime, timedelta

import pytest

from klines_pipeline.domain.states import SliceState
from klines_pipeline.funding.slices import FundingSlice, is_settled, slice_entries, spans, to_frame, window
from klines_pipeline_tests.funding.moments import DAY, LATER, at


def answered(requested_at: datetime, state: SliceState = SliceState.OK) -> FundingSlice:
    return FundingSlice(
        symbol="BTCUSDT", start=at(0), end=min(at(24), requested_at), state=state, requested_at=requested_at
    )


@pytest.mark.parametrize(
    ("hour", "now", "settled"),
    [
        (24.1, LATER, True),
        (24.01, LATER, False),
        (23.5, LATER, False),
        (9.1, at(9.2), True),
        (9.1, at(9.9), True),
        (9.1, at(10), False),
        (9.02, at(9.1), False),
    ],
)
def test_an_answer_settles_what_was_due_before_it(hour: float, now: datetime, *, settled: bool) -> None:
    assert is_settled(answered(at(hour)), DAY, now) is settled


@pytest.mark.parametrize(("state", "settled"), [(SliceState.NO_DATA, False), (SliceState.OK, True)])
def test_nothing_at_all_is_no_last_word_while_an_archive_is_awaited(state: SliceState, *, settled: bool) -> None:
    assert is_settled(answered(LATER, state), DAY, LATER)
    assert is_settled(answered(LATER, state), DAY, LATER, awaited=True) is settled


@pytest.mark.parametrize("state", [SliceState.BLOCKED, SliceState.BANNED, SliceState.UNAVAILABLE])
def test_a_failure_settles_nothing(state: SliceState) -> None:
    assert not is_settled(answered(LATER, state), DAY, LATER)
    assert not is_settled(None, DAY, LATER)


def test_days_without_a_hole_are_one_request() -> None:
    days = [date(2025, 2, day) for day in (26, 27, 28)] + [date(2025, 3, 1), date(2025, 3, 5)]

    assert spans(days) == [(days[0], days[3]), (days[4], days[4])]


def test_a_request_reaches_a_day_further_both_ways_and_never_into_the_future() -> None:
    assert window(DAY, DAY, LATER) == (at(-24), at(48))
    assert window(DAY, DAY, at(30)) == (at(-24), at(30))


def test_the_ledger_gives_back_what_was_put_in() -> None:
    entry = FundingSlice(
        symbol="币安人生USDT",
        start=at(0),
        end=at(24),
        state=SliceState.OK,
        rows=3,
        previous_settlement=at(-8),
        following_settlement=at(24),
        following_hours=8,
        url="u",
        requested_at=LATER,
        attempts=1,
        http_status=200,
    )

    assert slice_entries(to_frame([entry])) == {"币安人生USDT": entry}
    assert to_frame([entry])["slice_key"].item() == "币安人生USDT:funding:1740873600000"
    assert entry.answered_until == at(24)
    assert entry.before is not None
    assert entry.after is not None
    assert entry.after.time - entry.before.time == timedelta(hours=32)
