"""The sensor's cursor: small, and of no account when it is lost or spoiled."""

from datetime import UTC, date, datetime, timedelta

import pytest

from klines_pipeline.stages.watching.watch_cursor import Look, WatchCursor

AT = datetime(2025, 9, 15, 2, 40, tzinfo=UTC)
DAYS = [date(2025, 9, 14) - timedelta(days=back) for back in range(21)]


def test_what_is_written_is_read() -> None:
    looks = WatchCursor(7, {DAYS[0]: Look(AT, 3, 500)}, "币安人生USDT")

    assert WatchCursor.parse(str(looks)) == looks


@pytest.mark.parametrize(
    "cursor",
    [
        None, "", "{", "[]", "7", "null", '{"v":0}', '{"v":1}', '{"v":2,"turn":0,"days":{},"after":""}',
        '{"v":1,"turn":"x","days":{},"after":""}', '{"v":1,"turn":1,"days":{"2025-02-30":[1,2,3]},"after":""}',
        '{"v":1,"turn":1,"days":{"2025-02-03":[1,2]},"after":""}', '{"v":1,"turn":1,"days":7,"after":""}',
        '{"v":1,"turn":1,"days":{"2025-02-03":[1e300,2,3]},"after":""}', "[" * 100_000,
    ],
)  # fmt: skip
def test_a_lost_or_spoiled_cursor_is_a_fresh_start(cursor: str | None) -> None:
    assert WatchCursor.parse(cursor) == WatchCursor()


def test_three_weeks_of_open_days_stay_below_a_kilobyte() -> None:
    looks = WatchCursor(123_456, {day: Look(AT, 499, 500) for day in DAYS}, "1000000BABYDOGEUSDT")

    assert len(str(looks).encode()) < 1000


def test_days_that_are_closed_are_forgotten_and_another_symbol_has_its_turn() -> None:
    looks = WatchCursor(1, {DAYS[1]: Look(AT, 3, 500), DAYS[2]: Look(AT, 4, 500)})

    after = looks.with_days({DAYS[0]: Look(AT, 5, 500)}, DAYS[:2], "B")

    assert (after.turn, [*after.days]) == (2, [DAYS[1], DAYS[0]])
    assert after.in_turn({"A", "B", "C", "D"}) == ["C", "D", "A", "B"]
