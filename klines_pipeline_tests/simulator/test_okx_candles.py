"""OKX's candles: which ones a request selects, which is still forming, what is refused."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline_tests.simulator.okx_reader import DAY, HOUR, MINUTE, OkxReader, ms

NOON = ms("2025-03-01T12:00")
NOW = ms("2025-03-04T09:00")
BOTH = ["market/candles", "market/history-candles"]


@pytest.fixture
def okx(exchange: EmbeddedExchange) -> Iterator[OkxReader]:
    with OkxReader.of(exchange) as reader:
        yield reader.unlimited()


def opens(rows: list[list[str]]) -> list[int]:
    return [int(row[0]) for row in rows]


@pytest.mark.parametrize("path", BOTH)
def test_rows_are_nine_strings_and_come_newest_first(okx: OkxReader, path: str) -> None:
    rows = okx.data(path, instId="BTC-USDT")

    assert len(rows) == 100
    assert {len(row) for row in rows} == {9}
    assert {type(cell) for row in rows for cell in row} == {str}
    assert opens(rows) == [NOW - place * MINUTE for place in range(100)]


def test_after_is_strictly_older_and_before_strictly_newer(okx: OkxReader) -> None:
    assert opens(okx.history("BTC-USDT", after=NOON, limit=2)) == [NOON - MINUTE, NOON - 2 * MINUTE]
    assert opens(okx.history("BTC-USDT", after=NOON + 1, limit=1)) == [NOON]
    assert opens(okx.history("BTC-USDT", after=NOON, before=NOON - 3 * MINUTE)) == [NOON - MINUTE, NOON - 2 * MINUTE]
    assert opens(okx.history("BTC-USDT", after=NOON, before=NOON - 3 * MINUTE - 1))[-1] == NOON - 3 * MINUTE
    assert okx.history("BTC-USDT", after=NOON, before=NOON - MINUTE) == []
    assert okx.history("BTC-USDT", after=NOON, before=NOON + HOUR) == []


def test_before_alone_gives_the_latest_bars_and_not_the_ones_after_it(okx: OkxReader) -> None:
    assert opens(okx.history("BTC-USDT", before=NOON, limit=2)) == [NOW, NOW - MINUTE]
    assert opens(okx.recent("BTC-USDT", before=NOW - MINUTE)) == [NOW]
    assert okx.recent("BTC-USDT", before=NOW) == []


def test_bounds_beyond_all_time_select_all_or_nothing(okx: OkxReader) -> None:
    for bar in ("1m", "1Mutc"):
        assert okx.history("BTC-USDT", bar=bar, after=0) == []
        assert okx.history("BTC-USDT", bar=bar, before=9_999_999_999_999_999) == []
        assert len(okx.history("BTC-USDT", bar=bar, after=9_999_999_999_999_999, before=0, limit=2)) == 2


def test_a_larger_limit_is_answered_with_the_most_there_is(okx: OkxReader) -> None:
    assert len(okx.history("BTC-USDT", after=NOON, limit=300)) == 300
    assert len(okx.history("BTC-USDT", after=NOON, limit=1000)) == 300
    okx.switch(most_rows=100)
    assert len(okx.history("BTC-USDT", after=NOON, limit=300)) == 100
    assert len(okx.recent("BTC-USDT", limit=300)) == 100


def test_pages_reach_back_through_a_day_without_a_hole(okx: OkxReader) -> None:
    start = ms("2025-03-02T00:00")

    assert opens(okx.whole("BTC-USDT-SWAP", start, start + DAY)) == list(range(start, start + DAY, MINUTE))


@pytest.mark.parametrize(("bar", "length"), [("1m", MINUTE), ("1H", HOUR)])
def test_recent_candles_reach_back_1440_bars_and_history_goes_on(okx: OkxReader, bar: str, length: int) -> None:
    oldest = NOW - 1439 * length

    assert opens(okx.recent("BTC-USDT", bar=bar, after=oldest + length)) == [oldest]
    assert okx.recent("BTC-USDT", bar=bar, after=oldest) == []
    assert okx.history("BTC-USDT", bar=bar, after=oldest, limit=1)[0][0] == str(oldest - length)


@pytest.mark.parametrize("path", BOTH)
def test_the_forming_bar_comes_first_and_grows_until_confirmed(
    exchange: EmbeddedExchange, okx: OkxReader, path: str
) -> None:
    def newest(second: int) -> list[str]:
        exchange.set_clock(datetime(2025, 3, 4, 9, 0, second, tzinfo=UTC))
        return okx.data(path, instId="BTC-USDT", limit=2)[0]

    early, late = newest(10), newest(50)
    exchange.set_clock(datetime(2025, 3, 4, 9, 1, tzinfo=UTC))
    final = okx.data(path, instId="BTC-USDT", limit=2)[1]

    assert early[0] == late[0] == final[0] == str(NOW)
    assert [early[8], late[8], final[8]] == ["0", "0", "1"]
    assert early[1] == late[1] == final[1]
    assert 0 < float(early[5]) < float(late[5]) < float(final[5])


def test_a_forming_bar_without_a_trade_repeats_the_close_before_it(exchange: EmbeddedExchange, okx: OkxReader) -> None:
    silent = []
    for minute in range(60):
        exchange.set_clock(datetime(2025, 3, 4, 9, minute, tzinfo=UTC))
        forming, before = okx.recent("NOVA-USDT", limit=2)
        if forming[5] == "0":
            silent.append(minute)
            assert forming[1:] == [before[4]] * 4 + ["0", "0", "0", "0"]

    assert 0 < len(silent) < 60


@pytest.mark.parametrize("bar", ["1s", "8H", "1h", "1d", "1dutc", "7m", "1Hutc"])
@pytest.mark.parametrize("path", BOTH)
def test_a_bar_it_does_not_have_is_refused_with_http_200(okx: OkxReader, path: str, bar: str) -> None:
    answer = okx.get(path, instId="BTC-USDT", bar=bar)

    assert answer.status_code == 200
    assert answer.json() == {"code": "51000", "msg": "Parameter bar error", "data": []}


def test_candles_begin_years_before_the_listing_time(okx: OkxReader) -> None:
    for name, first in (("BTC-USDT", "2018-01-11T10:00"), ("BTC-USDT-SWAP", "2019-12-16T08:00")):
        assert opens(okx.history(name, after=ms(first) + MINUTE)) == [ms(first)]
        assert okx.history(name, after=ms(first)) == []


def test_candles_of_a_delisted_swap_end_and_can_be_switched_off(okx: OkxReader) -> None:
    last = okx.history("LUNA-USDT-SWAP", limit=1)[0]

    assert (last[0], last[8]) == (str(ms("2022-05-13T01:59")), "1")
    assert okx.recent("LUNA-USDT-SWAP") == []
    okx.switch(delisted_answer=False)
    assert okx.refusal("market/history-candles", instId="LUNA-USDT-SWAP") == (200, "51001")


def test_an_instrument_is_unknown_until_its_first_candle(exchange: EmbeddedExchange, okx: OkxReader) -> None:
    exchange.set_clock(datetime(2025, 3, 3, 11, 59, 59, tzinfo=UTC))
    early = okx.refusal("market/candles", instId="NOVA-USDT")
    exchange.set_clock(datetime(2025, 3, 3, 12, tzinfo=UTC))

    assert early == (200, "51001")
    assert opens(okx.recent("NOVA-USDT")) == [ms("2025-03-03T12:00")]


@pytest.mark.parametrize("path", BOTH)
@pytest.mark.parametrize(
    ("query", "refusal"),
    [
        ({}, (400, "50014")),
        ({"instId": ""}, (400, "50014")),
        ({"instId": "NOPE-USDT"}, (200, "51001")),
        ({"instId": "btc-usdt"}, (200, "51001")),
        ({"instId": "BTC-USDT", "after": "2025-03-01"}, (200, "51000")),
        ({"instId": "BTC-USDT", "before": "-1"}, (200, "51000")),
        ({"instId": "BTC-USDT", "limit": "0"}, (200, "51000")),
        ({"instId": "BTC-USDT", "limit": "ten"}, (200, "51000")),
    ],
)
def test_refusals_come_in_the_envelope(
    okx: OkxReader, path: str, query: dict[str, Any], refusal: tuple[int, str]
) -> None:
    assert okx.refusal(path, **query) == refusal
