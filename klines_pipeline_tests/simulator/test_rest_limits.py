"""Request weight: counted, limited, banned."""

import time

import httpx

from klines_pipeline.simulator.server import EmbeddedExchange


def test_every_answer_tells_the_weight_used(exchange: EmbeddedExchange, http: httpx.Client) -> None:
    exchange.set_limits(weight_limit=6000)
    used = [
        int(http.get(f"/api/v3/{path}").headers["X-MBX-USED-WEIGHT-1M"])
        for path in ("ping", "time", "klines?symbol=BTCUSDT&interval=1d&limit=1", "klines", "exchangeInfo")
    ]

    assert used == [1, 2, 4, 6, 26]


def test_over_the_limit_comes_429_and_for_those_who_go_on_418(exchange: EmbeddedExchange, http: httpx.Client) -> None:
    exchange.set_limits(weight_limit=5, window_seconds=50, ban_seconds=120)
    answers = [http.get("/api/v3/ping") for _ in range(18)]

    assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 10 + [418] * 3
    assert 1 <= int(answers[5].headers["Retry-After"]) <= 50
    assert answers[5].json()["code"] == answers[-1].json()["code"] == -1003
    assert int(answers[-1].headers["Retry-After"]) in {119, 120}
    assert "IP banned until 17410" in answers[-1].json()["msg"]


def test_a_new_window_forgets(exchange: EmbeddedExchange, http: httpx.Client) -> None:
    exchange.set_limits(weight_limit=2, window_seconds=0.3)
    statuses = [http.get("/api/v3/ping").status_code for _ in range(3)]
    time.sleep(0.35)

    assert 429 in statuses or statuses == [200, 200, 200]
    assert http.get("/api/v3/ping").status_code == 200


def test_bans_end_and_grow(exchange: EmbeddedExchange, http: httpx.Client) -> None:
    exchange.set_limits(weight_limit=1, window_seconds=100, ban_seconds=0.2)
    first = [http.get("/api/v3/ping").status_code for _ in range(12)][-1]
    time.sleep(0.25)
    exchange_after = http.get("/api/v3/ping")

    assert first == 418
    assert exchange_after.status_code == 418
    time.sleep(0.25)
    assert http.get("/api/v3/ping").status_code == 418


def test_windows_pass_faster_on_a_faster_clock(exchange: EmbeddedExchange, http: httpx.Client) -> None:
    exchange.set_limits(weight_limit=1, window_seconds=60)
    exchange.set_clock(rate=600)
    http.get("/api/v3/ping")
    limited = http.get("/api/v3/ping")
    time.sleep(0.12)

    assert limited.status_code in {200, 429}
    assert limited.headers.get("Retry-After", "1") == "1"
    assert http.get("/api/v3/ping").status_code == 200


def test_the_bucket_has_no_limit(exchange: EmbeddedExchange, http: httpx.Client) -> None:
    exchange.set_limits(weight_limit=1)

    assert [http.get("/data/none.zip").status_code for _ in range(20)] == [404] * 20
