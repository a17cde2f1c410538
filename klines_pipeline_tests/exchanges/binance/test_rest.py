"""Binance REST, asked at the embedded exchange: time, symbols, klines of a half-open window."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from klines_pipeline.domain.interval import Interval
from klines_pipeline.exchanges.binance.connect import connect
from klines_pipeline.exchanges.protocols import KlineApi
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline_tests.conftest import endpoints_of

ONE_MINUTE = Interval.parse("1m")
NOON = datetime(2025, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def api(exchange: EmbeddedExchange) -> Iterator[KlineApi]:
    """The spot market's REST service."""
    connected = connect("spot", endpoints_of(exchange)).api
    yield connected
    connected.close()


def test_server_time_is_the_exchanges(api: KlineApi, exchange: EmbeddedExchange) -> None:
    assert api.now() == exchange.now()


def test_symbols_include_those_no_longer_trading(api: KlineApi) -> None:
    symbols = api.symbols()

    assert symbols["BTCUSDT"].status == symbols["币安人生USDT"].status == "TRADING"
    assert symbols["LUNAUSDT"].status != "TRADING"


@pytest.mark.parametrize("minutes", [1, 7, 1000])
def test_a_window_has_the_klines_that_open_from_its_start_to_before_its_end(api: KlineApi, minutes: int) -> None:
    start = NOON - timedelta(minutes=500)

    answer = api.klines("BTCUSDT", ONE_MINUTE, start, start + timedelta(minutes=minutes))

    times = answer.frame["open_time"]
    assert times.to_list() == [start + timedelta(minutes=minute) for minute in range(minutes)]
    assert (answer.attempts, answer.http_status, api.requests) == (1, 200, 1)


def test_a_window_longer_than_the_limit_gives_its_first_klines(api: KlineApi) -> None:
    answer = api.klines("BTCUSDT", ONE_MINUTE, NOON, NOON + timedelta(minutes=2000))

    assert (answer.frame.height, answer.frame["open_time"][0]) == (api.limit, NOON)


@pytest.mark.parametrize("symbol", ["NOSUCHUSDT", "LUNAUSDT"], ids=["unknown here", "delisted"])
def test_a_symbol_that_does_not_trade_gives_no_rows_and_no_error(api: KlineApi, symbol: str) -> None:
    answer = api.klines(symbol, ONE_MINUTE, NOON, NOON + timedelta(minutes=5))

    assert answer.frame.height == 0
