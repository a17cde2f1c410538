"""When an ended day begins: all together, or most of them after a while; nobody waits for ever."""

from datetime import UTC, date, datetime, timedelta

import pytest

from klines_pipeline.domain.automation import Automation
from klines_pipeline.klines.arrivals import Arrival, reason_to_begin, wait_between_looks

DAY = date(2025, 9, 14)
NOW = datetime(2025, 9, 15, 6, tzinfo=UTC)


def arrival(held: int, fresh: int, missing: int, *, hours: float = 0.1, unseen: int = 0, renewed: int = 0) -> Arrival:
    oldest = NOW - timedelta(hours=hours) if fresh or renewed else None
    return Arrival(day=DAY, held=held, fresh=fresh, missing=missing, unseen=unseen, renewed=renewed, oldest=oldest)


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        (arrival(0, 0, 500), None),
        (arrival(0, 3, 497), None),
        (arrival(0, 500, 0), "500 of 500 symbols published"),
        (arrival(0, 480, 20, hours=1.9), None),
        (arrival(0, 480, 20, hours=2.0), "480 of 500 symbols published, 20 late"),
        (arrival(0, 475, 25, hours=2.0), "475 of 500 symbols published, 25 late"),
        (arrival(0, 474, 26, hours=2.0), None),
        (arrival(0, 100, 400, hours=24.0), "100 of 500 symbols published"),
        (arrival(480, 0, 20), None),
        (arrival(480, 5, 15, hours=0.9), None),
        (arrival(480, 5, 15, hours=1.0), "5 more, 485 of 500 symbols published, 15 late"),
        (arrival(480, 20, 0), "20 more, 500 of 500 symbols published"),
        (arrival(500, 0, 0), None),
        (arrival(500, 0, 0, renewed=1), "1 published anew"),
        (arrival(0, 1, 1, hours=3.0), None),
        (arrival(0, 60, 0, unseen=440), "60 of 60 symbols published, 440 not looked at"),
        (arrival(0, 40, 0, unseen=460), None),
        (arrival(0, 5, 0, unseen=4), "5 of 5 symbols published, 4 not looked at"),
    ],
)
def test_a_day_begins_when_all_are_published_or_most_have_waited_long_enough(seen: Arrival, reason: str | None) -> None:
    assert reason_to_begin(seen, Automation(), NOW) == reason


def test_patience_is_configured() -> None:
    most = arrival(0, 9, 1, hours=0.5)

    assert reason_to_begin(most, Automation(straggler_share=0.9, straggler_hours=0.5), NOW) is not None
    assert reason_to_begin(most, Automation(straggler_share=0.9, straggler_hours=0.6), NOW) is None


def test_a_day_that_waits_says_how_far_it_is() -> None:
    assert str(arrival(0, 3, 497)) == "2025-09-14: 3 of 500 symbols published."
    assert str(arrival(0, 0, 500)) == "2025-09-14: nothing is published yet."
    assert str(arrival(0, 3, 490, unseen=7)) == "2025-09-14: 3 of 493 symbols published. 7 could not be looked at."


@pytest.mark.parametrize(
    ("age", "waiting", "doubtful", "minutes"),
    [
        (timedelta(hours=3), 3, 0, 0.03),
        (timedelta(hours=3), 500, 0, 5),
        (timedelta(hours=3), 0, 1, 60),
        (timedelta(hours=25), 3, 0, 60),
        (timedelta(days=4), 3, 0, 360),
    ],
)
def test_the_older_a_day_and_the_more_are_asked_for_the_rarer_are_looks(
    age: timedelta, waiting: int, doubtful: int, minutes: float
) -> None:
    now = datetime(2025, 9, 15, tzinfo=UTC) + age

    assert wait_between_looks(DAY, waiting, doubtful, now) == timedelta(minutes=minutes)
