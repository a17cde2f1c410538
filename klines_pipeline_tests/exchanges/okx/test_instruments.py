"""Instruments: what a name tells alone, and what the list of those that trade adds."""

from datetime import UTC, datetime

import pytest

from klines_pipeline.domain.universe import Contract, SymbolFacts
from klines_pipeline.exchanges.okx.instruments import describe, symbol_facts
from klines_pipeline.exchanges.okx.markets import MARKETS

SPOT_ROW = {
    "instType": "SPOT",
    "instId": "BTC-USDT",
    "baseCcy": "BTC",
    "quoteCcy": "USDT",
    "settleCcy": "",
    "ctVal": "",
    "listTime": "1611907686000",
    "state": "live",
}
SWAP_ROW = {
    "instType": "SWAP",
    "instId": "BTC-USDT-SWAP",
    "baseCcy": "",
    "quoteCcy": "",
    "settleCcy": "USDT",
    "ctVal": "0.01",
    "ctValCcy": "BTC",
    "listTime": "",
    "state": "suspend",
}


def test_a_spot_pair_has_its_currencies_status_and_listing_time() -> None:
    assert symbol_facts(MARKETS["spot"], [SPOT_ROW]) == {
        "BTC-USDT": SymbolFacts(
            symbol="BTC-USDT",
            base="BTC",
            quote="USDT",
            status="live",
            since=datetime(2021, 1, 29, 8, 8, 6, tzinfo=UTC),
        )
    }


def test_a_swap_has_its_currencies_from_the_name_and_the_size_of_a_contract() -> None:
    assert symbol_facts(MARKETS["swap"], [SWAP_ROW]) == {
        "BTC-USDT-SWAP": SymbolFacts(
            symbol="BTC-USDT-SWAP",
            base="BTC",
            quote="USDT",
            contract=Contract.PERPETUAL,
            contract_size=0.01,
            status="suspend",
        )
    }


@pytest.mark.parametrize(
    ("market", "symbol", "currencies"),
    [
        ("spot", "BTC-USDT", ("BTC", "USDT")),
        ("swap", "LUNA-USDT-SWAP", ("LUNA", "USDT")),
        ("swap", "BTC-USD-SWAP", ("BTC", "USD")),
        ("spot", "BTC-USDT-SWAP", (None, None)),
        ("swap", "BTC-USDT", (None, None)),
        ("swap", "BTC-USDT-250328", (None, None)),
        ("spot", "BTCUSDT", (None, None)),
        ("spot", "BTC-", (None, None)),
    ],
)
def test_a_name_tells_base_and_quote_where_it_is_spelled_as_the_market_spells(
    market: str, symbol: str, currencies: tuple[str | None, str | None]
) -> None:
    facts = describe(MARKETS[market], symbol)

    assert (facts.symbol, facts.base, facts.quote) == (symbol, *currencies)
    assert facts.contract is (Contract.PERPETUAL if market == "swap" else None)
