"""Filters over symbols: all that is given must hold, and nothing is left out in silence."""

import pytest

from klines_pipeline.domain.errors import ConfigurationError, UnknownNameError
from klines_pipeline.domain.universe import Contract, Excluded, SymbolFacts, SymbolFilter, undecided

SYMBOLS = [
    SymbolFacts(symbol="BTCUSDT", base="BTC", quote="USDT"),
    SymbolFacts(symbol="USDCUSDT", base="USDC", quote="USDT"),
    SymbolFacts(symbol="PAXGUSDT", base="PAXG", quote="USDT"),
    SymbolFacts(symbol="EURUSDT", base="EUR", quote="USDT"),
    SymbolFacts(symbol="BTCUPUSDT", base="BTCUP", quote="USDT", leveraged=True),
    SymbolFacts(symbol="ETHBTC", base="ETH", quote="BTC"),
    SymbolFacts(symbol="CVCUSDTSETTLED", base="CVC", quote="USDT", contract=Contract.PERPETUAL, settled=True),
    SymbolFacts(symbol="BTCUSDT_250328", base="BTC", quote="USDT", contract=Contract.DELIVERY),
    SymbolFacts(symbol="币安人生"),
]


@pytest.mark.parametrize(
    ("wanted", "selected"),
    [
        (SymbolFilter(quote=("BTC",)), ["ETHBTC"]),
        (SymbolFilter(match="^ETH"), ["ETHBTC"]),
        (SymbolFilter(match="币"), ["币安人生"]),
        (SymbolFilter(match="_2"), ["BTCUSDT_250328"]),
        (SymbolFilter(contract=Contract.PERPETUAL), ["CVCUSDTSETTLED"]),
        (SymbolFilter(contract=Contract.PERPETUAL, exclude=frozenset({Excluded.SETTLED})), []),
        (
            SymbolFilter(quote=("USDT", "BTC"), exclude=frozenset(Excluded)),
            ["BTCUSDT", "PAXGUSDT", "EURUSDT", "ETHBTC", "BTCUSDT_250328"],
        ),
        (
            SymbolFilter(quote=("USDT",), match="^BTC", exclude=frozenset({Excluded.LEVERAGED})),
            ["BTCUSDT", "BTCUSDT_250328"],
        ),
    ],
)
def test_all_that_a_filter_says_must_hold(wanted: SymbolFilter, selected: list[str]) -> None:
    assert [facts.symbol for facts in SYMBOLS if wanted.selects(facts)] == selected


def test_an_empty_filter_selects_everything() -> None:
    assert all(SymbolFilter().selects(facts) for facts in SYMBOLS)


@pytest.mark.parametrize(
    ("wanted", "named"),
    [
        (SymbolFilter(quote=("USDT",)), ["币安人生"]),
        (SymbolFilter(quote=("USDT",), match="BTC"), []),
        (SymbolFilter(match="BTC"), []),
    ],
)
def test_a_symbol_of_unknown_quote_is_named_where_only_that_leaves_it_out(
    wanted: SymbolFilter, named: list[str]
) -> None:
    assert undecided(SYMBOLS, wanted) == named


def test_a_match_that_is_no_regular_expression_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"'\^\(BTC' is not a regular expression"):
        SymbolFilter(match="^(BTC")


def test_an_unknown_word_is_refused_with_the_nearest() -> None:
    with pytest.raises(
        UnknownNameError, match=r"unknown exclusion 'stablecoin'\. The nearest valid one is 'stablecoins'"
    ):
        Excluded.parse("stablecoin")
    with pytest.raises(UnknownNameError, match=r"unknown contract 'perp'\. The nearest valid one is 'perpetual'"):
        Contract.parse("perp")
    assert Contract.parse("delivery") is Contract.DELIVERY
