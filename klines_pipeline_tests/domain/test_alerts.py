"""What of a failure is news, how often it is said, and in which words."""

import json
from datetime import UTC, datetime

import pytest

from klines_pipeline.domain.alerts import Alert, AlertKind
from klines_pipeline.domain.telling import (
    LISTED,
    LOOK_BACK_SECONDS,
    QUIET_HOURS,
    QUIET_SECONDS,
    Happened,
    Told,
    compose,
)

AT = datetime(2025, 3, 4, 9, tzinfo=UTC)
NOW = AT.timestamp()
NOTHING = Told(until=NOW)


def failed_run(*days: str, run: str = "0123456789", **fields: str) -> Alert:
    about = {"dataset": "binance/spot/klines_1m", "message": "1 day(s) failed.", **fields}
    return Alert(AlertKind.RUN, severity="ERROR", run_id=run, at=AT, days=days, **about)  # type: ignore[arg-type]


def failed_check(*days: str, check: str = "archive_matches_checksum", severity: str = "WARN") -> Alert:
    asset = "binance/spot/klines_1m"
    return Alert(AlertKind.CHECK, severity, "1 breach(es).", "0123456789", AT, asset=asset, check=check, days=days)


def test_a_message_is_read_by_people_and_by_programs() -> None:
    asked = failed_run("2025-03-01", "2025-03-02", reason="3 of 3 symbols published")

    payload = compose([asked, failed_check("2025-03-01")], NOTHING, NOW).payload

    assert payload is not None
    assert payload["text"] == (
        "klines_pipeline: 1 run and 1 check failed.\n"
        "- Run of binance/spot/klines_1m, 2025-03-01, 2025-03-02 failed (3 of 3 symbols published): "
        "1 day(s) failed. [run 01234567]\n"
        "- archive_matches_checksum (WARN) on binance/spot/klines_1m, 2025-03-01: 1 breach(es). [run 01234567]"
    )
    assert json.loads(json.dumps(payload["alerts"]))[0] == {
        "kind": "run_failed",
        "severity": "ERROR",
        "message": "1 day(s) failed.",
        "run_id": "0123456789",
        "at": "2025-03-04T09:00:00+00:00",
        "dataset": "binance/spot/klines_1m",
        "asset": None,
        "check": None,
        "reason": "3 of 3 symbols published",
        "days": ["2025-03-01", "2025-03-02"],
    }


def test_many_days_are_told_by_their_ends() -> None:
    days = [f"2025-03-{day:02}" for day in range(1, 32)]

    assert "31 days from 2025-03-01 to 2025-03-31 failed" in failed_run(*days).line()


def test_nothing_failed_makes_no_message() -> None:
    assert compose([], NOTHING, NOW).payload is None


def test_the_same_is_said_again_after_an_hour_and_the_repetitions_are_counted() -> None:
    told = compose([failed_run("2025-03-01")], NOTHING, NOW).after
    for minute, run in enumerate(["second", "third"], start=1):
        again = compose([failed_run("2025-03-01", run=run)], told, NOW + 60 * minute)
        assert again.payload is None
        told = again.after

    later = compose([failed_run("2025-03-01", run="fourth")], told, NOW + QUIET_SECONDS).payload

    assert later is not None
    assert later["not_repeated"] == 2
    assert later["text"].endswith("2 said before and not repeated.")


def hours_said(hours: range) -> list[int]:
    """The hours in which a warning is said that each hour's runs repeat."""
    told, said = NOTHING, []
    for hour in hours:
        message = compose([failed_check("2025-03-01")], told, NOW + hour * QUIET_SECONDS)
        told = message.after
        said += [hour] * message.alerts
    return said


def test_what_stands_is_said_ever_more_seldom_at_last_once_a_day() -> None:
    assert hours_said(range(120)) == [0, 1, 3, 7, 15, 31, 55, 79, 103]


def test_what_was_mended_and_breaks_again_after_a_day_is_said_like_something_new() -> None:
    told = NOTHING
    for hour in (0, 1, 3, 7):
        told = compose([failed_check("2025-03-01")], told, NOW + hour * QUIET_SECONDS).after
    much_later = 7 + 8 + QUIET_HOURS

    told = compose([failed_check("2025-03-01")], told, NOW + much_later * QUIET_SECONDS).after

    assert compose([failed_check("2025-03-01")], told, NOW + (much_later + 1) * QUIET_SECONDS).alerts == 1


@pytest.mark.parametrize(
    "other",
    [
        failed_run("2025-03-02"),
        failed_run("2025-03-01", dataset="binance/um/klines_1m"),
        failed_check("2025-03-01"),
        failed_check("2025-03-01", check="key_is_unique_and_sorted"),
    ],
    ids=["day", "dataset", "check", "another check"],
)
def test_something_else_does_not_wait(other: Alert) -> None:
    told = compose([failed_run("2025-03-01"), failed_check("2025-03-01", check="other")], NOTHING, NOW).after

    assert compose([other], told, NOW + 1).payload is not None


BANNED = failed_run("2025-03-03", message="127.0.0.1 has banned this address until 06:52")
DAMAGED = failed_run("2025-03-03", message="ledger/archives/date=2025-03-03/part.parquet is damaged. Delete it.")


def failed_tick(message: str) -> Alert:
    return Alert(AlertKind.TICK, "ERROR", message, None, AT, asset="published_days")


@pytest.mark.parametrize(
    ("first", "other"),
    [(BANNED, DAMAGED), (failed_tick("OSError: No space left on device"), failed_tick("unknown symbol BTCUST"))],
    ids=["run", "tick"],
)
def test_another_cause_of_the_same_days_does_not_wait(first: Alert, other: Alert) -> None:
    told = compose([first], NOTHING, NOW).after

    assert compose([other], told, NOW + 600).alerts == 1


@pytest.mark.parametrize(
    ("first", "again"),
    [
        ("127.0.0.1 has banned this address until 06:52", "127.0.0.1 has banned this address until 07:31"),
        (
            "2 symbol(s) failed: ETHUSDT (HTTP 503), SOLUSDT.",
            "3 symbol(s) failed: ADAUSDT (HTTP 502), 1000PEPEUSDT, XRPUSDT.",
        ),
        ("Its process (host 4711 81 6f2e) is gone.", "Its process (host 4712 97 6f2e) is gone."),
    ],
)
def test_times_numbers_and_symbols_make_no_other_cause(first: str, again: str) -> None:
    told = compose([failed_run("2025-03-03", message=first)], NOTHING, NOW).after

    assert compose([failed_run("2025-03-03", message=again)], told, NOW + 600).alerts == 0


def test_times_remembered_from_a_clock_that_was_ahead_count_as_now() -> None:
    ahead = NOW + 30 * QUIET_SECONDS
    _, told = (
        compose([failed_run("2025-03-03")], Told(until=ahead), ahead)
        .after.heard_of({"fine": ahead})
        .missed(["fine"], ahead)
    )

    told = told.by(NOW)

    assert compose([failed_run("2025-03-03")], told, NOW + 60).alerts == 0
    assert compose([failed_run("2025-03-03")], told, NOW + QUIET_SECONDS).alerts == 1
    assert told.missed(["fine"], NOW + 30 * QUIET_SECONDS)[0] == ["fine"]
    assert told.until == NOW - LOOK_BACK_SECONDS
    assert Told(until=NOW + 59).by(NOW).until == NOW + 59


def test_a_day_that_fails_three_times_at_once_is_one_alert() -> None:
    message = compose([failed_run("2025-03-01", run=f"{number}") for number in range(3)], NOTHING, NOW)

    assert (message.alerts, message.payload["not_repeated"]) == (1, 2)  # type: ignore[index]


def test_of_a_flood_the_first_are_listed_and_the_rest_is_counted() -> None:
    payload = compose([failed_run(f"day {number:03}") for number in range(300)], NOTHING, NOW).payload

    assert payload is not None
    assert len(payload["alerts"]) == LISTED == 20
    assert payload["not_listed"] == 280
    assert payload["text"].endswith("280 more.")


def test_a_cursor_is_read_as_it_was_written_and_stays_below_4_kilobytes() -> None:
    told = NOTHING.looked_at([Happened(f"{number:012}", NOW + number / 100, number) for number in range(300)], NOW + 9)
    told = compose([failed_run(f"day {number}") for number in range(300)], told, NOW).after
    for hour in (1, 3, 7, 15, 31):
        told = compose([failed_run(f"day {number}") for number in range(300)], told, NOW + hour * QUIET_SECONDS).after
    assert {hours for _, hours in told.said.values()} == {QUIET_HOURS}

    assert Told.read(told.text()) == told
    assert len(told.text()) < 4000


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "no JSON",
        "[]",
        "{}",
        "null",
        "17",
        '{"until": "x"}',
        '{"until": 1, "said": 5}',
        '{"until": 1, "said": {"a": 1}}',
        '{"unknown": 1}',
    ],
)
def test_a_lost_or_malformed_cursor_is_none(text: str | None) -> None:
    assert Told.read(text) is None


def test_a_run_is_looked_at_once_though_runs_are_recorded_out_of_order() -> None:
    first, second = Happened("first_run", 1100.0), Happened("second_run", 1050.0)
    told = Told(until=1000.0).looked_at([first, second], 1100.0)

    assert told.knows(first, 1100.0)
    assert told.knows(second, 1100.0)
    assert not told.knows(Happened("late_one", 1045.0), 1100.0)
    assert told.knows(Happened("ancient_one", 1000.0), 1100.0)


def test_what_no_receiver_would_have_is_counted_in_the_next_message() -> None:
    told = NOTHING.refused().refused().gave_up(4)

    payload = compose([failed_run("2025-03-01")], told, NOW).payload

    assert payload is not None
    assert payload["dropped"] == 4
    assert "4 lost, because this address refused them" in payload["text"].lower()


def test_a_dataset_is_missed_once_a_day_from_thirty_hours_after_its_last_success() -> None:
    told, missed = NOTHING, []
    for hour in range(100):
        if hour == 5:
            told = told.heard_of({"fine": NOW + 5 * QUIET_SECONDS, "gone": NOW})
        silent, told = told.missed(["fine"], NOW + hour * QUIET_SECONDS)
        missed += [hour] * len(silent)

    assert missed == [35, 59, 83]
    assert len(told.succeeded) == 1
    assert Told.read(told.text()) == told
