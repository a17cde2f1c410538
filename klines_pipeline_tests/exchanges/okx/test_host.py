"""OKX's envelope: what its codes mean, whatever HTTP says, and its own pace."""

from collections.abc import Iterator

import pytest

from klines_pipeline.domain.errors import RateLimitedError, RejectedRequestError, TransientError
from klines_pipeline.exchanges.okx.host import build_host, check_body
from klines_pipeline.exchanges.rest_host import RestHost
from klines_pipeline.exchanges.retry import RetryPolicy
from klines_pipeline_tests.exchanges.okx.bodies import envelope
from klines_pipeline_tests.exchanges.script import Answer, Clock, ScriptedServer


@pytest.fixture
def host(server: ScriptedServer, clock: Clock) -> Iterator[RestHost]:
    """A host whose waits cost no time."""
    made = build_host(server.url)
    made.policy = RetryPolicy(sleep=clock.sleep)
    made.budget.clock, made.budget.sleep = clock, clock.sleep
    yield made
    made.client.close()


def ask(host: RestHost) -> object:
    return host.get("/api/v5/public/time", {}, weight=1).body["data"]


def test_success_is_a_code(host: RestHost, server: ScriptedServer) -> None:
    server.script = [envelope([{"ts": "1"}])]

    assert ask(host) == [{"ts": "1"}]


@pytest.mark.parametrize(
    "failure",
    [
        *(envelope(code=code) for code in ("50001", "50004", "50005", "50013", "50026")),
        envelope(code="50013", status=400),
        Answer(body=b"[]"),
        Answer(body=b"{}"),
        Answer(body=b'{"code": 0, "data": []}'),
        Answer(body=b'{"code": "0", "msg": ""}'),
        Answer(body=b'{"code": "0", "data": {}}'),
        Answer(body=b'{"code": "ok", "data": []}'),
        Answer(404, b'{"error": "no such page"}'),
        envelope(status=404),
        Answer(200, b"<html>"),
        Answer(503),
    ],
    ids=lambda answer: f"{answer.status} {answer.body.decode()[:20]}",
)
def test_what_may_pass_is_asked_again(host: RestHost, server: ScriptedServer, clock: Clock, failure: Answer) -> None:
    server.script = [failure, envelope(["at last"])]

    assert ask(host) == ["at last"]
    assert (host.requests, len(clock.slept)) == (2, 1)


@pytest.mark.parametrize(
    "refusal", [Answer(429, b""), envelope(code="50011", status=429), envelope(code="50011")], ids=repr
)
def test_too_many_requests_silence_the_endpoint_for_its_window(
    host: RestHost, server: ScriptedServer, clock: Clock, refusal: Answer
) -> None:
    server.script = [refusal, envelope(["at last"])]

    assert ask(host) == ["at last"]
    assert clock.slept == [2.0]


def test_a_silence_asked_for_by_name_is_kept(host: RestHost, server: ScriptedServer, clock: Clock) -> None:
    server.script = [Answer(429, b"", {"Retry-After": "7"}), envelope()]

    ask(host)

    assert clock.slept == [7.0]


@pytest.mark.parametrize(("code", "status"), [("51000", 200), ("51001", 200), ("50014", 400), ("404", 404)])
def test_a_refusal_is_not_asked_again_and_carries_its_code(
    host: RestHost, server: ScriptedServer, code: str, status: int
) -> None:
    server.script = [envelope(code=code, message="Parameter bar error", status=status)]

    with pytest.raises(RejectedRequestError, match=rf"/api/v5/public/time answered {code}: Parameter bar error") as got:
        ask(host)

    assert (got.value.code, got.value.http_status, host.requests) == (int(code), status, 1)


def test_a_refusal_for_pace_names_the_silence() -> None:
    with pytest.raises(RateLimitedError) as got:
        check_body(200, {"code": "50011", "msg": "Too Many Requests", "data": []}, "here")

    assert got.value.retry_after == 2.0


def test_an_outage_is_given_up_with_its_code(host: RestHost, server: ScriptedServer) -> None:
    server.script = [envelope(code="50001", message="Service temporarily unavailable")]

    with pytest.raises(TransientError, match="50001: Service temporarily unavailable") as got:
        ask(host)

    assert got.value.attempts == host.policy.attempts


def test_endpoints_without_a_limit_of_their_own_stay_under_ten_in_two_seconds(
    host: RestHost, server: ScriptedServer, clock: Clock
) -> None:
    server.script = [envelope()]

    for _ in range(19):
        ask(host)

    assert clock.slept == [2.0, 2.0]
