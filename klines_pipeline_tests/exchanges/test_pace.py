"""Hosts that count any window of seconds and say nothing of it: never more than the share within any of them."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from heapq import heappop, heappush
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klines_pipeline.exchanges.budget import Pace
from klines_pipeline.exchanges.protocols import Market
from klines_pipeline.exchanges.registry import connect
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline_tests.conftest import Run, endpoints_of, make_dataset
from klines_pipeline_tests.exchanges.script import Clock

WINDOW = 2.0
LIMIT = 20
SHARE = 18
"""Nine tenths of the limit."""


def connect_to(exchange: EmbeddedExchange) -> Market:
    """OKX spot, there."""
    return connect("okx", "spot", endpoints_of(exchange))


def pace_of(clock: Clock, sleep: Callable[[float], None] | None = None) -> Pace:
    return Pace(LIMIT, window=WINDOW, clock=clock, sleep=sleep or clock.sleep)


@given(st.integers(0, 2**32), st.floats(0, 0.3), st.floats(0, 3 * WINDOW))
def test_no_window_wherever_it_begins_has_more_than_the_share(seed: int, pause: float, road: float) -> None:
    """Requests arrive at any time between their sending and their answer, and answers overtake one another."""
    random, clock = Random(seed), Clock()  # noqa: S311 - makes examples, guards nothing
    arrived, answers = list[float](), list[float]()

    def sleep(seconds: float) -> None:
        until = clock.now + seconds
        while answers and answers[0] <= until:
            clock.now = max(clock.now, heappop(answers))
            pace.settle(1, None)
        clock.now = until

    pace = pace_of(clock, sleep)
    for _ in range(200):
        pace.take(1)
        answered = clock.now + random.uniform(0, road)
        arrived.append(random.uniform(clock.now, answered))
        heappush(answers, answered)
        sleep(random.uniform(0, pause))

    arrived.sort()
    spans = [later - first for first, later in zip(arrived, arrived[SHARE:], strict=False)]
    assert min(spans) >= WINDOW - 1e-9, "but for rounding"


def test_the_next_request_waits_until_the_oldest_has_left_the_window_and_no_longer(clock: Clock) -> None:
    pace = pace_of(clock)
    for _ in range(SHARE):
        pace.take(1)
        clock.now += 0.0625
        pace.settle(1, None)
    assert clock.slept == []

    pace.take(1)

    assert clock.slept == [WINDOW - (SHARE - 1) * 0.0625]


@pytest.mark.parametrize(("waits", "slept"), [([7.0], 7.0), ([7.0, 3.0], 7.0), ([3.0, 7.0], 7.0)])
def test_nobody_asks_while_the_host_wants_silence(clock: Clock, waits: list[float], slept: float) -> None:
    pace = pace_of(clock)
    for seconds in waits:
        pace.close(seconds)

    pace.take(1)

    assert sum(clock.slept) == slept


def test_what_is_heavier_than_the_share_is_sent_alone_rather_than_never(clock: Clock) -> None:
    pace = pace_of(clock)
    pace.take(LIMIT)
    pace.settle(LIMIT, None)
    assert clock.slept == []

    pace.take(1)

    assert sum(clock.slept) == WINDOW


def test_threads_share_one_pace() -> None:
    class FullError(Exception):
        """Somebody had to wait."""

    def refuse(_: float) -> None:
        raise FullError

    pace = pace_of(Clock(), refuse)

    def take(_: int) -> bool:
        try:
            pace.take(1)
        except FullError:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(take, range(400))) == SHARE


def test_okx_at_its_real_limits_never_says_too_many(ingest: Run) -> None:
    """Its clock runs: 80 pages of history at 20 in two seconds, asked by eight threads."""
    with EmbeddedExchange(rate=1) as exchange:
        dataset = make_dataset("BTC-USDT", "ETH-USDT", "SOL-USDT", "USDC-USDT", exchange="okx")
        market = connect_to(exchange)
        days = [f"2025-02-{day}" for day in range(20, 24)]

        results = ingest(dataset, *days, market=market)

        counts = exchange.requests()
    assert not any(result.failures for result in results)
    assert counts["by_status"].get("429", 0) == 0
    assert counts["rest"]["market/history-candles"] == 4 * 5 * len(days)
