"""Binance's funding rates as REST gives them: pages, refusals, answers that are none; scripted, embedded and real."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from klines_pipeline.domain.errors import RejectedRequestError, TransientError
from klines_pipeline.exchanges.binance.connect import connect
from klines_pipeline.exchanges.funding import FundingSource
from klines_pipeline.funding.schema import SETTLEMENT_SCHEMA
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline_tests.conftest import endpoints_of
from klines_pipeline_tests.exchanges.binance.conftest import START, Connect
from klines_pipeline_tests.exchanges.script import Answer, ScriptedServer


def settlement(hour: int, **fields: object) -> dict[str, object]:
    """A row of REST, 3 ms late."""
    time = int((START + timedelta(hours=hour)).timestamp()) * 1000 + 3
    return {"symbol": "BTCUSDT", "fundingTime": time, "fundingRate": "-0.00003449", "markPrice": "84000.5", **fields}


def answer(*rows: dict[str, object]) -> Answer:
    return Answer(body=json.dumps(rows).encode())


def test_spot_has_no_funding() -> None:
    assert connect("spot", {}).funding is None


@pytest.mark.parametrize("symbol", ["BTCUSDT_250328", "BTCUSD_250328"])
def test_delivery_contracts_have_no_funding(symbol: str, um: FundingSource) -> None:
    assert not um.settles(symbol)
    assert um.settles("BTCUSD_PERP")
    assert um.settles("ICPUSDT_SETTLED")


def test_rows_keep_their_jitter_and_an_empty_mark_price_is_none(
    scripted: FundingSource, server: ScriptedServer
) -> None:
    server.script = [answer(settlement(0, markPrice=""), settlement(8, rateType="Regular"))]

    found = scripted.api.settlements("BTCUSDT", START, START + timedelta(days=1))

    assert found.rows.schema == SETTLEMENT_SCHEMA
    late = timedelta(milliseconds=3)
    assert found.rows.rows() == [
        ("BTCUSDT", START, START + late, None, -0.00003449, None),
        ("BTCUSDT", START + timedelta(hours=8), START + timedelta(hours=8) + late, None, -0.00003449, 84000.5),
    ]
    assert server.paths == [
        "/fapi/v1/fundingRate?symbol=BTCUSDT&startTime=1740787200000&endTime=1740873599999&limit=1000"
    ]


def test_the_beginning_of_time_is_never_asked_for(scripted: FundingSource, server: ScriptedServer) -> None:
    server.script = [answer()]

    scripted.api.settlements("BTCUSDT", datetime(1970, 1, 1, tzinfo=UTC), START)

    assert "startTime=1&" in server.paths[0]


@pytest.mark.parametrize(
    "body",
    [
        b'{"rows": []}',
        b'["x"]',
        json.dumps([settlement(0, fundingTime="soon")]).encode(),
        json.dumps([settlement(0, fundingTime=None)]).encode(),
        json.dumps([settlement(0, fundingRate="NaN")]).encode(),
        json.dumps([settlement(0, fundingRate=None)]).encode(),
        json.dumps([settlement(0, symbol="ETHUSDT")]).encode(),
    ],
    ids=["no list", "no rows", "no time", "null time", "no number", "null rate", "another symbol"],
)
def test_an_answer_that_is_not_funding_is_worth_asking_again(
    scripted: FundingSource, server: ScriptedServer, body: bytes
) -> None:
    server.script = [Answer(body=body)]

    with pytest.raises(TransientError, match="fundingRate"):
        scripted.api.settlements("BTCUSDT", START, START + timedelta(days=1))


def test_a_refusal_that_is_not_about_the_symbol_is_an_error(scripted: FundingSource, server: ScriptedServer) -> None:
    server.script = [Answer(400, b'{"code": -1130, "msg": "Data sent for parameter is not valid."}')]

    with pytest.raises(RejectedRequestError):
        scripted.api.settlements("BTCUSDT", START, START + timedelta(days=1))


def test_more_than_a_page_is_asked_on_from_the_last_settlement(um: FundingSource, exchange: EmbeddedExchange) -> None:
    start = datetime(2021, 1, 1, tzinfo=UTC)

    found = um.api.settlements("BTCUSDT", start, START)

    expected = (START - start) // timedelta(hours=8)
    assert found.rows.height == expected == found.rows["funding_time"].n_unique()
    assert exchange.requests()["funding"] == -(-expected // 1000) == um.api.requests


def test_full_pages_that_do_not_advance_are_no_answer(scripted: FundingSource, server: ScriptedServer) -> None:
    page = answer(*(settlement(0, fundingTime=1740787200000 + late) for late in range(1000)))
    server.script = [page, page]

    with pytest.raises(TransientError, match="ends before the time asked from"):
        scripted.api.settlements("BTCUSDT", START, START + timedelta(days=1))


def test_a_full_page_that_reaches_the_end_is_the_last(scripted: FundingSource, server: ScriptedServer) -> None:
    end = START + timedelta(milliseconds=1000)
    server.script = [answer(*(settlement(0, fundingTime=1740787200000 + late) for late in range(1000)))]

    scripted.api.settlements("BTCUSDT", START, end)

    assert len(server.paths) == 1


def test_bounds_are_half_open(um: FundingSource) -> None:
    whole = um.api.settlements("BTCUSDT", START, START + timedelta(days=1)).rows["calc_time"]

    found = um.api.settlements("BTCUSDT", whole[0], whole[2]).rows

    assert found["calc_time"].to_list() == whole[:2].to_list()


@pytest.mark.parametrize(("market", "symbol"), [("um", "NOSUCHUSDT"), ("cm", "NOSUCHUSD_PERP")])
def test_an_unknown_symbol_gives_no_rows_and_says_so(
    exchange: EmbeddedExchange, funding_of: Connect, market: str, symbol: str
) -> None:
    found = funding_of(market, endpoints_of(exchange)).api.settlements(symbol, START, START + timedelta(days=1))

    assert (found.rows.height, found.http_status) == (0, 400)


def test_funding_does_not_cost_weight_and_klines_do_not_cost_funding(exchange: EmbeddedExchange) -> None:
    market = connect("um", endpoints_of(exchange))
    assert market.funding is not None

    for _ in range(3):
        market.funding.api.settlements("BTCUSDT", START, START + timedelta(days=1))
    market.api.close()

    assert market.api.host.budget.used == 0  # type: ignore[attr-defined]
    assert market.funding.api.lane.used == 3  # type: ignore[attr-defined]
    assert (market.funding.api.lane.limit, market.funding.api.lane.window) == (500, 300.0)  # type: ignore[attr-defined]


def test_the_real_answer_of_rest_is_understood(
    scripted: FundingSource, server: ScriptedServer, real_root: Path
) -> None:
    path = real_root / "rest/um/fundingRate/binance_funding_rate.json"
    if not path.is_file():
        pytest.skip("the real answer is not beside the project")
    server.script = [Answer(body=path.read_bytes())]

    rows = scripted.api.settlements("BTCUSDT", START, datetime(2026, 9, 1, tzinfo=UTC)).rows

    assert rows["funding_rate"].to_list() == [0.0001, 0.000125]
    assert rows["mark_price"].to_list() == [77221.90043478, 78309.0]
    assert (rows["calc_time"] - rows["funding_time"]).to_list() == [timedelta(milliseconds=1), timedelta()]
