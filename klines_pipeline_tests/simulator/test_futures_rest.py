"""fapi and dapi: pages of klines, their windows, weights, limits and refusals."""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline_tests.simulator.futures_rest import DAY, HOUR, MINUTE, ask, code_of, instant, klines, told

START = instant("2025-03-01")
SYMBOLS = {"um": "BTCUSDT", "cm": "BTCUSD_PERP"}
BOTH = pytest.mark.parametrize("market", ["um", "cm"])


def opens(rows: list[list[Any]]) -> list[int]:
    return [row[0] for row in rows]


@BOTH
def test_rows_have_the_documented_shape(http: httpx.Client, market: str) -> None:
    (row,) = klines(http, market, SYMBOLS[market], startTime=START, endTime=START)

    assert [type(cell) for cell in row] == [int, str, str, str, str, str, int, str, int, str, str, str]
    assert (row[6], row[11]) == (row[0] + MINUTE - 1, "0")


@BOTH
def test_both_bounds_are_included(http: httpx.Client, market: str) -> None:
    def between(start: int, end: int) -> list[int]:
        return opens(klines(http, market, SYMBOLS[market], startTime=start, endTime=end))

    assert between(START, START + 2 * MINUTE - 1) == [START, START + MINUTE]
    assert between(START, START + 2 * MINUTE) == [START, START + MINUTE, START + 2 * MINUTE]
    assert between(START + 1, START + MINUTE) == [START + MINUTE]
    assert between(START + 5, START + 1) == []


def test_um_pages_begin_at_the_start(http: httpx.Client) -> None:
    first = [START, START + MINUTE]

    assert opens(klines(http, "um", "BTCUSDT", startTime=START, limit=2)) == first
    assert opens(klines(http, "um", "BTCUSDT", startTime=START, endTime=START + DAY, limit=2)) == first
    assert opens(klines(http, "um", "BTCUSDT", endTime=START, limit=2)) == [START - MINUTE, START]


def test_cm_pages_end_at_the_end_of_the_window(http: httpx.Client) -> None:
    end = START + 100 * MINUTE
    far = instant("2022-01-01")

    assert opens(klines(http, "cm", "BTCUSD_PERP", startTime=START, endTime=end, limit=2)) == [end - MINUTE, end]
    assert opens(klines(http, "cm", "BTCUSD_PERP", endTime=end, limit=2)) == [end - MINUTE, end]
    assert opens(klines(http, "cm", "BTCUSD_PERP", "1d", startTime=far, limit=1)) == [far + 200 * DAY]
    assert opens(klines(http, "cm", "BTCUSD_PERP", "1d", startTime=START, limit=1)) == [instant("2025-03-04")]


def test_a_cm_window_is_at_most_200_days(http: httpx.Client) -> None:
    query = {"symbol": "BTCUSD_PERP", "interval": "1d", "startTime": START - 200 * DAY, "limit": 1500}
    only_end = klines(http, "cm", "BTCUSD_PERP", "1d", endTime=START, limit=1500)

    assert len(told(http, "cm", "klines", endTime=START, **query)) == 201
    assert code_of(ask(http, "cm", "klines", endTime=START + 1, **query)) == -1127
    assert opens(only_end)[0] == START - 200 * DAY
    assert ask(http, "um", "klines", symbol="BTCUSDT", interval="1d", startTime=0, endTime=START).status_code == 200


@BOTH
def test_limit_is_500_unless_told_and_at_most_1500(http: httpx.Client, market: str) -> None:
    query = {"symbol": SYMBOLS[market], "interval": "1m"}

    assert len(told(http, market, "klines", **query)) == 500
    assert len(told(http, market, "klines", limit=1500, **query)) == 1500
    assert code_of(ask(http, market, "klines", limit=1501, **query)) == -1130
    assert code_of(ask(http, market, "klines", limit=0, **query)) == -1130


@BOTH
@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"interval": "1s"}, -1120),
        ({"interval": "7m"}, -1120),
        ({"symbol": "NOPEUSDT"}, -1121),
        ({"symbol": ""}, -1105),
        ({"symbol": "btcusdt"}, -1100),
        ({"startTime": "today"}, -1100),
    ],
)
def test_refusals_carry_the_documented_code(
    http: httpx.Client, market: str, changes: dict[str, str], code: int
) -> None:
    query = {"symbol": SYMBOLS[market], "interval": "1m", **changes}

    assert code_of(ask(http, market, "klines", **query)) == code


@BOTH
def test_a_missing_parameter_is_refused_an_unknown_one_is_not(http: httpx.Client, market: str) -> None:
    assert code_of(ask(http, market, "klines", symbol=SYMBOLS[market])) == -1102
    assert code_of(ask(http, market, "klines", interval="1m")) == -1102
    assert ask(http, market, "klines", symbol=SYMBOLS[market], interval="1m", pair="X").status_code == 200


@BOTH
def test_times_are_milliseconds_whatever_is_asked(http: httpx.Client, market: str) -> None:
    path = {"um": "/fapi/v1/", "cm": "/dapi/v1/"}[market]
    query = {"symbol": SYMBOLS[market], "interval": "1m", "limit": 1}
    micro = {"X-MBX-TIME-UNIT": "MICROSECOND"}

    assert len(str(http.get(f"{path}klines", params=query, headers=micro).json()[0][0])) == 13
    assert http.get(f"{path}time", headers=micro).json() == {"serverTime": 1_741_078_800_000}
    assert klines(http, market, SYMBOLS[market], startTime=START * 1000) == []
    assert http.get(f"{path}ping").text == "{}"


@BOTH
def test_the_forming_kline_is_included_and_grows(exchange: EmbeddedExchange, http: httpx.Client, market: str) -> None:
    symbol, seen = SYMBOLS[market], []
    for second in (10, 50):
        exchange.set_clock(datetime(2025, 3, 4, 9, 0, second, tzinfo=UTC))
        seen.append(klines(http, market, symbol, limit=1)[0])
        hour = klines(http, market, symbol, "1h", limit=1)[0]
        assert hour[0] == seen[-1][0]
        assert hour[7] == seen[-1][7]
    exchange.set_clock(datetime(2025, 3, 4, 9, 30, tzinfo=UTC))
    final = klines(http, market, symbol, startTime=seen[0][0], endTime=seen[0][0])[0]

    assert {row[6] for row in (*seen, final)} == {seen[0][0] + MINUTE - 1}
    for place in (5, 7):
        assert float(seen[0][place]) < float(seen[1][place]) < float(final[place])


@BOTH
def test_klines_weigh_by_their_limit(http: httpx.Client, exchange: EmbeddedExchange, market: str) -> None:
    exchange.set_limits(market=market, weight_limit=2400)
    query = {"symbol": SYMBOLS[market], "interval": "1m", "endTime": START}
    used = [
        int(ask(http, market, "klines", limit=limit, **query).headers["X-MBX-USED-WEIGHT-1M"])
        for limit in (1, 99, 100, 499, 500, 1000, 1001, 1500, 1501)
    ]
    by_default = ask(http, market, "klines", **query)
    others = [ask(http, market, name).headers["X-MBX-USED-WEIGHT-1M"] for name in ("ping", "time", "exchangeInfo")]

    assert used == [1, 2, 4, 6, 11, 16, 26, 36, 46]
    assert by_default.headers["X-MBX-USED-WEIGHT-1M"] == "51"
    assert others == ["52", "53", "54"]
    assert "X-MBX-USED-WEIGHT" not in by_default.headers


def test_markets_are_limited_apart(http: httpx.Client, exchange: EmbeddedExchange) -> None:
    exchange.set_limits(market="um", weight_limit=3, window_seconds=1000)
    statuses = [ask(http, "um", "ping").status_code for _ in range(15)]
    refused = ask(http, "um", "time")

    assert statuses == [200] * 3 + [429] * 10 + [418] * 2
    assert refused.json()["code"] == -1003
    assert int(refused.headers["Retry-After"]) > 1
    assert ask(http, "cm", "ping").status_code == http.get("/api/v3/ping").status_code == 200


def test_limits_of_a_market_can_be_set_over_http(http: httpx.Client) -> None:
    limits = http.post("/control/limits", json={"market": "cm", "weight_limit": 1}).json()
    funding = http.post("/control/limits", json={"market": "cm", "funding": True, "window_seconds": 7}).json()

    assert limits == {"weight_limit": 1, "window_seconds": 60, "ban_seconds": 120}
    assert funding == {"weight_limit": 500, "window_seconds": 7, "ban_seconds": 120}
    assert [ask(http, "cm", "ping").status_code for _ in range(2)] == [200, 429]
    assert http.post("/control/limits", json={"market": "okx", "weight_limit": 1}).status_code == 400


def test_faults_find_futures_by_path_and_group(http: httpx.Client, exchange: EmbeddedExchange) -> None:
    exchange.add_fault(kind="status", match="/fapi/*", status=503)
    exchange.add_fault(kind="blocked", match="/dapi/v1/klines", group="rest")

    assert ask(http, "um", "ping").status_code == 503
    assert ask(http, "cm", "ping").status_code == 200
    assert ask(http, "cm", "klines").status_code == 451
    assert http.get("/api/v3/ping").status_code == 200


def test_requests_are_counted_by_market(http: httpx.Client, exchange: EmbeddedExchange, bucket: Any) -> None:
    bucket.get(bucket.futures_key("um", "BTCUSDT", "2025-03-01", "1h"))
    bucket.get(bucket.funding_key("um", "BTCUSDT", "2025-01"))
    bucket.get(bucket.key("BTCUSDT", "2025-03-01", "1h") + ".CHECKSUM")
    klines(http, "um", "BTCUSDT")
    klines(http, "cm", "BTCUSD_PERP")
    told(http, "um", "fundingRate", symbol="BTCUSDT")
    told(http, "um", "fundingInfo")
    counts = exchange.requests()

    assert counts["rest"] == {"klines": 2, "fundingRate": 1, "fundingInfo": 1}
    assert (counts["rest_total"], counts["archives"], counts["checksums"], counts["funding"]) == (4, 2, 1, 2)
    assert counts["by_market"] == {
        "um": {"archives": 2, "klines": 1, "fundingRate": 1, "fundingInfo": 1},
        "cm": {"klines": 1},
        "spot": {"checksums": 1},
    }


@BOTH
def test_unknown_paths_are_404_and_methods_refused(http: httpx.Client, market: str) -> None:
    assert ask(http, market, "continuousKlines").status_code == 404
    assert http.post({"um": "/fapi/v1/", "cm": "/dapi/v1/"}[market] + "klines").status_code == 405
    assert http.get("/api/v3/fundingRate").status_code == 404


def test_pages_of_hours_fit_a_cm_window(http: httpx.Client) -> None:
    """The way through dapi: both bounds, window = limit x interval."""
    found: list[int] = []
    for page in range(4):
        start = START + page * 6 * HOUR - 30 * DAY
        found += opens(klines(http, "cm", "ETHUSD_PERP", "1h", startTime=start, endTime=start + 6 * HOUR - 1, limit=6))

    assert found == [START - 30 * DAY + number * HOUR for number in range(24)]
