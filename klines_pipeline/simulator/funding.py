"""When perpetuals settle funding, at which rate, and what came of it: the truth behind REST and the archives.

Settlements fall on the UTC grid of their interval, a few ms late. Which archive lacks one stands in `truths`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

import numpy as np

from klines_pipeline.domain.utc_day import to_milliseconds
from klines_pipeline.simulator.hashing import Ints, stream_key, uniforms
from klines_pipeline.simulator.listings import Listing, utc
from klines_pipeline.simulator.market import Market
from klines_pipeline.simulator.walk import prices_at

HOUR = 3_600_000
"""ms."""
MOST_LATE = 10
"""Settlements come less than this many ms after the hour."""
USUAL_HOURS = 8
_USUAL_RATE = 10_000
"""1e-8: 0.0001."""
_SPREAD = 30_000
_CERTAIN_SHARE = 0.3
_FOREVER = 2**40

Segment = tuple[datetime, int]
"""The interval in hours that leads to each settlement after this instant (UTC)."""
INTERVALS: Mapping[tuple[str, str], tuple[Segment, ...]] = {
    ("um", "SOLUSDT"): ((utc(2019, 1, 1), 4),),
    ("um", "1000SHIBUSDT"): (
        (utc(2019, 1, 1), 8),
        (utc(2024, 6, 10, 8), 4),
        (utc(2025, 3, 2), 1),
        (utc(2025, 3, 3), 4),
    ),
}
"""Symbols, by market, whose interval is or became another than 8 hours."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """One payment of funding."""

    symbol: str
    time: int
    """ms, with its few ms after the hour."""
    hours: int
    """The interval that ended with it."""
    rate: int
    """1e-8."""
    mark_price: int
    """1e-8."""

    @property
    def hour(self) -> int:
        """The hour it belongs to, ms."""
        return self.time - self.time % HOUR


class Funding:
    """The settlements of one market."""

    def __init__(self, market: Market, name: str) -> None:
        self._market = market
        self._name = name

    def oldest(self, symbol: str, start: int, end: int, most: int) -> list[Settlement]:
        """The first `most` settlements with start <= time <= end (ms), ascending."""
        hours = ((hour, step) for hours, step in self._stretches(symbol, start, end) for hour in hours)
        return self._settled(symbol, hours, start, end, most)[:most]

    def newest(self, symbol: str, start: int, end: int, most: int) -> list[Settlement]:
        """The last `most` settlements with start <= time <= end (ms), ascending."""
        stretches = self._stretches(symbol, start, end)[::-1]
        hours = ((hour, step) for hours, step in stretches for hour in reversed(hours))
        return self._settled(symbol, hours, start, end, most)[-most:] if most else []

    def hours_at(self, symbol: str, now: datetime) -> int:
        """The interval in force."""
        segments = INTERVALS.get((self._name, symbol), ())
        return next((hours for start, hours in reversed(segments) if start <= now), USUAL_HOURS)

    def _stretches(self, symbol: str, start: int, end: int) -> list[tuple[range, int]]:
        """Hours since 1970 with a settlement and the interval before it, ascending, perhaps one too early or late."""
        listing = self._market.listings.get(symbol)
        if listing is None or listing.contract is None or listing.contract.delivery or listing.contract.archive_only:
            return []
        segments = INTERVALS.get((self._name, symbol), ((utc(2019, 1, 1), USUAL_HOURS),))
        found = []
        for after, until in _lives(listing):
            for place, (since, hours) in enumerate(segments):
                over = segments[place + 1][0] if place + 1 < len(segments) else None
                first = max(after, _hour(since)) + 1
                last = min(until, _hour(over) if over else _FOREVER, end // HOUR)
                first = max(first, (start - MOST_LATE) // HOUR)
                found.append((range(-(-first // hours) * hours, last + 1, hours), hours))
        return found

    def _settled(
        self, symbol: str, hours: Iterator[tuple[int, int]], start: int, end: int, most: int
    ) -> list[Settlement]:
        chosen = sorted(islice(hours, most + 2))
        if not chosen:
            return []
        listing = self._market.listings[symbol]
        moments = np.array([hour for hour, _ in chosen], dtype=np.int64)
        late = (_draws(self._market, listing, "funding late", moments) ** 2 * MOST_LATE).astype(np.int64)
        times = (moments * HOUR + late).tolist()
        rates = _rates(self._market, listing, moments).tolist()
        marks = prices_at(self._market.seed, listing, moments * 60).tolist()
        rows = zip(times, (hours for _, hours in chosen), rates, marks, strict=True)
        return [Settlement(symbol, *row) for row in rows if start <= row[0] <= end]


def _lives(listing: Listing) -> list[tuple[int, int]]:
    """Hours since 1970: funding is due after the first and up to the second."""
    settled = listing.contract.settled if listing.contract else None
    ends = ((life, min((end for end in (life.end, settled) if end), default=None)) for life in listing.lives)
    return [(_hour(life.start), _hour(end) if end else _FOREVER) for life, end in ends]


def _hour(moment: datetime) -> int:
    return to_milliseconds(moment) // HOUR


def _draws(market: Market, listing: Listing, name: str, moments: Ints) -> np.ndarray:
    return uniforms(stream_key(market.seed, listing.stream, name), moments)


def _rates(market: Market, listing: Listing, moments: Ints) -> Ints:
    """Around 0.0001 with both signs; three in ten exactly that, as where nobody presses either way."""
    certain, one, two = (_draws(market, listing, name, moments) for name in ("rate kept", "rate one", "rate two"))
    rates = np.rint(_USUAL_RATE + (one + two - 1.0) * _SPREAD).astype(np.int64)
    chosen: Ints = np.where(certain < _CERTAIN_SHARE, _USUAL_RATE, rates)
    return chosen
