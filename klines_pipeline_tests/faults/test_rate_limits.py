"""429 and 418: wait as long as told, keep within the weight that the host counts, never ask past a ban."""

import time
from datetime import UTC, datetime

import httpx
import pytest

from klines_pipeline.exchanges.budget import WeightBudget
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.conftest import certificate, make_dataset, read_day
from klines_pipeline_tests.faults.conftest import Recovery, Runner, asked_klines, assert_good, impatient

DAY = "2025-03-03"
NIGHT = datetime(2025, 3, 4, 1, tzinfo=UTC)
"""DAY is over and its archives are not yet published: REST is asked for all of it."""
SYMBOLS = ("ADAUSDT", "ARBUSDT", "BNBUSDT", "BTCUSDT", "DOGEUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT")


def test_a_429_is_waited_out(exchange: EmbeddedExchange, run: Runner, lake: Lake, assert_recovers: Recovery) -> None:
    dataset = make_dataset("BTCUSDT")
    exchange.set_clock(NIGHT)
    exchange.add_fault(kind="status", status=429, match="/api/v3/klines", headers={"Retry-After": "2"}, times=1)
    began = time.monotonic()

    assert_good(run(dataset, DAY))

    assert time.monotonic() - began >= 2
    assert exchange.requests()["by_status"]["429"] == 1
    assert certificate(lake, "BTCUSDT", DAY)["from_rest"] == 1440
    assert_recovers(dataset, DAY)


def test_during_a_429_nobody_else_asks_that_host(exchange: EmbeddedExchange, run: Runner, lake: Lake) -> None:
    dataset = make_dataset(*SYMBOLS)
    exchange.set_clock(NIGHT)
    exchange.add_fault(kind="status", status=429, match="/api/v3/time", headers={"Retry-After": "1"}, times=1)

    assert_good(run(dataset, DAY))

    assert exchange.requests()["by_status"]["429"] == 1
    assert exchange.requests()["rest"] == {"time": 2, "klines": 2 * len(SYMBOLS)}
    assert read_day(lake, "ledger/certificates", DAY)["from_rest"].to_list() == [1440] * len(SYMBOLS)


def test_429s_without_end_fail_the_day_and_not_the_archives(
    exchange: EmbeddedExchange, run: Runner, lake: Lake, assert_recovers: Recovery
) -> None:
    dataset = make_dataset("BTCUSDT", "SOLUSDT")
    exchange.add_fault(kind="status", status=429, group="rest", headers={"Retry-After": "0"})

    [result] = run(dataset, "2025-03-01")

    assert certificate(lake, "BTCUSDT", "2025-03-01")["from_vision"] == 1440
    assert certificate(lake, "SOLUSDT", "2025-03-01")["reason"] == "unavailable"
    assert set(result.failures) == {"rest_klines", "klines"}
    assert "429" in result.failures["rest_klines"]
    assert_recovers(dataset, "2025-03-01")


def test_the_budget_keeps_the_pipeline_below_the_limit(exchange: EmbeddedExchange, run: Runner, lake: Lake) -> None:
    dataset, days = make_dataset(*SYMBOLS, interval="5m"), [f"2024-03-{number:02}" for number in range(1, 21)]
    exchange.add_fault(kind="status", status=404, group="archives")
    exchange.set_limits(weight_limit=150, window_seconds=1)
    market = impatient(exchange)
    market.api.host.budget = WeightBudget(150, window=1.0)

    assert_good(run(dataset, *days, market=market))

    statuses = exchange.requests()["by_status"]
    assert 2 * asked_klines(exchange) > 150
    assert "429" not in statuses
    assert "418" not in statuses
    for day in days:
        assert read_day(lake, "ledger/certificates", day, interval="5m")["from_rest"].to_list() == [288] * len(SYMBOLS)


def test_what_others_on_this_address_have_used_is_counted(exchange: EmbeddedExchange, run: Runner, lake: Lake) -> None:
    dataset = make_dataset("BTCUSDT", "ETHUSDT")
    exchange.set_clock(NIGHT)
    exchange.set_limits(weight_limit=100, window_seconds=3)
    market = impatient(exchange)
    market.api.host.budget = WeightBudget(100, window=3.0)
    foreign = {"symbol": "BTCUSDT", "interval": "1m", "limit": "1"}
    used = 0
    with httpx.Client(base_url=exchange.url) as others:
        while used < 88:
            answer = others.get("/api/v3/klines", params=foreign)
            used = int(answer.headers["X-MBX-USED-WEIGHT-1M"])

    assert_good(run(dataset, DAY, market=market))

    assert set(exchange.requests()["by_status"]) == {"200"}
    assert certificate(lake, "ETHUSDT", DAY)["from_rest"] == 1440


@pytest.mark.parametrize("endpoint", ["time", "klines"])
def test_a_ban_ends_all_asking_and_its_end_stands_in_the_message(
    exchange: EmbeddedExchange, run: Runner, lake: Lake, assert_recovers: Recovery, endpoint: str
) -> None:
    dataset, days = make_dataset("SOLUSDT", "XRPUSDT", interval="1h"), ["2025-03-01", "2025-03-02", "2025-03-03"]
    exchange.add_fault(kind="status", status=418, match=f"/api/v3/{endpoint}", headers={"Retry-After": "7200"})

    results = run(dataset, *days)

    banned = results[0].failures
    assert set(banned) == {"rest_klines", "klines"}
    assert "has banned this address until 2025-03-04 11:00:00 UTC" in banned["klines"]
    assert exchange.requests()["by_status"]["418"] <= 2
    assert exchange.requests()["rest"].get(endpoint) == exchange.requests()["by_status"]["418"]
    slices = read_day(lake, "ledger/slices", days[0], interval="1h")
    assert set(slices["state"]) == {"banned"}
    assert set(slices["http_status"]) == {418}
    assert certificate(lake, "XRPUSDT", days[0], interval="1h")["reason"] == "unavailable"
    assert certificate(lake, "SOLUSDT", days[2], interval="1h")["from_vision"] == 24
    assert not results[2].failures
    assert_recovers(dataset, *days)


def test_after_a_ban_later_days_send_nothing(exchange: EmbeddedExchange, run: Runner) -> None:
    dataset = make_dataset("USDCUSDT", interval="1h")
    days = ["2022-12-01", "2022-12-02", "2022-12-03", "2022-12-04", "2022-12-05"]
    exchange.add_fault(kind="status", status=418, match="/api/v3/klines", headers={"Retry-After": "7200"})

    results = run(dataset, *days)

    assert all("until 2025-03-04 11:00:00 UTC" in result.failures["klines"] for result in results)
    assert exchange.requests()["rest"] == {"time": 1, "klines": 1}
