"""OKX's funding: realized rates, paged backwards through exclusive bounds."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from klines_pipeline.domain.errors import TransientError
from klines_pipeline.domain.utc_day import to_milliseconds
from klines_pipeline.exchanges.funding import FundingSource
from klines_pipeline.exchanges.okx.connect import connect
from klines_pipeline.exchanges.retry import RetryPolicy
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline_tests.conftest import endpoints_of
from klines_pipeline_tests.exchanges.okx.bodies import envelope, server_time
from klines_pipeline_tests.exchanges.script import ScriptedServer

START = datetime(2025, 3, 1, tzinfo=UTC)
SWAP = "BTC-USDT-SWAP"


Connect = Callable[[dict[str, str]], FundingSource]


@pytest.fixture
def funding_of() -> Iterator[Connect]:
    """The swaps' funding, asked once only; connections are given back at the end."""
    with ExitStack() as stack:

        def connected(endpoints: dict[str, str]) -> FundingSource:
            market = connect("swap", endpoints)
            market.api.host.policy = RetryPolicy(attempts=1)  # type: ignore[attr-defined]
            stack.callback(market.api.close)
            assert market.funding is not None
            return market.funding

        yield connected


def row(hour: int, **fields: object) -> dict[str, object]:
    time = str(to_milliseconds(START + timedelta(hours=hour)))
    rates = {"fundingRate": "0.0000170613914598", "realizedRate": "0.0000265058231037"}
    return {"instType": "SWAP", "instId": SWAP, "fundingTime": time, **rates, **fields}


def test_spot_has_no_funding_and_swaps_have_no_archives(funding_of: Connect) -> None:
    assert connect("spot", {}).funding is None
    assert funding_of({}).archive is None


def test_the_rate_is_the_one_charged(funding_of: Connect, server: ScriptedServer) -> None:
    server.script = [envelope([row(8), row(0)])]

    found = funding_of({"okx_url": server.url}).api.settlements(SWAP, START, START + timedelta(days=1))

    assert found.rows["funding_rate"].to_list() == [0.0000265058231037] * 2
    assert found.rows["funding_time"].to_list() == [START, START + timedelta(hours=8)]
    assert found.rows["mark_price"].to_list() == [None, None]
    [path] = server.paths
    assert path.endswith("?instId=BTC-USDT-SWAP&before=1740787199999&after=1740873600000&limit=100")


def test_pages_are_followed_backwards_to_the_start(funding_of: Connect, server: ScriptedServer) -> None:
    newest = [row(hour) for hour in range(8 * 149, 8 * 49, -8)]
    oldest = [row(hour) for hour in range(8 * 49, -8, -8)]
    server.script = [envelope(newest), envelope(oldest)]

    found = funding_of({"okx_url": server.url}).api.settlements(SWAP, START, START + timedelta(days=60))

    assert found.rows.height == len(newest) + len(oldest) == 150
    assert f"after={newest[-1]['fundingTime']}&" in server.paths[1]


def test_full_pages_that_do_not_go_back_are_no_answer(funding_of: Connect, server: ScriptedServer) -> None:
    page = [row(hour) for hour in range(8 * 149, 8 * 49, -8)]
    server.script = [envelope(page), envelope(page)]

    with pytest.raises(TransientError, match="begins after the time asked to"):
        funding_of({"okx_url": server.url}).api.settlements(SWAP, START, START + timedelta(days=60))


def test_a_full_page_that_reaches_the_start_is_the_last(funding_of: Connect, server: ScriptedServer) -> None:
    server.script = [envelope([row(hour) for hour in range(8 * 99, -8, -8)])]

    funding_of({"okx_url": server.url}).api.settlements(SWAP, START, START + timedelta(days=60))

    assert len(server.paths) == 1


def test_an_unknown_instrument_gives_no_rows_and_says_so(funding_of: Connect, server: ScriptedServer) -> None:
    server.script = [envelope(code="51001", message="Instrument ID doesn't exist."), server_time(START)]

    found = funding_of({"okx_url": server.url}).api.settlements("NO-SUCH-SWAP", START, START + timedelta(days=1))

    assert (found.rows.height, found.http_status) == (0, 400)


@pytest.mark.parametrize(
    "fields", [{"realizedRate": ""}, {"realizedRate": None}, {"fundingTime": "x"}, {"instId": "X"}]
)
def test_rows_that_are_no_settlements_are_worth_asking_again(
    funding_of: Connect, server: ScriptedServer, fields: dict[str, object]
) -> None:
    server.script = [envelope([row(8, **fields)])]

    with pytest.raises(TransientError, match="funding-rate-history"):
        funding_of({"okx_url": server.url}).api.settlements(SWAP, START, START + timedelta(days=1))


def test_the_embedded_exchange_gives_what_it_keeps(funding_of: Connect, exchange: EmbeddedExchange) -> None:
    funding = funding_of(endpoints_of(exchange))

    found = funding.api.settlements("SOL-USDT-SWAP", START - timedelta(days=50), START + timedelta(days=1))

    assert found.rows.height == 51 * 6
    assert found.attempts == 4


def test_the_real_answer_is_understood(funding_of: Connect, server: ScriptedServer, real_root: Path) -> None:
    path = real_root / "rest/okx/funding/okx_funding.json"
    if not path.is_file():
        pytest.skip("the real answer is not beside the project")
    history = json.loads(path.read_text("utf-8"))[SWAP]["history"][:50]
    server.script = [envelope(history)]
    times = [datetime.fromtimestamp(int(found["fundingTime"]) / 1000, UTC) for found in history]

    rows = funding_of({"okx_url": server.url}).api.settlements(SWAP, min(times), max(times) + timedelta(hours=1)).rows

    assert rows["funding_rate"].to_list() == [float(found["realizedRate"]) for found in reversed(history)]
