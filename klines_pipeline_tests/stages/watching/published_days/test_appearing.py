"""Watching what is published: one request while nothing happens, one wish a day, words for everything that waits."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from klines_pipeline.domain.wanted import Kind
from klines_pipeline_tests.conftest import archive_entry
from klines_pipeline_tests.stages.watching.published_days.watcher import DATASET, DAY, SYMBOLS, Watcher, at


def test_before_anything_is_published_a_tick_is_one_request(watcher: Watcher) -> None:
    assert watcher.waits(at(5, 1)) == "2025-03-04: nothing is published yet."
    assert watcher.requests == 1


def test_a_day_that_begins_to_appear_is_counted_once_a_witness_has_appeared(watcher: Watcher) -> None:
    said = [watcher.waits(at(5, 2, 2)) for _ in SYMBOLS]

    assert said == sorted(said, reverse=True), "nothing, then something"
    assert said[-1] == "2025-03-04: 3 of 6 symbols published at 02:02 UTC."
    assert watcher.requests == 1, "the same minute is not looked at twice"
    assert watcher.waits(at(5, 2, 3)) == "2025-03-04: 4 of 6 symbols published."
    assert watcher.requests == 1 + len(SYMBOLS)


def test_when_all_are_published_the_day_is_wanted_and_the_next_tick_rests_after_one_request(watcher: Watcher) -> None:
    wish = watcher.wants(at(5, 3))

    assert (wish.kind, wish.days, wish.reason) == (
        Kind.PUBLISHED,
        (DAY,),
        "2025-03-04: 6 of 6 symbols published",
    )
    assert wish.news[DAY].count("USDT:") == 6
    assert watcher.waits() == "Complete up to 2025-03-04; 2025-03-05 is in progress."
    assert watcher.requests == 1
    assert archive_entry(watcher.lake, "币安人生USDT", "2025-03-04", interval="1d")["state"] == "ok"


def test_most_begin_without_the_rest_after_two_hours_and_stragglers_are_taken_in_later(watcher: Watcher) -> None:
    watcher.exchange.hold_publication("SOLUSDT", DAY, until=at(5, 9))

    assert watcher.waits(at(5, 3)) == "2025-03-04: 5 of 6 symbols published."
    assert watcher.wants(at(5, 4, 1)).reason == "2025-03-04: 5 of 6 symbols published, 1 late"
    assert watcher.waits(at(5, 8)) == "2025-03-04: 5 of 6 symbols published."
    assert watcher.requests == 2, "a straggler costs one request"
    late = watcher.wants(at(5, 9))
    assert late.reason == "2025-03-04: 1 more, 6 of 6 symbols published"
    assert late.news[DAY].startswith("SOLUSDT:")
    assert watcher.waits() == "Complete up to 2025-03-04; 2025-03-05 is in progress."


def test_stragglers_that_trickle_in_are_one_run_an_hour_later(watcher: Watcher) -> None:
    for place, symbol in enumerate(SYMBOLS[3:]):
        watcher.exchange.hold_publication(symbol, DAY, until=at(5, 9, 10 * place) if place < 2 else None)
    watcher.exchange.set_clock(at(5, 8))
    watcher.run((DAY,))

    moments = [at(5, 9) + timedelta(minutes=minutes) for minutes in range(0, 100, 10)]
    wishes = [moment for moment in moments if [watcher.run(wish.days) for wish in watcher.tick(moment).wanted]]

    assert wishes == [at(5, 10)]


LATER = '{"v":1,"turn":1,"days":{"2025-03-04":[99999999,2,4]},"after":""}'


@pytest.mark.parametrize("cursor", [None, "{", '{"v":7}', LATER], ids=["none", "spoiled", "old", "a look ahead of now"])
def test_a_lost_cursor_changes_nothing(watcher: Watcher, cursor: str | None) -> None:
    watcher.exchange.hold_publication("SOLUSDT", DAY, until=at(5, 9))
    watcher.wants(at(5, 4, 1))
    watcher.cursor = cursor

    assert watcher.waits(at(5, 8)) == "2025-03-04: 5 of 6 symbols published."
    watcher.cursor = cursor
    assert watcher.wants(at(5, 9)).days == (DAY,)


def test_a_straggler_days_late_is_looked_at_every_six_hours_and_after_three_weeks_no_more(watcher: Watcher) -> None:
    watcher.exchange.hold_publication("SOLUSDT", DAY, until=None)
    watcher.wants(at(5, 4, 1))
    last = Watcher(watcher.exchange, watcher.lake, replace(DATASET, start=DAY))
    for number in range(5, 9):  # the days after, so that they ask for nothing of their own
        last.exchange.set_clock(at(number + 1, 12))
        last.run((date(2025, 3, number),))

    looks = [hour for hour in range(13) if last.waits(at(9, 6) + timedelta(hours=hour)) and last.requests > 1]

    assert looks == [0, 6, 12]
    assert "2025-03-04: 5 of 6 symbols published" in last.waits()
    last.exchange.set_clock(at(26, 12))
    assert "2025-03-04" not in last.tick().words


def test_days_that_passed_while_nobody_watched_are_taken_in_at_once(watcher: Watcher) -> None:
    tick = watcher.tick(at(12, 12))

    assert [(wish.kind, wish.days[0].day, wish.days[-1].day) for wish in tick.wanted] == [
        (Kind.PUBLISHED, 9, 11),
        (Kind.HISTORY, 4, 8),
    ]
