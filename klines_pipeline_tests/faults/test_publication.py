"""Archives that are not there: not yet, not ever, or because the symbol was not."""

from datetime import UTC, datetime

import pytest

from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.conftest import archive_entry, certificate, make_dataset, read_day
from klines_pipeline_tests.faults.archives import key_of
from klines_pipeline_tests.faults.conftest import Recovery, Runner, asked, asked_klines, assert_good

YESTERDAY = "2025-03-03"


def test_a_day_not_yet_published_is_topped_up_and_later_confirmed(
    exchange: EmbeddedExchange, run: Runner, lake: Lake, assert_recovers: Recovery
) -> None:
    dataset = make_dataset("BTCUSDT", "ETHUSDT")
    exchange.set_clock(datetime(2025, 3, 4, 1, tzinfo=UTC))

    assert_good(run(dataset, YESTERDAY))

    assert archive_entry(lake, "BTCUSDT", YESTERDAY)["state"] == "not_published"
    early = certificate(lake, "BTCUSDT", YESTERDAY)
    assert (early["from_vision"], early["from_rest"], early["missing"], early["reason"]) == (0, 1440, 0, None)
    assert asked(exchange) == {"archives": 0, "checksums": 0, "rest": 5}

    exchange.set_clock(datetime(2025, 3, 4, 9, tzinfo=UTC))
    exchange.reset_requests()
    assert_good(run(dataset, YESTERDAY))

    late = certificate(lake, "BTCUSDT", YESTERDAY)
    assert archive_entry(lake, "BTCUSDT", YESTERDAY)["state"] == "ok"
    assert (late["from_vision"], late["from_rest"], late["conflicts"]) == (1440, 0, 0)
    assert late["fingerprint"] == early["fingerprint"]
    assert asked(exchange) == {"archives": 2, "checksums": 2, "rest": 0}
    assert_recovers(dataset, YESTERDAY)


def test_a_topped_up_day_is_not_asked_again_while_its_archive_is_awaited(
    exchange: EmbeddedExchange, run: Runner
) -> None:
    dataset = make_dataset("BTCUSDT")
    exchange.set_clock(datetime(2025, 3, 4, 1, tzinfo=UTC))
    run(dataset, YESTERDAY)
    exchange.reset_requests()

    assert_good(run(dataset, YESTERDAY))

    assert asked(exchange) == {"archives": 0, "checksums": 0, "rest": 0}


def test_an_archive_that_never_appears_is_replaced_by_rest(
    run: Runner, lake: Lake, exchange: EmbeddedExchange, assert_recovers: Recovery
) -> None:
    dataset = make_dataset("BTCUSDT", "XRPUSDT")

    assert_good(run(dataset, "2025-03-01"))

    withheld = certificate(lake, "XRPUSDT", "2025-03-01")
    assert archive_entry(lake, "XRPUSDT", "2025-03-01")["state"] == "not_published"
    assert (withheld["from_vision"], withheld["from_rest"], withheld["missing"]) == (0, 1440, 0)
    assert certificate(lake, "BTCUSDT", "2025-03-01")["from_vision"] == 1440
    assert asked_klines(exchange) == 2
    assert_recovers(dataset, "2025-03-01")


def test_an_archive_listed_but_not_found_counts_as_not_published(
    exchange: EmbeddedExchange, run: Runner, lake: Lake, assert_recovers: Recovery
) -> None:
    dataset, day = make_dataset("BTCUSDT", "ETHUSDT"), "2024-03-01"
    exchange.add_fault(kind="status", status=404, match=f"/{key_of('ETHUSDT', day)}")

    assert_good(run(dataset, day))

    assert archive_entry(lake, "ETHUSDT", day)["state"] == "not_published"
    assert certificate(lake, "ETHUSDT", day)["from_rest"] == 1440
    assert certificate(lake, "BTCUSDT", day)["from_vision"] == 1440
    assert_recovers(dataset, day)


@pytest.mark.parametrize(
    ("symbol", "day", "reason"),
    [("ARBUSDT", "2023-03-01", "not_listed"), ("LUNAUSDT", "2022-06-20", "delisted")],
)
def test_a_symbol_outside_of_its_life_costs_no_request(
    run: Runner, lake: Lake, exchange: EmbeddedExchange, assert_recovers: Recovery, symbol: str, day: str, reason: str
) -> None:
    dataset = make_dataset("BTCUSDT", symbol)

    assert_good(run(dataset, day))

    absent = certificate(lake, symbol, day)
    assert archive_entry(lake, symbol, day)["state"] == "not_published"
    assert (absent["expected"], absent["present"], absent["missing"], absent["reason"]) == (1440, 0, 1440, reason)
    assert read_day(lake, "klines", day)["symbol"].unique().to_list() == ["BTCUSDT"]
    assert asked(exchange) == {"archives": 1, "checksums": 1, "rest": 0}
    assert_recovers(dataset, day)


@pytest.mark.parametrize(
    ("symbol", "day", "present", "reason"),
    [("ARBUSDT", "2023-03-23", 540, "not_listed"), ("LUNAUSDT", "2022-05-13", 40, "delisted")],
)
def test_the_first_and_the_last_day_say_why_they_are_short(
    run: Runner,
    lake: Lake,
    exchange: EmbeddedExchange,
    assert_recovers: Recovery,
    symbol: str,
    day: str,
    present: int,
    reason: str,
) -> None:
    dataset = make_dataset(symbol)

    assert_good(run(dataset, day))

    short = certificate(lake, symbol, day)
    assert archive_entry(lake, symbol, day)["state"] == "ok"
    assert (short["from_vision"], short["missing"], short["reason"]) == (present, 1440 - present, reason)
    assert_recovers(dataset, day)


def test_between_two_lives_rest_is_asked_once_and_has_nothing(
    run: Runner, lake: Lake, exchange: EmbeddedExchange, assert_recovers: Recovery
) -> None:
    dataset, day = make_dataset("USDCUSDT"), "2022-12-01"

    assert_good(run(dataset, day))

    assert archive_entry(lake, "USDCUSDT", day)["state"] == "not_published"
    assert read_day(lake, "ledger/slices", day)["state"].unique().to_list() == ["no_data"]
    assert certificate(lake, "USDCUSDT", day)["reason"] == "delisted"
    assert asked_klines(exchange) == 2
    assert_recovers(dataset, day)
