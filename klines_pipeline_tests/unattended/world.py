"""The thirty days: who is listed, what befalls the exchange, and the klines.yaml it is kept by.

From noon of 2025-02-12, so that the market's own sights lie inside: a halt on 2025-03-02, a symbol listed on
2025-03-03, short archives, one that never comes, one symbol long gone, and one that goes on the twentieth day.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from klines_pipeline.domain.utc_day import days_between
from klines_pipeline.simulator.happenings import Plan, Trouble, late_archives, rewrites
from klines_pipeline.simulator.server import EmbeddedExchange

BEGINS = datetime(2025, 2, 12, 12, tzinfo=UTC)
_OWN = 13
"""Symbols the embedded spot market has without extra ones."""
_LATE_SHARE = 0.08
_HOURS_AFTER = 16
"""The story ends when the last day's archives, late ones too, have been there for a while."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How much of it: simulated days, symbols, minutes between freshness ticks."""

    days: int = 30
    symbols: int = 50
    freshness_minutes: int = 240
    seed: int = 7

    @property
    def first(self) -> date:
        """Two days of history lie before the beginning."""
        return BEGINS.date() - timedelta(days=2)

    @property
    def last(self) -> date:
        """The last day that is over in the end."""
        return BEGINS.date() + timedelta(days=self.days - 1)

    @property
    def ends(self) -> datetime:
        """The last moment."""
        return BEGINS + timedelta(days=self.days, hours=_HOURS_AFTER)

    def all_days(self) -> list[date]:
        """Days that must be there in the end."""
        return list(days_between(self.first, self.last))

    def at(self, day: float, hour: float = 0) -> datetime:
        """An hour of one of the days, counted from 0; days beyond the end of a short story never come."""
        return BEGINS.replace(hour=0) + timedelta(days=day, hours=hour)


def open_exchange(scale: Scale) -> EmbeddedExchange:
    """Not started yet; its clock stands at the beginning."""
    exchange = EmbeddedExchange(seed=scale.seed, now=BEGINS, rate=0, extra_symbols=max(scale.symbols - _OWN, 0))
    if "X0030USDT" in symbols_of(exchange, scale):
        exchange.delist("X0030USDT", scale.at(20, 6))
    return exchange


def symbols_of(exchange: EmbeddedExchange, scale: Scale) -> list[str]:
    """The symbols of the dataset."""
    return list(exchange.market.listings)[: scale.symbols]


def plan_of(exchange: EmbeddedExchange, scale: Scale) -> Plan:
    """8 % of symbol-days late, three archives rewritten, a dark listing for six hours, 429 for half an hour."""
    listings = [exchange.market.listings[symbol] for symbol in symbols_of(exchange, scale)]
    days, end = list(days_between(BEGINS.date(), scale.last)), scale.ends - timedelta(hours=8)
    late = [
        held
        for held in late_archives(scale.seed, [listing.symbol for listing in listings], days, _LATE_SHARE)
        if held.until < end and exchange.market.listings[held.symbol].trades_on(held.day)
    ]
    always = [listing.symbol for listing in listings if listing.trades_on(days[0]) and listing.trades_on(days[-1])]
    last = max((scale.last - BEGINS.date()).days - 4, 0)
    rewritten = sorted({BEGINS.date() + timedelta(days=round(last * part)) for part in (0.1, 0.5, 0.9)})
    return Plan(late, rewrites(scale.seed, always, rewritten, late), _troubles(scale))


def _troubles(scale: Scale) -> list[Trouble]:
    """At 12:00 the tick itself is refused, at 16:00 every other request: the tick passes, and its run meets them."""
    dark, silent = scale.at(scale.days // 2), scale.at(scale.days // 3)
    refusal = {"kind": "status", "status": 429, "group": "rest", "headers": {"Retry-After": "0.05"}}
    return [
        Trouble(
            dark + timedelta(hours=1),
            dark + timedelta(hours=7),
            "the listing answers 403",
            {"kind": "status", "status": 403, "group": "listing"},
        ),
        Trouble(silent + timedelta(hours=11.9), silent + timedelta(hours=12.4), "REST answers 429", refusal),
        Trouble(
            silent + timedelta(hours=15.9),
            silent + timedelta(hours=16.4),
            "REST answers every other request with 429",
            {**refusal, "probability": 0.5},
        ),
    ]


def klines_yaml(symbols: list[str], scale: Scale) -> str:
    """One dataset, kept by itself. A filter, since nobody can name a symbol that is not listed yet."""
    return f"""\
lake: ./lake
automation: {{freshness_minutes: {scale.freshness_minutes}}}
datasets:
  - market: spot
    interval: 1m
    start: {scale.first}
    symbols: {{match: "^({"|".join(symbols)})$"}}
    resample: [1h]
"""
