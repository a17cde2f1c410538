"""A REST host over a real socket: answers become values, and every refusal an error with a name."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from klines_pipeline.domain.errors import (
    BannedError,
    BlockedError,
    RateLimitedError,
    RejectedRequestError,
    TransientError,
)
from klines_pipeline.exchanges.binance.rest import WEIGHT_HEADER, check_body
from klines_pipeline.exchanges.budget import WeightBudget
from klines_pipeline.exchanges.rest_host import RestHost
from klines_pipeline.exchanges.retry import RetryPolicy
from klines_pipeline_tests.exchanges.script import Answer, Clock, ScriptedServer


@pytest.fixture
def host(server: ScriptedServer, clock: Clock) -> Iterator[RestHost]:
    """A host whose waits cost no time."""
    budget = WeightBudget(6000, clock=clock, sleep=clock.sleep)
    made = RestHost(server.url, budget, WEIGHT_HEADER, check_body, RetryPolicy(sleep=clock.sleep))
    yield made
    made.client.close()


def ask(host: RestHost, **params: str | int) -> object:
    return host.get("/api/v3/klines", params, weight=2).body


def refusal(code: int, message: str = "why") -> bytes:
    return json.dumps({"code": code, "msg": message}).encode()


def test_an_answer_has_its_body_url_time_and_attempts(host: RestHost, server: ScriptedServer) -> None:
    server.script = [Answer(body=b'[["1", 2]]')]

    answer = host.get("/api/v3/klines", {"symbol": "币安人生USDT", "limit": 5}, weight=2)

    assert answer.body == [["1", 2]]
    assert server.paths == ["/api/v3/klines?symbol=%E5%B8%81%E5%AE%89%E4%BA%BA%E7%94%9FUSDT&limit=5"]
    assert answer.url == server.url + server.paths[0]
    assert (answer.attempts, answer.http_status, host.requests) == (1, 200, 1)
    assert answer.completed_at == datetime(2025, 3, 4, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    "failure",
    [
        Answer(500),
        Answer(503, b"<html>"),
        Answer(408),
        Answer(200, b"<html>Just a moment</html>"),
        Answer(200, b"[[1, 2"),
        Answer(200, b"[[1, 2", claims=5000),
        Answer(400, b"<html>"),
        Answer(400, b'"no code"'),
        Answer(400, refusal(-1003)),
        Answer(502, refusal(-1001)),
    ],
    ids=["500", "503", "408", "html", "half JSON", "cut", "400 html", "400 text", "overload", "internal"],
)
def test_what_may_pass_is_asked_again(host: RestHost, server: ScriptedServer, clock: Clock, failure: Answer) -> None:
    server.script = [failure, failure, Answer(body=b"[]")]

    answer = host.get("/api/v3/klines", {}, weight=2)

    assert (answer.body, answer.attempts, host.requests) == ([], 3, 3)
    assert len(clock.slept) == 2


def test_an_outage_is_given_up_with_status_and_attempts(host: RestHost, server: ScriptedServer) -> None:
    server.script = [Answer(503)]

    with pytest.raises(TransientError) as failed:
        ask(host)

    assert (failed.value.http_status, failed.value.attempts, len(server.paths)) == (503, 6, 6)


@pytest.mark.parametrize(("header", "seconds"), [("7", 7), ("0.5", 0.5), ("", 60), ("soon", 60)])
def test_429_waits_as_long_as_the_host_says(
    host: RestHost, server: ScriptedServer, clock: Clock, header: str, seconds: float
) -> None:
    server.script = [Answer(429, refusal(-1003), {"Retry-After": header} if header else {}), Answer(body=b"[]")]

    assert ask(host) == []
    assert sum(clock.slept) == seconds


def test_429_silences_everybody_who_shares_the_host(host: RestHost, server: ScriptedServer, clock: Clock) -> None:
    impatient = RetryPolicy(rate_limit_waits=0, sleep=clock.sleep)
    other = RestHost(server.url, host.budget, WEIGHT_HEADER, check_body, impatient)
    server.script = [Answer(429, headers={"Retry-After": "30"}), Answer(body=b"[]")]
    with pytest.raises(RateLimitedError), other.client:
        ask(other)

    ask(host)

    assert clock.slept == [30]


def test_418_ends_the_asking_and_says_until_when(host: RestHost, server: ScriptedServer) -> None:
    server.script = [Answer(418, headers={"Retry-After": "120"})]

    for _ in range(3):
        with pytest.raises(BannedError, match="until 2025-03-04 09:02:00 UTC") as banned:
            ask(host)

    assert banned.value.until == datetime(2025, 3, 4, 9, 2, tzinfo=UTC)
    assert len(server.paths) == 1


@pytest.mark.parametrize("status", [403, 451])
def test_a_region_that_is_not_served_is_told_once(host: RestHost, server: ScriptedServer, status: int) -> None:
    server.script = [Answer(status, b"Service unavailable from a restricted location")]

    for _ in range(3):
        with pytest.raises(BlockedError, match="Run from another region") as blocked:
            ask(host)

    assert blocked.value.http_status == status
    assert len(server.paths) == 1


@pytest.mark.parametrize("code", [-1121, -1122, -1100, -1130])
def test_a_refused_request_keeps_the_exchanges_code_and_is_not_repeated(
    host: RestHost, server: ScriptedServer, code: int
) -> None:
    server.script = [Answer(400, refusal(code, "Invalid symbol."))]

    with pytest.raises(RejectedRequestError, match=f"answered {code}: Invalid symbol.") as refused:
        ask(host)

    assert (refused.value.code, refused.value.http_status, len(server.paths)) == (code, 400, 1)


def test_the_weight_that_the_host_counts_is_believed(host: RestHost, server: ScriptedServer, clock: Clock) -> None:
    server.script = [Answer(body=b"[]", headers={WEIGHT_HEADER: "5399"}), Answer(body=b"[]")]
    ask(host)
    assert clock.slept == []

    ask(host)

    assert clock.slept == [60]


def test_a_host_that_is_not_there_is_transient(host: RestHost, server: ScriptedServer) -> None:
    server.shutdown()
    server.server_close()

    with pytest.raises(TransientError, match="/api/v3/klines: ") as failed:
        ask(host)

    assert failed.value.attempts == 6
