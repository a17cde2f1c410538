"""Funding of a market as a test asks for it: once, of the embedded exchange or of a scripted server."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime

import pytest

from klines_pipeline.exchanges.binance.connect import connect
from klines_pipeline.exchanges.funding import FundingSource
from klines_pipeline.exchanges.retry import RetryPolicy
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline_tests.conftest import endpoints_of
from klines_pipeline_tests.exchanges.script import ScriptedServer

START = datetime(2025, 3, 1, tzinfo=UTC)
Connect = Callable[[str, dict[str, str]], FundingSource]


@pytest.fixture
def funding_of() -> Iterator[Connect]:
    """A market's funding, asked once only; connections are given back at the end."""
    with ExitStack() as stack:

        def connected(name: str, endpoints: dict[str, str]) -> FundingSource:
            market = connect(name, endpoints)
            market.api.host.policy = RetryPolicy(attempts=1)  # type: ignore[attr-defined]
            stack.callback(market.api.close)
            assert market.funding is not None
            return market.funding

        yield connected


@pytest.fixture
def scripted(server: ScriptedServer, funding_of: Connect) -> FundingSource:
    """USD-M funding at the scripted server."""
    return funding_of("um", {"binance_um_url": server.url})


@pytest.fixture
def um(exchange: EmbeddedExchange, funding_of: Connect) -> FundingSource:
    """USD-M funding of the embedded exchange."""
    return funding_of("um", endpoints_of(exchange))


@pytest.fixture
def cm(exchange: EmbeddedExchange, funding_of: Connect) -> FundingSource:
    """COIN-M funding of the embedded exchange."""
    return funding_of("cm", endpoints_of(exchange))
