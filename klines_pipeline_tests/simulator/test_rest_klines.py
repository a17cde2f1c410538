"""The klines endpoint and its neighbours: selection, refusals, the forming kline."""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from klines_pipeline.simulator.server import EmbeddedExchange

MINUTE = 60_000
START = 1_740_787_200_000
"""2025-03-01T00:00Z in ms."""


def ask(http: httpx.Client, **query: Any) -> list[list[Any]]:
    answer = http.get("/api/v3/klines", params={"symbol": "BTCUSDT", "interval": "1m", **query})
    assert answer.status_code == 200, answer.text
    return answer.json()


def opens(rows: list[list[Any]]) -> list[int]:
    return [row[0] for row in rows]


def test_rows_have_the_documented_shape(http: httpx.Client) -> None:
    (row,) = ask(http, startTime=START, limit=1)

    assert [type(cell) for cell in row] == [int, str, str, str, str, str, int, str, int, str, str, str]
    assert row[6] == row[0] + MINUTE - 1
    assert row[11] == "0"


def test_both_bounds_select_by_open_time_and_are_included(http: httpx.Client) -> None:
    assert opens(ask(http, startTime=START, endTime=START + 2 * MINUTE)) == [START, START + MINUTE, START + 2 * MINUTE]
    assert opens(ask(http, startTime=START + 1, endTime=START + 2 * MINUTE - 1)) == [START + MINUTE]
    assert opens(ask(http, startTime=START, endTime=START)) == [START]
    assert ask(http, startTime=START + 5, endTime=START + 1) == []


def test_a_start_alone_gives_the_oldest_an_end_alone_the_newest(http: httpx.Client) -> None:
    assert opens(ask(http, startTime=START, limit=2)) == [START, START + MINUTE]
    assert opens(ask(http, endTime=START, limit=2)) == [START - MINUTE, START]
    assert len(ask(http, startTime=START)) == 500
    assert len(ask(http, endTime=START)) == 500


def test_limits_above_a_thousand_are_capped(http: httpx.Client) -> None:
    assert len(ask(http, startTime=START, limit=5000)) == 1000


def test_pages_run_over_days_and_halts(http: httpx.Client) -> None:
    found: list[int] = []
    while not found or found[-1] < START + 3 * 1440 * MINUTE - MINUTE:
        found += opens(
            ask(http, startTime=found[-1] + 1 if found else START, endTime=START + 3 * 1440 * MINUTE - 1, limit=700)
        )

    assert len(found) == 3 * 1440 - 48
    assert found == sorted(set(found))


def test_the_forming_kline_is_included_and_grows(exchange: EmbeddedExchange, http: httpx.Client) -> None:
    exchange.set_clock(datetime(2025, 3, 4, 9, 0, 10, tzinfo=UTC))
    early = ask(http, limit=1)[0]
    exchange.set_clock(datetime(2025, 3, 4, 9, 0, 50, tzinfo=UTC))
    late = ask(http, limit=1)[0]
    exchange.set_clock(datetime(2025, 3, 4, 9, 30, tzinfo=UTC))
    final = ask(http, startTime=late[0], limit=1)[0]
    now = http.get("/api/v3/time").json()["serverTime"]

    assert early[0] == late[0] == final[0]
    assert early[6] == late[6] == final[6]
    assert float(early[5]) < float(late[5]) < float(final[5])
    assert early[1] == final[1]
    assert final[6] < now


@pytest.mark.parametrize("interval", ["1m", "5m", "1h", "4h", "1d", "1s"])
def test_nothing_opens_after_now(http: httpx.Client, interval: str) -> None:
    now = http.get("/api/v3/time").json()["serverTime"]
    rows = ask(http, interval=interval, startTime=now - 86_400_000)

    assert rows
    assert rows[-1][0] <= now
    assert ask(http, interval=interval)[-1][6] >= now
    assert ask(http, interval=interval, startTime=now + 1) == []


def test_a_coarse_forming_kline_is_the_sum_of_its_minutes(exchange: EmbeddedExchange, http: httpx.Client) -> None:
    exchange.set_clock(datetime(2025, 3, 4, 9, 17, 23, tzinfo=UTC))
    hour = ask(http, interval="1h", limit=1)[0]
    minutes = ask(http, startTime=hour[0])

    assert len(minutes) == 18
    assert hour[8] == sum(row[8] for row in minutes)
    assert hour[4] == minutes[-1][4]
    assert hour[2] == max((row[2] for row in minutes), key=float)


def test_times_are_microseconds_when_asked_for(http: httpx.Client) -> None:
    query = {"symbol": "BTCUSDT", "interval": "1m", "startTime": START * 1000, "limit": 1}
    (row,) = http.get("/api/v3/klines", params=query, headers={"X-MBX-TIME-UNIT": "microsecond"}).json()

    assert (row[0], row[6]) == (START * 1000, START * 1000 + 59_999_999)
    assert http.get("/api/v3/time", headers={"X-MBX-TIME-UNIT": "MICROSECOND"}).json() == {
        "serverTime": 1741078800000000
    }


def test_before_listing_and_after_delisting_there_is_nothing(http: httpx.Client) -> None:
    assert ask(http, symbol="ARBUSDT", startTime=START - 900 * 86_400_000, endTime=START - 800 * 86_400_000) == []
    assert ask(http, symbol="LUNAUSDT", startTime=START) == []
    assert ask(http, symbol="LUNAUSDT", limit=1)[0][0] == 1_652_402_340_000


def test_first_kline_can_be_found_from_zero(http: httpx.Client) -> None:
    assert ask(http, startTime=0, limit=1)[0][0] == 1_502_942_400_000
    assert ask(http, startTime=0, limit=1, interval="1d")[0][0] == 1_502_928_000_000


def test_a_non_ascii_symbol_is_served(http: httpx.Client) -> None:
    assert len(ask(http, symbol="币安人生USDT", limit=3)) == 3


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({}, -1102),
        ({"symbol": "BTCUSDT"}, -1102),
        ({"interval": "1m"}, -1102),
        ({"symbol": "", "interval": "1m"}, -1105),
        ({"symbol": "btcusdt", "interval": "1m"}, -1100),
        ({"symbol": "BTC/USDT", "interval": "1m"}, -1100),
        ({"symbol": "A" * 21, "interval": "1m"}, -1100),
        ({"symbol": "NOPEUSDT", "interval": "1m"}, -1121),
        ({"symbol": "BTCUSDT", "interval": "1M "}, -1120),
        ({"symbol": "BTCUSDT", "interval": "7m"}, -1120),
        ({"symbol": "BTCUSDT", "interval": "1m", "limit": "0"}, -1130),
        ({"symbol": "BTCUSDT", "interval": "1m", "limit": "-1"}, -1100),
        ({"symbol": "BTCUSDT", "interval": "1m", "limit": "ten"}, -1100),
        ({"symbol": "BTCUSDT", "interval": "1m", "startTime": "2025-03-01"}, -1100),
        ({"symbol": "BTCUSDT", "interval": "1m", "start": "1"}, -1104),
        ({"symbol": ["BTCUSDT", "ETHUSDT"], "interval": "1m"}, -1101),
    ],
)
def test_refusals_carry_the_documented_code(http: httpx.Client, query: dict[str, Any], code: int) -> None:
    answer = http.get("/api/v3/klines", params=query)

    assert answer.status_code == 400
    assert answer.json()["code"] == code
    assert set(answer.json()) == {"code", "msg"}


def test_a_symbol_does_not_exist_before_its_listing(exchange: EmbeddedExchange, http: httpx.Client) -> None:
    exchange.set_clock(datetime(2025, 3, 3, 11, tzinfo=UTC))

    assert http.get("/api/v3/klines", params={"symbol": "NOVAUSDT", "interval": "1m"}).json()["code"] == -1121


def test_time_and_ping_answer(http: httpx.Client) -> None:
    assert http.get("/api/v3/time").json() == {"serverTime": 1_741_078_800_000}
    assert http.get("/api/v3/ping").text == "{}"


def test_retired_and_unknown_paths(http: httpx.Client) -> None:
    assert http.get("/api/v1/klines").json()["code"] == -1016
    assert http.get("/api/v3/nothing").status_code == 404
    assert http.get("/fapi/v3/klines").status_code == 404
    assert "html" in http.get("/api/v3/nothing", headers={"Accept": "text/html"}).text


def test_exchange_info_lists_delisted_symbols_as_break(http: httpx.Client) -> None:
    symbols = {entry["symbol"]: entry for entry in http.get("/api/v3/exchangeInfo").json()["symbols"]}

    assert symbols["BTCUSDT"]["status"] == "TRADING"
    assert symbols["LUNAUSDT"]["status"] == "BREAK"
    assert (symbols["币安人生USDT"]["baseAsset"], symbols["USDCUSDT"]["quoteAsset"]) == ("币安人生", "USDT")
    assert symbols["BTCUSDT"]["filters"][0]["tickSize"] == "0.01000000"
    assert len(symbols) == 13


def test_exchange_info_can_be_narrowed(http: httpx.Client) -> None:
    def names(**query: str) -> list[str]:
        return [entry["symbol"] for entry in http.get("/api/v3/exchangeInfo", params=query).json()["symbols"]]

    assert names(symbol="ETHUSDT") == ["ETHUSDT"]
    assert names(symbols='["ETHUSDT","币安人生USDT"]') == ["ETHUSDT", "币安人生USDT"]
    assert names(symbolStatus="BREAK", showPermissionSets="false") == ["LUNAUSDT"]


@pytest.mark.parametrize(
    ("query", "code"),
    [({"symbol": "NOPE"}, -1121), ({"symbols": "ETH"}, -1100), ({"symbols": "[" * 5000}, -1100), ({"x": "1"}, -1104)],
)
def test_exchange_info_refuses(http: httpx.Client, query: dict[str, str], code: int) -> None:
    assert http.get("/api/v3/exchangeInfo", params=query).json()["code"] == code
