"""REST that does not serve this address, or this symbol: archives still succeed, the certificate says why."""

import json
from typing import Any

import pytest

from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.conftest import archive_entry, certificate, make_dataset, read_day
from klines_pipeline_tests.faults.conftest import ATTEMPTS, Recovery, Runner, asked_klines, assert_good, impatient

DAY = "2025-03-01"
BLOCKED = {"region": {"kind": "blocked"}, "firewall": {"kind": "status", "status": 403}}


@pytest.mark.parametrize("fault", BLOCKED.values(), ids=BLOCKED)
@pytest.mark.parametrize("endpoint", ["time", "klines"])
def test_a_block_is_recorded_and_the_archives_still_succeed(
    exchange: EmbeddedExchange,
    run: Runner,
    lake: Lake,
    assert_recovers: Recovery,
    fault: dict[str, Any],
    endpoint: str,
) -> None:
    dataset = make_dataset("BTCUSDT", "SOLUSDT", "XRPUSDT")
    exchange.add_fault(**fault, group="rest", match=f"/api/v3/{endpoint}")

    [result] = run(dataset, DAY)

    assert_good([result])
    assert certificate(lake, "BTCUSDT", DAY)["from_vision"] == 1440
    part, none = certificate(lake, "SOLUSDT", DAY), certificate(lake, "XRPUSDT", DAY)
    assert (part["from_vision"], part["missing"], part["reason"]) == (1130, 310, "blocked")
    assert (none["present"], none["missing"], none["reason"]) == (0, 1440, "blocked")
    slices = read_day(lake, "ledger/slices", DAY)
    assert set(slices["state"]) == {"blocked"}
    assert set(slices["http_status"]) == {451 if fault["kind"] == "blocked" else 403}
    assert result.topped_up is not None
    assert "does not serve this address" in (result.topped_up.blocked or "")
    assert_recovers(dataset, DAY)


def test_a_block_is_met_once_and_not_again_on_later_days(exchange: EmbeddedExchange, run: Runner) -> None:
    dataset = make_dataset("USDCUSDT", interval="1h")
    exchange.add_fault(kind="blocked", group="rest")

    results = run(dataset, "2022-12-01", "2022-12-02", "2022-12-03", "2022-12-04")

    assert_good(results)
    assert all(result.topped_up and result.topped_up.blocked for result in results)
    assert exchange.requests()["rest_total"] == 1


def test_a_day_of_whole_archives_never_learns_of_the_block(exchange: EmbeddedExchange, run: Runner) -> None:
    exchange.add_fault(kind="blocked", group="rest")

    [result] = run(make_dataset("BTCUSDT", "ETHUSDT"), "2024-03-01")

    assert_good([result])
    assert result.topped_up is not None
    assert result.topped_up.blocked is None
    assert exchange.requests()["rest_total"] == 0


NOTHING = {
    "invalid symbol": {"status": 400, "body": json.dumps({"code": -1121, "msg": "Invalid symbol."})},
    "invalid symbol status": {"status": 400, "body": json.dumps({"code": -1122, "msg": "Invalid symbol status."})},
    "an empty list": {"status": 200, "body": "[]"},
}


@pytest.mark.parametrize("answer", NOTHING.values(), ids=NOTHING)
def test_a_symbol_that_rest_does_not_have_is_no_error(
    exchange: EmbeddedExchange, run: Runner, lake: Lake, answer: dict[str, Any]
) -> None:
    dataset = make_dataset("BTCUSDT", "XRPUSDT")
    exchange.add_fault(kind="status", **answer, match="/api/v3/klines")

    assert_good(run(dataset, DAY))

    slices = read_day(lake, "ledger/slices", DAY)
    assert (set(slices["state"]), set(slices["http_status"])) == ({"no_data"}, {answer["status"]})
    assert certificate(lake, "XRPUSDT", DAY)["reason"] == "no_data"
    assert certificate(lake, "BTCUSDT", DAY)["from_vision"] == 1440
    assert archive_entry(lake, "XRPUSDT", DAY)["state"] == "not_published"
    assert asked_klines(exchange) == 2

    exchange.reset_requests()
    assert_good(run(dataset, DAY))
    assert asked_klines(exchange) == 2  # the archive may still come, so this is no last word


STRANGE = {
    "server error": {"kind": "status", "status": 500},
    "time-out code": {"kind": "status", "status": 408, "body": '{"code":-1007,"msg":"Timeout"}'},
    "internal error": {"kind": "status", "status": 400, "body": '{"code":-1001,"msg":"Internal error"}'},
    "a web page": {"kind": "html"},
    "an object": {"kind": "status", "status": 200, "body": '{"klines": []}'},
    "rows that are none": {"kind": "status", "status": 200, "body": '[["when", "what"]]'},
    "half an answer": {"kind": "truncate", "declared": False},
    "a broken connection": {"kind": "truncate", "declared": True},
    "a reset": {"kind": "reset"},
    "a page of another service": {"kind": "status", "status": 404},
}


@pytest.mark.parametrize("fault", STRANGE.values(), ids=STRANGE)
def test_a_strange_answer_of_rest_is_unavailable_and_fails_the_day(
    exchange: EmbeddedExchange, run: Runner, lake: Lake, assert_recovers: Recovery, fault: dict[str, Any]
) -> None:
    dataset = make_dataset("BTCUSDT", "XRPUSDT", interval="1h")
    exchange.add_fault(**fault, match="/api/v3/klines")

    [result] = run(dataset, DAY)

    slices = read_day(lake, "ledger/slices", DAY, interval="1h")
    assert slices["state"].to_list() == ["unavailable"]
    assert slices["error"].to_list()[0]
    assert certificate(lake, "XRPUSDT", DAY, interval="1h")["reason"] == "unavailable"
    assert certificate(lake, "BTCUSDT", DAY, interval="1h")["from_vision"] == 24
    assert set(result.failures) == {"rest_klines", "klines"}
    assert "XRPUSDT" in result.failures["klines"]
    assert asked_klines(exchange) <= 2 * ATTEMPTS
    assert_recovers(dataset, DAY)


def test_a_refused_request_fails_the_day_with_the_exchanges_own_words(
    exchange: EmbeddedExchange, run: Runner, lake: Lake, assert_recovers: Recovery
) -> None:
    dataset = make_dataset("BTCUSDT", "XRPUSDT", interval="1h")
    refusal = json.dumps({"code": -1100, "msg": "Illegal characters found in a parameter."})
    exchange.add_fault(kind="status", status=400, body=refusal, match="/api/v3/klines")

    [result] = run(dataset, DAY)

    assert "-1100: Illegal characters found" in result.failures["rest_klines"]
    assert certificate(lake, "BTCUSDT", DAY, interval="1h")["from_vision"] == 24
    assert asked_klines(exchange) == 1
    assert_recovers(dataset, DAY)


def test_a_slow_answer_is_given_up_and_asked_again(exchange: EmbeddedExchange, run: Runner, lake: Lake) -> None:
    market = impatient(exchange)
    market.api.host.client.timeout = 0.5
    exchange.add_fault(kind="delay", seconds=5, match="/api/v3/klines", times=1)

    assert_good(run(make_dataset("XRPUSDT", interval="1h"), DAY, market=market))

    assert certificate(lake, "XRPUSDT", DAY, interval="1h")["from_rest"] == 24
    assert read_day(lake, "ledger/slices", DAY, interval="1h")["attempts"].to_list() == [2]
