"""The exchange's clock decides what is closed, due and expected; an unfinished kline is never stored."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.conftest import certificate, make_dataset, read_day
from klines_pipeline_tests.faults.conftest import Recovery, Runner, asked, asked_klines, assert_good
from klines_pipeline_tests.faults.lakes import all_files

TODAY = "2025-03-04"
NINE = datetime(2025, 3, 4, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("past_nine", "closed"),
    [
        (timedelta(), 540),
        (timedelta(microseconds=1), 540),
        (timedelta(seconds=59, milliseconds=999), 540),
        (timedelta(minutes=1), 541),
        (timedelta(hours=8), 1020),
    ],
    ids=str,
)
def test_the_day_in_progress_gets_its_closed_klines_so_far(
    exchange: EmbeddedExchange, run: Runner, lake: Lake, past_nine: timedelta, closed: int
) -> None:
    exchange.set_clock(NINE + past_nine)

    assert_good(run(make_dataset("BTCUSDT"), TODAY))

    so_far, rows = certificate(lake, "BTCUSDT", TODAY), read_day(lake, "klines", TODAY)
    assert (so_far["expected"], so_far["present"], so_far["from_rest"], so_far["missing"]) == (
        closed,
        closed,
        closed,
        0,
    )
    assert rows["open_time"].max() == datetime(2025, 3, 4, tzinfo=UTC) + timedelta(minutes=closed - 1)


def test_an_unfinished_kline_in_an_answer_is_dropped(exchange: EmbeddedExchange, run: Runner, lake: Lake) -> None:
    exchange.set_clock(NINE + timedelta(seconds=30))
    query = {"symbol": "BTCUSDT", "interval": "1h", "startTime": "1741046400000"}
    answer = httpx.get(f"{exchange.url}/api/v3/klines", params=query)
    assert len(answer.json()) == 10
    exchange.add_fault(kind="status", status=200, body=answer.text, match="/api/v3/klines")

    assert_good(run(make_dataset("BTCUSDT", interval="1h"), TODAY))

    assert read_day(lake, "klines", TODAY, interval="1h")["open_time"].max() == NINE - timedelta(hours=1)
    assert read_day(lake, "rest_klines", TODAY, interval="1h").height == 9
    assert certificate(lake, "BTCUSDT", TODAY, interval="1h")["expected"] == 9


def test_a_later_run_asks_only_for_what_is_new(exchange: EmbeddedExchange, run: Runner, lake: Lake) -> None:
    dataset = make_dataset("BTCUSDT")
    run(dataset, TODAY)
    exchange.set_clock(NINE + timedelta(minutes=20))
    exchange.reset_requests()

    assert_good(run(dataset, TODAY))

    rows = read_day(lake, "klines", TODAY)
    assert rows.height == 560
    assert rows["ingested_at"].n_unique() == 2
    assert asked_klines(exchange) == 1

    exchange.reset_requests()
    assert_good(run(dataset, TODAY))
    assert asked_klines(exchange) == 0


def test_a_day_watched_hour_by_hour_ends_as_the_archive_has_it(
    exchange: EmbeddedExchange, run: Runner, lake: Lake, assert_recovers: Recovery
) -> None:
    dataset, midnight = make_dataset("BTCUSDT", "ETHUSDT"), datetime(2025, 3, 4, tzinfo=UTC)
    present = []
    for hours in (1, 7, 16, 17, 23, 24, 26):
        exchange.set_clock(midnight + timedelta(hours=hours, seconds=17))
        assert_good(run(dataset, TODAY))
        present.append(certificate(lake, "ETHUSDT", TODAY)["present"])

    assert present == [60, 420, 960, 1020, 1380, 1440, 1440]

    exchange.set_clock(midnight + timedelta(days=1, hours=9))
    assert_recovers(dataset, TODAY)
    confirmed = certificate(lake, "ETHUSDT", TODAY)
    assert (confirmed["from_vision"], confirmed["conflicts"]) == (1440, 0)


def test_before_its_first_kline_is_closed_a_day_expects_nothing(
    exchange: EmbeddedExchange, run: Runner, lake: Lake
) -> None:
    exchange.set_clock(datetime(2025, 3, 5, 0, 0, 59, tzinfo=UTC))

    assert_good(run(make_dataset("BTCUSDT"), "2025-03-05"))

    nothing = certificate(lake, "BTCUSDT", "2025-03-05")
    assert (nothing["expected"], nothing["present"], nothing["missing"], nothing["reason"]) == (0, 0, 0, None)
    assert read_day(lake, "klines", "2025-03-05").height == 0
    assert asked_klines(exchange) == 0


def test_a_day_that_has_not_begun_is_refused_and_leaves_no_file(
    exchange: EmbeddedExchange, run: Runner, lake: Lake
) -> None:
    exchange.set_clock(datetime(2025, 3, 4, 23, 59, 59, tzinfo=UTC))

    [today, tomorrow] = run(make_dataset("BTCUSDT"), TODAY, "2025-03-05")

    assert_good([today])
    expected = "2025-03-05 has not begun yet: on binance it is 2025-03-04 23:59 UTC."
    assert set(tomorrow.failures.values()) == {expected}
    assert not [path for path in all_files(lake) if "2025-03-05" in path]


@pytest.mark.parametrize("year", [2021, 2031])
def test_the_machines_clock_decides_nothing(exchange: EmbeddedExchange, run: Runner, lake: Lake, year: int) -> None:
    exchange.set_clock(datetime(year, 6, 15, 9, tzinfo=UTC))
    day = f"{year}-06-15"

    assert_good(run(make_dataset("BTCUSDT"), day))

    assert certificate(lake, "BTCUSDT", day)["expected"] == 540
    assert read_day(lake, "klines", day)["ingested_at"].unique().to_list() == [datetime(year, 6, 15, 9, tzinfo=UTC)]


def test_the_day_in_progress_needs_no_bucket(exchange: EmbeddedExchange, run: Runner, lake: Lake) -> None:
    exchange.add_fault(kind="status", status=403, group="listing")

    assert_good(run(make_dataset("BTCUSDT"), TODAY))

    assert certificate(lake, "BTCUSDT", TODAY)["from_rest"] == 540
    assert asked(exchange)["archives"] == 0


def test_a_kline_still_settling_is_asked_again_later(exchange: EmbeddedExchange, run: Runner, lake: Lake) -> None:
    dataset = make_dataset("BTCUSDT")
    query = {"symbol": "BTCUSDT", "interval": "1m", "startTime": "1741046400000", "limit": "539"}
    lagging = httpx.get(f"{exchange.url}/api/v3/klines", params=query).text
    exchange.add_fault(kind="status", status=200, body=lagging, match="/api/v3/klines", times=1)

    assert_good(run(dataset, TODAY))

    assert (certificate(lake, "BTCUSDT", TODAY)["present"], certificate(lake, "BTCUSDT", TODAY)["missing"]) == (539, 1)

    exchange.set_clock(NINE + timedelta(seconds=30))
    assert_good(run(dataset, TODAY))

    assert (certificate(lake, "BTCUSDT", TODAY)["present"], certificate(lake, "BTCUSDT", TODAY)["missing"]) == (540, 0)
