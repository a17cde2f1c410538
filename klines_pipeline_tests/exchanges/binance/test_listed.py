"""A look at the bucket within a time: what is there, what could not be listed, whom there was no time for."""

from datetime import date

from klines_pipeline.domain.interval import Interval
from klines_pipeline.exchanges.protocols import Listed
from klines_pipeline.exchanges.registry import connect
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline_tests.conftest import endpoints_of, impatient

FIRST, LAST = date(2025, 3, 2), date(2025, 3, 3)
SYMBOLS = ("BTCUSDT", "ETHUSDT", "币安人生USDT")


def look(exchange: EmbeddedExchange, *symbols: str, seconds: float = 30.0, venue: str = "binance/spot") -> Listed:
    market = connect(*venue.split("/"), endpoints_of(exchange))
    try:
        return market.archive.listed(symbols, Interval.parse("1m"), FIRST, LAST, seconds=seconds)
    finally:
        market.api.close()


def test_one_request_a_symbol_tells_etag_size_and_times_of_the_days_asked_alone(exchange: EmbeddedExchange) -> None:
    seen = look(exchange, *SYMBOLS)

    assert seen.archives.keys() == {(symbol, day) for symbol in SYMBOLS for day in (FIRST, LAST)}
    found = seen.archives["币安人生USDT", LAST]
    assert found.last_modified == exchange.publication_time("币安人生USDT", LAST) == found.checksum_modified
    assert (len(found.etag), found.size > 0) == (32, True)
    assert seen.now == exchange.now()
    assert seen.requests == exchange.requests()["listing"] == len(SYMBOLS)


def test_a_version_that_is_published_anew_has_another_etag(exchange: EmbeddedExchange) -> None:
    before = look(exchange, "BTCUSDT").archives["BTCUSDT", LAST]
    exchange.revise(before.key)

    after = look(exchange, "BTCUSDT").archives["BTCUSDT", LAST]

    assert after.etag != before.etag
    assert after.last_modified == exchange.now()


def test_without_time_nobody_is_asked_and_everybody_named(exchange: EmbeddedExchange) -> None:
    seen = look(exchange, *SYMBOLS, seconds=0.0)

    assert (seen.unasked, seen.now, seen.requests) == ([*SYMBOLS], None, 0)
    assert exchange.requests()["total"] == 0


def test_a_hiccup_is_asked_again_at_once_and_what_lasts_is_told(exchange: EmbeddedExchange) -> None:
    exchange.add_fault(kind="status", status=503, group="listing", times=1)
    assert look(exchange, "BTCUSDT").failed == {}

    exchange.add_fault(kind="status", status=503, group="listing", times=2)
    assert "answered HTTP 503" in str(look(exchange, "BTCUSDT").failed["BTCUSDT"])


def test_a_dark_bucket_is_not_besieged(exchange: EmbeddedExchange) -> None:
    exchange.add_fault(kind="status", status=403, group="listing")
    symbols = [f"X{number:04d}USDT" for number in range(300)]

    seen = look(exchange, *symbols)

    assert seen.failed.keys() == {*symbols}
    assert seen.now is None
    assert seen.requests == exchange.requests()["listing"] < 100


def test_a_market_without_archives_tells_the_time_alone_for_one_request(exchange: EmbeddedExchange) -> None:
    seen = look(exchange, "BTC-USDT", venue="okx/spot")

    assert (seen.now, dict(seen.archives), seen.failed, seen.requests) == (exchange.now(), {}, {}, 1)


def test_a_market_without_archives_that_does_not_answer_fails_its_symbols(exchange: EmbeddedExchange) -> None:
    market = impatient(exchange, "okx/spot")
    exchange.add_fault(kind="status", status=503, group="rest")

    seen = market.archive.listed(["BTC-USDT"], Interval.parse("1m"), FIRST, LAST, seconds=30.0)
    market.api.close()

    assert (seen.now, [*seen.failed]) == (None, ["BTC-USDT"])


def test_a_firewall_still_tells_the_time(exchange: EmbeddedExchange) -> None:
    exchange.add_fault(kind="blocked", group="rest")

    assert look(exchange, "BTC-USDT", venue="okx/spot").now == exchange.now()
