"""A host's weight is shared, never overdrawn, and corrected by what the host says."""

from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klines_pipeline.exchanges.budget import WeightBudget
from klines_pipeline_tests.exchanges.script import Clock

LIMIT = 100


def budget_of(clock: Clock) -> WeightBudget:
    return WeightBudget(LIMIT, clock=clock, sleep=clock.sleep)


def spend(budget: WeightBudget, weight: int, seen: int | None = None) -> None:
    """A request and its answer, in which the host counts `seen`."""
    budget.take(weight)
    budget.settle(weight, seen)


@given(st.integers(0, 2**32), st.floats(0, 60), st.floats(0.01, 2.0))
def test_a_host_that_counts_by_its_own_minutes_is_never_asked_for_more_than_it_allows(
    seed: int, start: float, pace: float
) -> None:
    random, clock = Random(seed), Clock(now=6000.0 + start)  # noqa: S311 - makes examples, guards nothing
    budget, minute, counted = budget_of(clock), 0.0, 0
    for _ in range(300):
        weight = random.randint(1, 5)
        budget.take(weight)
        if clock.now // 60 != minute:
            minute, counted = clock.now // 60, 0
        counted += weight
        assert counted <= LIMIT
        clock.now += random.uniform(0, pace)
        budget.settle(weight, counted)


def test_what_does_not_fit_into_the_minute_waits_for_the_next_one(clock: Clock) -> None:
    budget = budget_of(clock)
    for _ in range(9):
        spend(budget, 10)
    assert clock.slept == []

    clock.now += 15
    spend(budget, 1)

    assert clock.slept == [45]


def test_weight_that_others_on_this_address_used_counts(clock: Clock) -> None:
    budget = budget_of(clock)
    spend(budget, 1, seen=89)

    spend(budget, 1)
    assert clock.slept == []
    spend(budget, 1)

    assert sum(clock.slept) == 60


def test_a_host_that_counts_less_than_before_has_begun_a_new_minute(clock: Clock) -> None:
    budget = budget_of(clock)
    spend(budget, 50, seen=89)
    clock.now += 30
    spend(budget, 1, seen=1)

    spend(budget, 80)

    assert clock.slept == []


def test_one_request_heavier_than_the_share_is_sent_alone_rather_than_never(clock: Clock) -> None:
    budget = budget_of(clock)

    budget.take(LIMIT)

    assert clock.slept == []


@pytest.mark.parametrize(("waits", "slept"), [([7], 7), ([7, 3], 7), ([3, 7], 7)])
def test_nobody_asks_while_the_host_wants_silence(clock: Clock, waits: list[float], slept: float) -> None:
    budget = budget_of(clock)
    for seconds in waits:
        budget.close(seconds)

    budget.take(1)

    assert sum(clock.slept) == slept


def test_an_answer_without_a_count_is_counted_as_it_was_estimated(clock: Clock) -> None:
    budget = budget_of(clock)
    spend(budget, 90, seen=None)

    spend(budget, 1)

    assert clock.slept == [60]


def test_requests_under_way_when_the_minute_ends_count_in_the_next_one(clock: Clock) -> None:
    budget = budget_of(clock)
    budget.take(80)
    clock.now += 60

    spend(budget, 10)
    assert clock.slept == []
    budget.settle(80, None)
    spend(budget, 1)

    assert clock.slept == [60]


def test_threads_share_one_budget() -> None:
    clock = Clock()

    class FullError(Exception):
        """Somebody had to wait."""

    def refuse(_: float) -> None:
        raise FullError

    budget = WeightBudget(LIMIT, clock=clock, sleep=refuse)

    def take(_: int) -> bool:
        try:
            budget.take(1)
        except FullError:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        taken = sum(pool.map(take, range(400)))

    assert taken == 90
