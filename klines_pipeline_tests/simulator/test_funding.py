"""Funding: monthly archives, REST, changed intervals, the bucket of requests of its own."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx
import pytest

from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.simulator.truths import FUNDING_GAPS
from klines_pipeline_tests.simulator.futures_rest import DAY, HOUR, ask, code_of, instant, klines, told

FEBRUARY = (instant("2025-02-01"), instant("2025-03-01") - 1)
BOTH = pytest.mark.parametrize(("market", "symbol"), [("um", "BTCUSDT"), ("cm", "BTCUSD_PERP")])


def settlements(http: httpx.Client, market: str, symbol: str, **query: int) -> list[dict[str, Any]]:
    return told(http, market, "fundingRate", symbol=symbol, **query)


def hours(rows: list[dict[str, Any]]) -> list[int]:
    return [row["fundingTime"] // HOUR * HOUR for row in rows]


@BOTH
def test_an_archive_has_the_months_settlements_as_rest_has_them(
    http: httpx.Client, bucket: Any, market: str, symbol: str
) -> None:
    header, *rows = bucket.rows(bucket.funding_key(market, symbol, "2025-02"))
    asked = settlements(http, market, symbol, startTime=FEBRUARY[0], endTime=FEBRUARY[1], limit=1000)

    assert header == ["calc_time", "funding_interval_hours", "last_funding_rate"]
    assert [(int(row[0]), row[2]) for row in rows] == [(row["fundingTime"], row["fundingRate"]) for row in asked]
    assert hours(asked) == list(range(FEBRUARY[0], FEBRUARY[1], 8 * HOUR))
    assert {row[1] for row in rows} == {"8"}
    assert {int(row[0]) % HOUR for row in rows} == set(range(10))
    assert all(len(row[2].partition(".")[2]) == 8 for row in rows)


def test_rates_lie_around_a_hundredth_of_a_percent_with_both_signs(http: httpx.Client) -> None:
    rates = [
        Decimal(row["fundingRate"])
        for row in settlements(http, "um", "ETHUSDT", startTime=instant("2024-01-01"), limit=1000)
    ]

    assert Decimal("0.00005") < sum(rates) / 1000 < Decimal("0.00015")
    assert min(rates) < 0
    assert max(map(abs, rates)) < Decimal("0.001")
    assert rates.count(Decimal("0.0001")) > 100


def test_rest_has_the_settlement_an_archive_lacks(http: httpx.Client, bucket: Any) -> None:
    ((symbol, hour),) = FUNDING_GAPS["um"]
    _, *rows = bucket.rows(bucket.funding_key("um", symbol, "2025-02"))
    asked = settlements(http, "um", symbol, startTime=FEBRUARY[0], endTime=FEBRUARY[1], limit=1000)
    archived = {int(row[0]) for row in rows}

    assert len(asked) == 28 * 6
    assert [row["fundingTime"] // HOUR * HOUR for row in asked if row["fundingTime"] not in archived] == [
        int(hour.timestamp() * 1000)
    ]


def test_an_archive_appears_on_the_first_of_the_next_month(exchange: EmbeddedExchange, bucket: Any) -> None:
    key = bucket.funding_key("um", "BTCUSDT", "2025-02")
    listed = bucket.page(prefix=key)
    seen = []
    for minute in (4, 9):
        exchange.set_clock(datetime(2025, 3, 1, 8, minute, tzinfo=UTC))
        seen.append((bucket.get(key).status_code, len(bucket.page(prefix=key).keys)))

    assert listed.keys == [key, key + ".CHECKSUM"]
    assert listed.contents[0]["LastModified"].startswith("2025-03-01T08:0")
    assert seen == [(404, 0), (200, 2)]


def test_months_run_from_listing_to_the_last_one(bucket: Any) -> None:
    def months(market: str, symbol: str) -> list[str]:
        keys = bucket.page(prefix=f"data/futures/{market}/monthly/fundingRate/{symbol}/").keys
        found = [key[-11:-4] for key in keys if key.endswith(".zip")]
        assert keys == [name for key in keys if key.endswith(".zip") for name in (key, key + ".CHECKSUM")]
        return found

    assert months("um", "BTCUSDT")[0] == "2020-01"
    assert months("um", "BTCUSDT")[-1] == "2025-02"
    assert len(months("um", "BTCUSDT")) == 62
    assert months("um", "FTTUSDT")[-1] == "2022-11"
    assert months("um", "TLMUSDT")[12:16] == ["2022-05", "2022-06", "2023-03", "2023-04"]
    assert months("cm", "XMRUSD_PERP")[-1] == "2024-02"
    assert months("um", "BTCUSDT_241227") == months("um", "ICPUSDT_SETTLED") == months("um", "AURAUSDT") == []


def test_there_are_no_daily_archives(bucket: Any) -> None:
    for market in ("um", "cm"):
        assert bucket.page(prefix=f"data/futures/{market}/daily/fundingRate/").keys == []
    assert bucket.page(prefix="data/spot/monthly/fundingRate/").keys == []


def test_a_page_begins_at_the_start_and_holds_the_limit(http: httpx.Client) -> None:
    start = instant("2025-01-01")
    rows = settlements(http, "um", "BTCUSDT", startTime=start)

    assert hours(rows) == [start + 8 * HOUR * number for number in range(100)]
    assert hours(settlements(http, "um", "BTCUSDT", startTime=start, limit=3)) == hours(rows[:3])
    assert len(settlements(http, "um", "BTCUSDT", startTime=instant("2023-01-01"), limit=1000)) == 1000
    assert code_of(ask(http, "um", "fundingRate", symbol="BTCUSDT", limit=1001)) == -1130


def test_both_bounds_are_included_to_the_millisecond(http: httpx.Client) -> None:
    rows = settlements(http, "um", "BTCUSDT", startTime=instant("2025-02-01"), limit=60)
    late = next(row for row in rows if row["fundingTime"] % HOUR)
    moment = late["fundingTime"]

    assert settlements(http, "um", "BTCUSDT", startTime=moment, endTime=moment) == [late]
    assert settlements(http, "um", "BTCUSDT", startTime=moment + 1, endTime=moment + 1) == []
    assert settlements(http, "um", "BTCUSDT", startTime=moment - 1, endTime=moment - 1) == []


def test_without_a_start_come_the_latest(http: httpx.Client) -> None:
    latest = settlements(http, "um", "BTCUSDT", limit=2)
    until = settlements(http, "um", "BTCUSDT", endTime=instant("2025-02-01") - 1, limit=2)

    assert hours(latest) == [instant("2025-03-04T00:00"), instant("2025-03-04T08:00")]
    assert hours(until) == [instant("2025-01-31T08:00"), instant("2025-01-31T16:00")]
    assert len(settlements(http, "um", "BTCUSDT")) == 100


def test_a_start_of_zero_gives_the_latest_alone(http: httpx.Client) -> None:
    assert hours(settlements(http, "um", "BTCUSDT", startTime=0, limit=500)) == [instant("2025-03-04T08:00")]


def test_nothing_settles_after_now(exchange: EmbeddedExchange, http: httpx.Client) -> None:
    exchange.set_clock(datetime(2025, 3, 4, 15, 59, 59, tzinfo=UTC))
    before = settlements(http, "um", "BTCUSDT", startTime=instant("2025-03-04T15:00"))
    exchange.set_clock(datetime(2025, 3, 4, 16, 0, 1, tzinfo=UTC))

    assert before == []
    assert len(settlements(http, "um", "BTCUSDT", startTime=instant("2025-03-04T15:00"))) == 1


def test_rest_begins_with_the_listing(http: httpx.Client) -> None:
    assert hours(settlements(http, "um", "BTCUSDT", startTime=1, limit=1)) == [instant("2019-09-09T00:00")]
    assert hours(settlements(http, "cm", "BTCUSD_PERP", startTime=1, limit=1)) == [instant("2020-08-10T16:00")]
    assert hours(settlements(http, "um", "FTTUSDT", limit=1)) == [instant("2022-11-17T08:00")]


def test_intervals_differ_and_change(http: httpx.Client, bucket: Any) -> None:
    solana = settlements(http, "um", "SOLUSDT", startTime=instant("2025-03-01"), endTime=instant("2025-03-02") - 1)
    switch = settlements(http, "um", "1000SHIBUSDT", startTime=instant("2024-06-10"), limit=4)
    day = settlements(http, "um", "1000SHIBUSDT", startTime=instant("2025-03-02"), endTime=instant("2025-03-03T05:00"))
    _, *june = bucket.rows(bucket.funding_key("um", "1000SHIBUSDT", "2024-06"))
    told_by = {int(row[0]) // HOUR * HOUR: row[1] for row in june}

    assert hours(solana) == [instant("2025-03-01") + 4 * HOUR * number for number in range(6)]
    assert hours(switch) == [instant(f"2024-06-10T{hour:02d}:00") for hour in (0, 8, 12, 16)]
    assert hours(day) == [instant("2025-03-02") + HOUR * number for number in (*range(25), 28)]
    assert [told_by[instant(f"2024-06-10T{hour:02d}:00")] for hour in (8, 12)] == ["8", "4"]


def test_funding_info_names_changed_intervals_only(exchange: EmbeddedExchange, http: httpx.Client) -> None:
    def intervals() -> dict[str, int]:
        return {row["symbol"]: row["fundingIntervalHours"] for row in told(http, "um", "fundingInfo")}

    now = intervals()
    exchange.set_clock(datetime(2025, 3, 2, 12, tzinfo=UTC))

    assert now == {"SOLUSDT": 4, "1000SHIBUSDT": 4}
    assert intervals() == {"SOLUSDT": 4, "1000SHIBUSDT": 1}
    assert told(http, "cm", "fundingInfo") == []
    assert set(told(http, "um", "fundingInfo")[0]) == {
        "symbol",
        "adjustedFundingRateCap",
        "adjustedFundingRateFloor",
        "fundingIntervalHours",
        "disclaimer",
    }


def test_old_rows_lack_a_mark_price_and_new_ones_have_a_type(exchange: EmbeddedExchange, http: httpx.Client) -> None:
    exchange.set_clock(datetime(2026, 1, 2, tzinfo=UTC))
    old, first = settlements(http, "um", "BTCUSDT", startTime=instant("2023-10-31T16:00"), limit=2)
    untyped, typed = settlements(http, "um", "BTCUSDT", startTime=instant("2025-12-31T16:00"), limit=2)
    kline = klines(http, "um", "BTCUSDT", startTime=first["fundingTime"] // HOUR * HOUR, limit=1)[0]

    assert old["markPrice"] == ""
    assert abs(float(first["markPrice"]) / float(kline[1]) - 1) < 0.001
    assert len(first["markPrice"].partition(".")[2]) == 8
    assert "rateType" not in untyped
    assert list(typed) == ["symbol", "fundingTime", "fundingRate", "markPrice", "rateType"]
    assert typed["rateType"] == "Regular"


def test_um_answers_without_a_symbol_cm_does_not(http: httpx.Client) -> None:
    start = instant("2025-03-01T08:00")
    rows = told(http, "um", "fundingRate", startTime=start, endTime=start + 999)

    assert {"BTCUSDT", "ETHBTC", "币安人生USDT"} <= {row["symbol"] for row in rows}
    assert len(rows) == len({row["symbol"] for row in rows})
    assert code_of(ask(http, "cm", "fundingRate")) == -1102


def test_delivery_contracts_have_none_and_strangers_are_refused(http: httpx.Client) -> None:
    assert settlements(http, "cm", "BTCUSD_250328", startTime=FEBRUARY[0]) == []
    assert settlements(http, "um", "BTCUSDT_250328", startTime=FEBRUARY[0]) == []
    assert code_of(ask(http, "um", "fundingRate", symbol="NOPEUSDT")) == -1121
    assert code_of(ask(http, "cm", "fundingRate", symbol="BTCUSDT")) == -1121


def test_funding_requests_are_limited_apart_and_weigh_nothing(exchange: EmbeddedExchange, http: httpx.Client) -> None:
    exchange.set_limits(market="um", weight_limit=2400)
    exchange.set_limits(market="um", funding=True, weight_limit=3, window_seconds=300)
    answers = [ask(http, "um", "fundingRate", symbol="BTCUSDT", limit=1) for _ in range(3)]
    refused = ask(http, "um", "fundingInfo")

    assert [answer.status_code for answer in answers] == [200] * 3
    assert {answer.headers["X-MBX-USED-WEIGHT-1M"] for answer in answers} == {"0"}
    assert refused.status_code == 429
    assert 200 < int(refused.headers["Retry-After"]) <= 300
    assert refused.json()["code"] == -1003
    assert ask(http, "um", "ping").status_code == 200
    assert ask(http, "cm", "fundingInfo").status_code == 200


def test_the_truth_can_be_had_in_process(exchange: EmbeddedExchange, http: httpx.Client) -> None:
    rows = settlements(http, "um", "SOLUSDT", startTime=FEBRUARY[0], limit=10)
    truth = exchange.funding_of("um").oldest("SOLUSDT", FEBRUARY[0], FEBRUARY[0] + 3 * DAY, 10)

    assert [row["fundingTime"] for row in rows] == [settlement.time for settlement in truth]
    assert {settlement.hours for settlement in truth} == {4}
