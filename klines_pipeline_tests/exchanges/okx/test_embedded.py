"""OKX REST, asked at the embedded exchange: windows of every interval, older deployments, first candles, delistings."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from klines_pipeline.domain.interval import Interval
from klines_pipeline.exchanges.okx.bars import BARS
from klines_pipeline.exchanges.okx.connect import connect
from klines_pipeline.exchanges.protocols import KlineApi
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline_tests.conftest import endpoints_of

ONE_MINUTE, ONE_DAY = Interval.parse("1m"), Interval.parse("1d")
DAY = datetime(2025, 3, 2, tzinfo=UTC)


Connect = Callable[[str], KlineApi]


@pytest.fixture
def api_of(exchange: EmbeddedExchange) -> Iterator[Connect]:
    """A market's REST service."""
    made: list[KlineApi] = []

    def connected(market: str) -> KlineApi:
        made.append(connect(market, endpoints_of(exchange)).api)
        return made[-1]

    yield connected
    for api in made:
        api.close()


def switch(exchange: EmbeddedExchange, **settings: object) -> None:
    """Change what the make-believe OKX is."""
    httpx.post(f"{exchange.url}/control/okx", json=settings).raise_for_status()


def test_server_time_is_the_exchanges(api_of: Connect, exchange: EmbeddedExchange) -> None:
    assert api_of("spot").now() == exchange.now()


def test_each_market_names_its_own_instruments_that_trade(api_of: Connect) -> None:
    spot, swap = api_of("spot").symbols(), api_of("swap").symbols()

    assert (spot["BTC-USDT"].base, spot["BTC-USDT"].quote, spot["BTC-USDT"].status) == ("BTC", "USDT", "live")
    assert swap["BTC-USDT-SWAP"].contract_size == 0.01
    assert swap["BTC-USD-SWAP"].quote == "USD"
    assert not spot.keys() & swap.keys()
    assert "LUNA-USDT-SWAP" not in swap


@pytest.mark.parametrize("interval", BARS)
def test_a_utc_day_has_its_klines_of_every_interval_on_the_utc_grid(api_of: Connect, interval: str) -> None:
    length = Interval.parse(interval)
    count = min(length.bars_per_day, 300)

    times = api_of("spot").klines("BTC-USDT", length, DAY, DAY + timedelta(days=1)).frame["open_time"]

    assert times.to_list() == [DAY + number * length.duration for number in range(count)]


@pytest.mark.parametrize(("market", "symbol"), [("spot", "ETH-USDT"), ("swap", "ETH-USDT-SWAP")])
def test_windows_neither_lose_nor_double_what_the_day_has(api_of: Connect, market: str, symbol: str) -> None:
    api, slice_length = api_of(market), timedelta(minutes=300)

    windows = [(DAY + number * slice_length, DAY + (number + 1) * slice_length) for number in range(5)]
    frames = [api.klines(symbol, ONE_MINUTE, *window).frame for window in windows]
    (day,) = api.klines(symbol, ONE_DAY, DAY, DAY + timedelta(days=1)).frame.rows(named=True)

    in_day = [frame.filter(frame["open_time"] < DAY + timedelta(days=1)) for frame in frames]
    assert [frame.height for frame in in_day] == [300, 300, 300, 300, 240]
    assert sum(float(frame["volume"].sum()) for frame in in_day) == pytest.approx(day["volume"])
    assert sum(float(frame["quote_volume"].sum()) for frame in in_day) == pytest.approx(day["quote_volume"])


def test_volume_times_price_is_quote_volume_in_swaps_too(api_of: Connect) -> None:
    for symbol in ("BTC-USDT-SWAP", "BTC-USD-SWAP"):
        frame = api_of("swap").klines(symbol, ONE_MINUTE, DAY, DAY + timedelta(minutes=5)).frame

        averages = frame["quote_volume"] / frame["volume"]
        assert (averages <= frame["high"] * 1.001).all()
        assert (averages >= frame["low"] * 0.999).all()


@pytest.mark.parametrize("most", [300, 100, 7])
def test_however_many_rows_an_answer_has_the_window_is_whole(
    api_of: Connect, exchange: EmbeddedExchange, most: int
) -> None:
    switch(exchange, most_rows=most, window_seconds=0.001)
    minutes = 2 * most

    answer = api_of("spot").klines("BTC-USDT", ONE_MINUTE, DAY, DAY + timedelta(minutes=min(minutes, 300)))

    assert answer.frame["open_time"].to_list() == [DAY + timedelta(minutes=n) for n in range(min(minutes, 300))]
    assert answer.weight == (1 if most == 300 else min(minutes, 300) // most)


def test_the_forming_candle_does_not_leave(api_of: Connect, exchange: EmbeddedExchange) -> None:
    exchange.set_clock(DAY + timedelta(minutes=4, seconds=30))
    api = api_of("spot")
    api.now()

    answer = api.klines("BTC-USDT", ONE_MINUTE, DAY, DAY + timedelta(minutes=5))

    assert answer.frame["open_time"].to_list() == [DAY + timedelta(minutes=minute) for minute in range(4)]
    assert exchange.requests()["rest"] == {"public/time": 1, "market/candles": 1}


def test_the_first_candle_may_be_older_than_the_listing_says(api_of: Connect, exchange: EmbeddedExchange) -> None:
    api, born = api_of("spot"), datetime(2018, 1, 11, 10, tzinfo=UTC)
    since = api.symbols()["BTC-USDT"].since
    api.now()
    exchange.reset_requests()

    assert api.first_open_time("BTC-USDT", ONE_MINUTE) == born
    assert since is not None
    assert since > born
    assert exchange.requests()["rest_total"] == 3


@pytest.mark.parametrize(
    ("market", "symbol", "interval", "first"),
    [
        ("spot", "NOVA-USDT", "1m", datetime(2025, 3, 3, 12, tzinfo=UTC)),
        ("spot", "NOVA-USDT", "12h", datetime(2025, 3, 3, 12, tzinfo=UTC)),
        ("spot", "NOVA-USDT", "1d", datetime(2025, 3, 3, tzinfo=UTC)),
        ("swap", "LUNA-USDT-SWAP", "1h", datetime(2021, 3, 5, 8, tzinfo=UTC)),
        ("swap", "LUNA-USDT-SWAP", "6h", datetime(2021, 3, 5, 6, tzinfo=UTC)),
        ("spot", "NO-SUCH", "1m", None),
    ],
)
def test_the_first_kline_is_found_by_its_interval(
    api_of: Connect, market: str, symbol: str, interval: str, first: datetime | None
) -> None:
    assert api_of(market).first_open_time(symbol, Interval.parse(interval)) == first


def test_older_deployments_tell_the_first_candle_too(api_of: Connect, exchange: EmbeddedExchange) -> None:
    switch(exchange, most_rows=100)

    assert api_of("swap").first_open_time("BTC-USD-SWAP", ONE_MINUTE) == datetime(2018, 12, 14, 8, tzinfo=UTC)


@pytest.mark.parametrize(("stays", "status", "rows"), [(True, 200, 5), (False, 400, 0)], ids=["kept", "forgotten"])
def test_a_delisted_swap_is_answered_as_long_as_okx_keeps_it(
    api_of: Connect, exchange: EmbeddedExchange, stays: object, status: int, rows: int
) -> None:
    switch(exchange, delisted_answer=stays)
    start = datetime(2022, 5, 1, tzinfo=UTC)

    answer = api_of("swap").klines("LUNA-USDT-SWAP", ONE_MINUTE, start, start + timedelta(minutes=5))

    assert (answer.http_status, answer.frame.height) == (status, rows)
