"""What is known of a symbol besides its klines, and filters over it: `symbols: {quote: [USDT], exclude: [leveraged]}`.

How an exchange spells base, quote and contract into a symbol is that exchange's affair, not known here.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Self

from klines_pipeline.domain.errors import ConfigurationError, UnknownNameError


class Contract(StrEnum):
    """What kind of contract a symbol is; spot pairs are none."""

    PERPETUAL = "perpetual"
    DELIVERY = "delivery"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The contract of that name; UnknownNameError names the nearest."""
        try:
            return cls(text)
        except ValueError:
            raise UnknownNameError("contract", text, map(str, cls)) from None


class Excluded(StrEnum):
    """What a filter may leave out."""

    STABLECOINS = "stablecoins"
    LEVERAGED = "leveraged"
    SETTLED = "settled"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The exclusion of that name; UnknownNameError names the nearest."""
        try:
            return cls(text)
        except ValueError:
            raise UnknownNameError("exclusion", text, map(str, cls)) from None


STABLECOINS = frozenset((
    "USDT", "USDC", "BUSD", "TUSD", "FDUSD", "USDP", "USDS", "USDSOLD", "DAI", "USD1", "RLUSD", "U",
    "PAX", "UST", "VAI", "USDSB", "SUSD", "AEUR", "EURI", "BKRW", "BIDR", "IDRT", "BVND", "GYEN",
))  # fmt: skip
"""Coins that follow a currency. EUR and GBP are currencies and PAXG is gold: none of them is here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolFacts:
    """A symbol as its market describes it; None where neither REST nor the name tells.

    `since` (UTC) is when trading began as REST says: klines may be older. `status` is REST's word of today, None for a
    symbol REST no longer names. `pending`: announced, without any trade; `ended`: still named, but trades no more.
    `delivery` (UTC) is when a contract ended or will; `contract_size` is quote asset per contract.
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
    ended: bool = False
    leveraged: bool = False
    settled: bool = False

    @property
    def stablecoins(self) -> bool:
        """Whether both sides are stablecoins, so that the price says nothing."""
        return self.base in STABLECOINS and self.quote in STABLECOINS


def check_pattern(text: str) -> str:
    """Return the text as it is; ConfigurationError where it is no regular expression."""
    try:
        re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise ConfigurationError(f"{text!r} is not a regular expression ({error}). Write one such as ^BTC.") from None
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolFilter:
    """All that is given must hold. ConfigurationError where `match` is no regular expression."""

    quote: tuple[str, ...] = ()
    exclude: frozenset[Excluded] = frozenset()
    contract: Contract | None = None
    match: str | None = None

    def __post_init__(self) -> None:
        check_pattern(self.match or "")

    def __str__(self) -> str:
        """`quote USDT; exclude leveraged; contract perpetual; match ^BTC`: the same text for the same filter."""
        given = {
            "quote": ", ".join(sorted(self.quote)),
            "exclude": ", ".join(sorted(self.exclude)),
            "contract": self.contract,
            "match": self.match,
        }
        return "; ".join(f"{name} {value}" for name, value in given.items() if value)

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
    """Symbols left out only because nobody knows their quote: to be reported, never dropped in silence."""
    rest = replace(wanted, quote=())
    return sorted(facts.symbol for facts in symbols if wanted.quote and facts.quote is None and rest.selects(facts))
