"""How OKX limits, fails and is steered: requests per two seconds, faults, counts, its control request."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline_tests.simulator.okx_reader import OkxReader

FUNDING = "public/funding-rate-history"
TOO_MANY = {"code": "50011", "msg": "Too Many Requests", "data": []}


@pytest.fixture
def okx(exchange: EmbeddedExchange) -> Iterator[OkxReader]:
    """With windows so long that none ends within a test."""
    with OkxReader.of(exchange) as reader:
        reader.switch(window_seconds=100_000)
        yield reader


def statuses(okx: OkxReader, count: int, path: str, **query: Any) -> list[int]:
    return [okx.get(path, **query).status_code for _ in range(count)]


@pytest.mark.parametrize(
    ("path", "most"), [("market/candles", 40), ("market/history-candles", 20), ("public/funding-rate-history", 10)]
)
def test_over_the_limit_comes_429_in_the_envelope(okx: OkxReader, path: str, most: int) -> None:
    served = statuses(okx, most, path, instId="BTC-USDT-SWAP", limit=1)
    refused = okx.get(path, instId="BTC-USDT-SWAP", limit=1)

    assert served == [200] * most
    assert (refused.status_code, refused.json()) == (429, TOO_MANY)
    assert "Retry-After" not in refused.headers


def test_candles_are_counted_per_address_and_funding_per_instrument(okx: OkxReader) -> None:
    okx.switch(requests={"market/candles": 1, "market/history-candles": 1, FUNDING: 1})

    assert statuses(okx, 1, "market/candles", instId="BTC-USDT") == [200]
    assert statuses(okx, 1, "market/candles", instId="ETH-USDT") == [429]
    assert statuses(okx, 2, "market/history-candles", instId="ETH-USDT") == [200, 429]
    assert statuses(okx, 2, FUNDING, instId="BTC-USDT-SWAP") == [200, 429]
    assert statuses(okx, 1, FUNDING, instId="ETH-USDT-SWAP") == [200]
    assert statuses(okx, 50, "public/time") == [200] * 50


def test_the_window_is_two_seconds_and_moves_on_with_the_clock(exchange: EmbeddedExchange, okx: OkxReader) -> None:
    assert okx.switch(window_seconds=2)["requests"] == {
        "market/candles": 40,
        "market/history-candles": 20,
        FUNDING: 10,
    }
    okx.switch(window_seconds=1000, requests={"market/candles": 1})
    limited = statuses(okx, 2, "market/candles", instId="BTC-USDT")
    exchange.set_clock(rate=1_000_000)
    okx.get("public/time")

    assert limited == [200, 429]
    assert 200 in statuses(okx, 20, "market/candles", instId="BTC-USDT")


def test_a_refused_bar_counts_as_a_request(okx: OkxReader) -> None:
    okx.switch(requests={"market/candles": 1})

    assert okx.refusal("market/candles", instId="BTC-USDT", bar="1h") == (200, "51000")
    assert okx.refusal("market/candles", instId="BTC-USDT") == (429, "50011")


def test_binance_and_okx_do_not_share_a_limit(okx: OkxReader) -> None:
    okx.switch(requests={"market/candles": 1})
    statuses(okx, 2, "market/candles", instId="BTC-USDT")

    assert okx.client.get("/api/v3/ping").status_code == 200


def test_what_is_not_there_is_refused_in_the_envelope(okx: OkxReader) -> None:
    posted = okx.client.post("/api/v5/market/candles", params={"instId": "BTC-USDT"})

    assert okx.refusal("market/nothing") == (404, "404")
    assert (posted.status_code, posted.json()["code"]) == (405, "50115")


def test_answers_are_counted_by_endpoint_and_dated_by_the_exchange(exchange: EmbeddedExchange, okx: OkxReader) -> None:
    answer = okx.get("market/history-candles", instId="BTC-USDT")
    okx.get("public/time")
    counts = exchange.requests()

    assert answer.headers["Date"] == "Tue, 04 Mar 2025 09:00:00 GMT"
    assert counts["rest"] == {"market/history-candles": 1, "public/time": 1}
    assert counts["by_path"] == {"/api/v5/market/history-candles": 1, "/api/v5/public/time": 1}
    assert counts["by_market"] == {"okx": counts["rest"]}
    assert counts["rest_total"] == counts["total"] == 2


def test_faults_strike_its_paths_like_other_rest_paths(exchange: EmbeddedExchange, okx: OkxReader) -> None:
    exchange.add_fault(kind="status", group="rest", match="/api/v5/market/*", status=500, body="{}", times=1)
    exchange.add_fault(kind="html", match="*/public/instruments", times=1)
    exchange.add_fault(kind="reset", group="rest", match="*/funding-rate-history", times=1)
    exchange.add_fault(kind="truncate", match="*/market/candles", times=1)

    broken = okx.get("market/history-candles", instId="BTC-USDT")

    assert (broken.status_code, broken.text) == (500, "{}")
    assert okx.get("public/instruments", instType="SPOT").text.startswith("<html>")
    with pytest.raises(httpx.TransportError):
        okx.get(FUNDING, instId="BTC-USDT-SWAP")
    with pytest.raises(httpx.RemoteProtocolError):
        okx.get("market/candles", instId="BTC-USDT")
    assert okx.data("market/candles", instId="BTC-USDT", limit=1)


@pytest.mark.parametrize(
    ("status", "code"), [(200, "50013"), (400, "50026"), (429, "50011"), (500, "50026"), (503, "50001"), (504, "50004")]
)
def test_a_status_fault_brings_the_envelope_of_okx(
    exchange: EmbeddedExchange, okx: OkxReader, status: int, code: str
) -> None:
    exchange.add_fault(kind="status", group="rest", match="/api/v5/*", status=status)
    answer = okx.get("public/time")

    assert okx.refusal("public/time") == (status, code)
    assert "Retry-After" not in answer.headers


def test_a_retry_after_that_a_fault_brings_is_kept(exchange: EmbeddedExchange, okx: OkxReader) -> None:
    exchange.add_fault(kind="status", match="/api/v5/*", status=429, headers={"Retry-After": "3"})

    assert okx.get("public/time").headers["Retry-After"] == "3"


@pytest.mark.parametrize(
    "settings",
    [
        {"most_rows": 0},
        {"most_rows": 301},
        {"window_seconds": 0},
        {"requests": {"market/candles": 0}},
        {"requests": {"public/time": 5}},
        {"requests": 5},
        {"nothing": 1},
        [1],
    ],
)
def test_impossible_settings_are_refused_with_a_sentence(okx: OkxReader, settings: Any) -> None:
    before = okx.client.get("/control/okx").json()
    answer = okx.client.post("/control/okx", json=settings)

    assert answer.status_code == 400
    assert answer.json()["error"]
    assert okx.client.get("/control/okx").json() == before


def test_control_requests_are_not_counted(exchange: EmbeddedExchange, okx: OkxReader) -> None:
    exchange.reset_requests()
    okx.switch(most_rows=100)

    assert exchange.requests()["total"] == 0
    assert okx.client.delete("/control/okx").status_code == 404
