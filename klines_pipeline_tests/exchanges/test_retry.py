"""When to ask again, how long to wait, and when to stop."""

from datetime import UTC, datetime

import pytest

from klines_pipeline.domain.errors import (
    BannedError,
    BlockedError,
    NotPublishedError,
    RateLimitedError,
    TransientError,
)
from klines_pipeline.exchanges.retry import Breaker, RetryPolicy, ask
from klines_pipeline_tests.exchanges.script import Clock

DOWN = TransientError("HTTP 503", http_status=503)
LIMITED = RateLimitedError("HTTP 429", retry_after=7.0)
BANNED = BannedError("HTTP 418", until=datetime(2025, 1, 1, tzinfo=UTC), seconds=120.0)


class Script:
    """A call that fails as told and then answers."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = [*errors]
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "answer"


@pytest.fixture
def policy(clock: Clock) -> RetryPolicy:
    return RetryPolicy(sleep=clock.sleep)


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker("api.example", clock=clock)


@pytest.mark.parametrize("failures", range(6))
def test_a_hiccup_is_outlasted_and_the_attempts_are_told(
    failures: int, policy: RetryPolicy, breaker: Breaker, clock: Clock
) -> None:
    assert ask(Script(*[DOWN] * failures), policy, breaker) == ("answer", failures + 1)
    assert len(clock.slept) == failures


def test_waits_double_up_to_the_longest_and_are_shortened_by_chance_to_half_at_most() -> None:
    policy = RetryPolicy()

    for attempt, full in enumerate([0.25, 0.5, 1, 2, 4, 8, 15, 15], start=1):
        waits = [policy.wait(attempt) for _ in range(50)]
        assert full / 2 <= min(waits)
        assert max(waits) <= full
        assert len(set(waits)) > 1


def test_a_failure_that_outlasts_the_policy_is_raised_with_its_attempts(policy: RetryPolicy, breaker: Breaker) -> None:
    call = Script(*[TransientError("down", http_status=503)] * 6)

    with pytest.raises(TransientError) as failed:
        ask(call, policy, breaker)

    assert (failed.value.attempts, call.calls, breaker.failures) == (6, 6, 1)


def test_a_rate_limit_waits_as_long_as_told_and_uses_up_no_attempt(
    policy: RetryPolicy, breaker: Breaker, clock: Clock
) -> None:
    assert ask(Script(*[LIMITED] * 20), policy, breaker) == ("answer", 21)
    assert clock.slept == [7.0] * 20


def test_a_rate_limit_without_end_is_given_up(policy: RetryPolicy, breaker: Breaker) -> None:
    with pytest.raises(RateLimitedError):
        ask(Script(*[LIMITED] * 21), policy, breaker)


def test_a_ban_ends_the_asking_until_its_time_has_come(policy: RetryPolicy, breaker: Breaker, clock: Clock) -> None:
    first, second = Script(BANNED), Script()
    with pytest.raises(BannedError):
        ask(first, policy, breaker)
    clock.now += 119
    with pytest.raises(BannedError):
        ask(second, policy, breaker)
    assert (first.calls, second.calls, clock.slept) == (1, 0, [])

    clock.now += 2

    assert ask(second, policy, breaker) == ("answer", 1)


@pytest.mark.parametrize("error", [NotPublishedError("404"), BlockedError("451", http_status=451), OSError(28, "full")])
def test_an_answer_that_will_not_change_is_not_asked_again(
    error: Exception, policy: RetryPolicy, breaker: Breaker, clock: Clock
) -> None:
    call = Script(error)

    with pytest.raises(type(error)):
        ask(call, policy, breaker)

    assert (call.calls, clock.slept, breaker.failures) == (1, [], 0)


def fail(breaker: Breaker, times: int) -> None:
    """So many requests that failed for good."""
    for _ in range(times):
        with pytest.raises(TransientError):
            ask(Script(*[TransientError("down")] * 6), RetryPolicy(sleep=lambda _: None), breaker)


def test_a_host_that_is_down_is_left_alone_but_for_one_probe_at_a_time(
    policy: RetryPolicy, breaker: Breaker, clock: Clock
) -> None:
    fail(breaker, 10)
    refused = Script()
    with pytest.raises(TransientError, match=r"api\.example failed 10 requests in a row and is taken to be down"):
        ask(refused, policy, breaker)
    assert refused.calls == 0

    clock.now += 31
    breaker.check()
    with pytest.raises(TransientError, match="taken to be down"):
        breaker.check()

    clock.now += 31
    assert ask(Script(), policy, breaker) == ("answer", 1)
    assert ask(Script(), policy, breaker) == ("answer", 1)


def test_failures_with_a_success_between_them_do_not_add_up(policy: RetryPolicy, breaker: Breaker) -> None:
    fail(breaker, 9)
    ask(Script(), policy, breaker)
    fail(breaker, 9)

    assert ask(Script(), policy, breaker) == ("answer", 1)
