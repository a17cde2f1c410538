"""exchangeInfo's rows: each market's own fields, real answers, and what an answer that is none is told."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from klines_pipeline.domain.universe import Contract, SymbolFacts
from klines_pipeline.exchanges.binance.exchange_info import symbol_facts
from klines_pipeline.exchanges.binance.markets import MARKETS
from klines_pipeline.exchanges.registry import connect
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline_tests.conftest import endpoints_of

NOW = 1_764_128_170_000  # 2025-11-26
NO_DELIVERY = 4_133_404_800_000


def um(**fields: Any) -> SymbolFacts:
    """A USD-M row with fields replaced, as facts."""
    row = {
        "symbol": "ETHUSDT",
        "status": "TRADING",
        "contractType": "PERPETUAL",
        "deliveryDate": NO_DELIVERY,
        "onboardDate": 1_569_398_400_000,
        "baseAsset": "ETH",
        "quoteAsset": "USDT",
    } | fields
    [facts] = symbol_facts(MARKETS["um"], {"serverTime": NOW, "symbols": [row]}).values()
    return facts


@pytest.mark.parametrize(
    ("word", "contract"),
    [
        ("PERPETUAL", Contract.PERPETUAL),
        ("TRADIFI_PERPETUAL", Contract.PERPETUAL),
        ("PERPETUAL_DELIVERING", Contract.PERPETUAL),
        ("CURRENT_QUARTER", Contract.DELIVERY),
        ("NEXT_MONTH", Contract.DELIVERY),
        ("CURRENT_QUARTER DELIVERING", Contract.DELIVERY),
        ("", Contract.PERPETUAL),
        ("SOMETHING_NEW", Contract.PERPETUAL),
    ],
)
def test_each_word_for_a_contract_is_perpetual_or_delivery(word: str, contract: Contract) -> None:
    assert um(contractType=word).contract is contract


@pytest.mark.parametrize(
    ("fields", "delivery"),
    [
        ({}, None),
        ({"deliveryDate": NO_DELIVERY + 2000}, None),
        ({"deliveryDate": NO_DELIVERY + 3_600_000}, None),
        ({"deliveryDate": 1_757_305_800_000, "status": "SETTLING"}, datetime(2025, 9, 8, 4, 30, tzinfo=UTC)),
        ({"deliveryDate": 1_766_736_000_000}, datetime(2025, 12, 26, 8, tzinfo=UTC)),
        ({"deliveryDate": 1_759_914_000_000}, None),
        (
            {"symbol": "ETHUSDT_251226", "contractType": "CURRENT_QUARTER", "deliveryDate": 0},
            datetime(2025, 12, 26, 8, tzinfo=UTC),
        ),
    ],
    ids=["never", "never, and 2 s", "never, and 1 h", "delisted", "announced", "listed again", "told by the name"],
)
def test_a_perpetual_has_a_delivery_only_where_it_ends(fields: dict[str, Any], delivery: datetime | None) -> None:
    assert um(**fields).delivery == delivery


@pytest.mark.parametrize(
    ("status", "pending", "ended"),
    [
        ("TRADING", False, False),
        ("PENDING_TRADING", True, False),
        ("SETTLING", False, True),
        ("DELIVERING", False, True),
        ("CLOSE", False, True),
        ("A_NEW_WORD", False, False),
    ],
)
def test_the_status_tells_what_has_not_begun_and_what_has_ended(status: str, pending: bool, ended: bool) -> None:  # noqa: FBT001
    facts = um(status=status)

    assert (facts.status, facts.pending, facts.ended) == (status, pending, ended)


def test_coin_m_has_a_contract_size_and_a_status_of_another_name() -> None:
    row = {"symbol": "BTCUSD_PERP", "contractStatus": "TRADING", "contractSize": 100, "contractType": "PERPETUAL"}

    facts = symbol_facts(MARKETS["cm"], {"symbols": [row]})["BTCUSD_PERP"]

    assert (facts.base, facts.quote, facts.contract_size, facts.status) == ("BTC", "USD", 100.0, "TRADING")
    assert facts.since is None


@pytest.mark.parametrize(
    ("market", "body", "words"),
    [
        ("um", {"symbols": [{"symbol": "BTCUSDT"}]}, "BTCUSDT has no status"),
        ("cm", {"symbols": [{"symbol": "BTCUSD_PERP", "status": "TRADING"}]}, "BTCUSD_PERP has no contractStatus"),
        ("spot", {"symbols": [{"status": "TRADING"}]}, "a symbol has no symbol"),
        ("spot", {}, "it has no list of symbols"),
        ("spot", [], "it has no list of symbols"),
    ],
)
def test_an_answer_that_is_no_exchange_info_is_refused_in_words(market: str, body: Any, words: str) -> None:
    with pytest.raises((TypeError, ValueError), match=words):
        symbol_facts(MARKETS[market], body)


def test_every_real_spot_symbol_is_read(real_root: Path) -> None:
    body = json.loads((real_root / "rest/spot/exchangeInfo/exchangeInfo.json").read_text("utf-8"))

    facts = symbol_facts(MARKETS["spot"], body)

    assert len(facts) == 1089
    assert sum(known.ended for known in facts.values()) == 274
    assert all(known.base and known.quote and known.since is None for known in facts.values())


def test_every_real_usd_m_symbol_is_read_beyond_ascii_too(real_root: Path) -> None:
    body = json.loads((real_root / "rest/um/exchangeInfo/futures_exchange_info.json").read_text("utf-8"))

    facts = symbol_facts(MARKETS["um"], body)

    assert len(facts) == 647
    assert facts["币安人生USDT"].base == "币安人生"
    assert facts["IDOL"].quote == "USDT"
    assert facts["UXLINKUSDT"].delivery is None
    assert facts["BTCUSDT"].delivery is None
    delivered = {name for name, known in facts.items() if known.contract is Contract.DELIVERY}
    assert {name for name in delivered if facts[name].ended} == {
        "BTCUSDT_250627", "ETHUSDT_250627", "BTCUSDT_250926", "ETHUSDT_250926",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("market", "symbol"), [("spot", "币安人生USDT"), ("um", "币安人生USDT"), ("cm", "BTCUSD_PERP")]
)
def test_a_market_names_its_symbols_over_http(exchange: EmbeddedExchange, market: str, symbol: str) -> None:
    api = connect("binance", market, endpoints_of(exchange)).api
    facts = api.symbols()
    api.close()

    assert facts[symbol].status == "TRADING"
    assert facts[symbol].base is not None
