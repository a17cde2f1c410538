"""What is known of a symbol besides its klines, and filters over it: `symbols: {quote: [USDT], exclude: [leveraged]}`.

How an exchange spells base, quote and contract into a symbol is that exchange's affair, not known here.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Contract(StrEnum):
    """What kind of contract a symbol is; spot pairs are none."""

    PERPETUAL = "perpetual"
    DELIVERY = "delivery"


class Excluded(StrEnum):
    """What a filter may leave out."""

    STABLECOINS = "stablecoins"
    LEVERAGED = "leveraged"
    SETTLED = "settled"


STABLECOINS = frozenset((
    "USDT", "USDC", "BUSD", "TUSD", "FDUSD", "USDP", "USDS", "USDSOLD", "DAI", "USD1", "RLUSD", "U",
    "PAX", "UST", "VAI", "USDSB", "SUSD", "AEUR", "EURI", "BKRW", "BIDR", "IDRT", "BVND", "GYEN",
))  # fmt: skip
"""Coins that follow a currency. EUR and GBP are currencies and PAXG is gold: none of them is here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolFacts:
    """A symbol as its market describes it; None where neither REST nor the name tells.

    `since` is when trading began as REST says: klines may be older. `status` is REST's word of today, None for a symbol
    REST no longer names.
    """

    symbol: str
    base: str | None = None
    quote: str | None = None
    contract: Contract | None = None
    delivery: datetime | None = None
    contract_size: float | None = None
    status: str | None = None
    since: datetime | None = None
    pending: bool = False
    leveraged: bool = False
    settled: bool = False

    @property
    def stablecoins(self) -> bool:
        """Whether both sides are stablecoins, so that the price says nothing."""
        return self.base in STABLECOINS and self.quote in STABLECOINS


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolFilter:
    """All that is given must hold."""

    quote: tuple[str, ...] = ()
    exclude: frozenset[Excluded] = frozenset()
    contract: Contract | None = None
    match: str | None = None

    def selects(self, facts: SymbolFacts) -> bool:
        """Whether a symbol belongs to it; `match` is searched anywhere in the symbol."""
        if self.quote and facts.quote not in self.quote:
            return False
        if self.contract is not None and facts.contract is not self.contract:
            return False
        if any(getattr(facts, excluded) for excluded in self.exclude):
            return False
        return self.match is None or re.search(self.match, facts.symbol) is not None


def undecided(symbols: Iterable[SymbolFacts], wanted: SymbolFilter) -> list[str]:
    """Symbols a filter by quote leaves out only because nobody knows their quote: to be reported, never dropped."""
    if not wanted.quote:
        return []
    return sorted(facts.symbol for facts in symbols if facts.quote is None)
