"""What a Binance symbol's name alone tells: base, quote, contract, delivery. For symbols exchangeInfo has forgotten.

What exchangeInfo says goes before it: see `exchange_info`.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from klines_pipeline.domain.universe import Contract, SymbolFacts
from klines_pipeline.exchanges.binance.markets import BinanceMarket

_QUOTES = (
    "USDSOLD",
    "FDUSD", "RLUSD",
    "AEUR", "BIDR", "BKRW", "BUSD", "BVND", "DOGE", "EURI", "GYEN", "IDRT", "TUSD", "USD1", "USDC", "USDP", "USDS",
    "USDT",
    "ARS", "AUD", "BNB", "BRL", "BTC", "COP", "CZK", "DAI", "DOT", "ETH", "EUR", "GBP", "IDR", "JPY", "MXN", "NGN",
    "PAX", "PLN", "RON", "RUB", "SOL", "TRX", "TRY", "UAH", "USD", "UST", "VAI", "XRP", "ZAR",
    "U",
)  # fmt: skip
"""Longest first: BTCTUSD is BTC in TUSD, not BTCT in USD."""
_SHORTER_QUOTE = {
    "AEUR": ("EUR", frozenset({"ADA", "ENA", "GALA", "LUNA", "THETA"})),
    "BIDR": ("IDR", frozenset({"ARB", "BNB"})),
    "BUSD": ("USD", frozenset({"BNB"})),
    "TUSD": ("USD", frozenset({"USDT"})),
}
"""Bases whose last letter makes a longer quote: ADAEUR is ADA in EUR, not AD in AEUR."""
_SETTLED = re.compile(r"_?SETTLED\d*$")
_LEVERAGED = re.compile(r".+(UP|DOWN)|.*(BULL|BEAR)")
"""BULL and BEAR alone are tokens too; UP and DOWN alone leave nothing they could be a multiple of."""
_COINS = frozenset({"JUP", "SYRUP"})
_DIGITS = re.compile(r"[0-9]+")
_DELIVERY_HOUR = 8  # UTC


def describe(market: BinanceMarket, symbol: str) -> SymbolFacts:
    """Facts from the name; what it does not tell is None."""
    cleaned = _SETTLED.sub("", symbol)
    facts = _READERS[market.name](SymbolFacts(symbol=symbol, settled=cleaned != symbol), cleaned)
    return replace(facts, leveraged=is_leveraged(market, facts.base))


def is_leveraged(market: BinanceMarket, base: str | None) -> bool:
    """Whether a base asset is a leveraged token: spot alone has them."""
    return market.name == "spot" and base not in _COINS and _LEVERAGED.fullmatch(base or "") is not None


def split(pair: str) -> tuple[str, str] | tuple[None, None]:
    """Base and quote of a name without separator; the longest known quote wins, but for a few bases."""
    for quote in _QUOTES:
        base = pair.removesuffix(quote)
        if not base or base == pair:
            continue
        shorter, bases = _SHORTER_QUOTE.get(quote, ("", frozenset[str]()))
        return (pair.removesuffix(shorter), shorter) if pair.removesuffix(shorter) in bases else (base, quote)
    return None, None


def _spot(facts: SymbolFacts, cleaned: str) -> SymbolFacts:
    base, quote = split(cleaned)
    return replace(facts, base=base, quote=quote)


def _um(facts: SymbolFacts, cleaned: str) -> SymbolFacts:
    """BTCUSDT, or BTCUSDT_250328."""
    pair, underscore, day = cleaned.partition("_")
    contract = Contract.DELIVERY if underscore else Contract.PERPETUAL
    return replace(_spot(facts, pair), contract=contract, delivery=_delivery(day))


def _cm(facts: SymbolFacts, cleaned: str) -> SymbolFacts:
    """BTCUSD_PERP or BTCUSD_250328; nothing is known of any other name."""
    pair, _, suffix = cleaned.partition("_")
    base = pair.removesuffix("USD")
    if base in {"", pair} or not (suffix == "PERP" or _DIGITS.fullmatch(suffix)):
        return facts
    contract = Contract.PERPETUAL if suffix == "PERP" else Contract.DELIVERY
    return replace(facts, base=base, quote="USD", contract=contract, delivery=_delivery(suffix))


def _delivery(day: str) -> datetime | None:
    """08:00 UTC of `YYMMDD`; None for anything else."""
    try:
        return datetime.strptime(f"20{day} {_DELIVERY_HOUR}", "%Y%m%d %H").replace(tzinfo=UTC)
    except ValueError:
        return None


_READERS: dict[str, Callable[[SymbolFacts, str], SymbolFacts]] = {"spot": _spot, "um": _um, "cm": _cm}
