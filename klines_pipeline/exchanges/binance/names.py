"""What a Binance symbol's name alone tells: base, quote, contract, delivery. For symbols exchangeInfo has forgotten."""

from klines_pipeline.domain.universe import SymbolFacts
from klines_pipeline.exchanges.binance.markets import BinanceMarket


def describe(market: BinanceMarket, symbol: str) -> SymbolFacts:
    """Facts from the name; base and quote are None where it tells neither."""
    del market
    return SymbolFacts(symbol=symbol)
