"""What a market truly has: the klines of any symbol, interval and UTC day; halts, outages and listing dates obeyed.

Publication and archive gaps are `bucket`'s affair; nothing here knows a clock or a URL.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

import numpy as np

from klines_pipeline.domain.interval import Interval
from klines_pipeline.domain.utc_day import day_start, to_microseconds
from klines_pipeline.simulator.columns import Klines, aggregate
from klines_pipeline.simulator.inverse import in_base
from klines_pipeline.simulator.listings import DEFAULT_LISTINGS, Listing
from klines_pipeline.simulator.seconds import seconds_of
from klines_pipeline.simulator.stoppages import flat_at, quieten, settle, sit_out, stand_still
from klines_pipeline.simulator.truths import HALTS, Halt, Outage, halts_of, outages_of
from klines_pipeline.simulator.walk import MINUTE, day_of_minutes

_ONE_MINUTE = Interval.parse("1m")


class Market:
    """A seeded market, spot if nothing else is said. Rows set by hand (real files, revisions) replace synthetic ones.

    In `halts` klines are absent, in `outages` flat.
    """

    def __init__(
        self,
        *,
        seed: int,
        listings: Sequence[Listing] = DEFAULT_LISTINGS,
        halts: tuple[Halt, ...] = HALTS,
        outages: tuple[Outage, ...] = (),
    ) -> None:
        self.seed = seed
        self.halts = halts
        self.outages = outages
        self.listings = {listing.symbol: listing for listing in listings}
        self._set_rows: dict[tuple[str, str, date], Callable[[], Klines]] = {}
        self._drawn = lru_cache(maxsize=64)(self._drawn_minutes)
        self._minutes = lru_cache(maxsize=256)(self._listed_minutes)
        self._seconds = lru_cache(maxsize=4)(self._day_of_seconds)
        self._coarse = lru_cache(maxsize=4096)(self._aggregated)

    def klines(self, symbol: str, interval: Interval | str, day: date) -> Klines:
        """All klines that open on a UTC day, as if it were over; empty where the symbol was not listed."""
        name = str(interval)
        found = self._set_rows.get((symbol, name, day))
        if found is not None:
            return found()
        if symbol not in self.listings:
            return Klines.empty()
        return self.synthetic(symbol, name, day)

    def synthetic(self, symbol: str, interval: str, day: date) -> Klines:
        """The seeded klines of a listed symbol's day, whatever was set by hand."""
        if interval == "1m":
            return self._minutes(symbol, day)
        if interval == "1s":
            return self._seconds(symbol, day)
        return (
            self._aggregated(symbol, interval, day) if interval.endswith("m") else self._coarse(symbol, interval, day)
        )

    def set_rows(self, symbol: str, interval: str, day: date, read: Callable[[], Klines]) -> None:
        """Make what `read` returns the rows of a symbol, interval and day; it is called once, when first needed."""
        self._set_rows[symbol, interval, day] = lru_cache(maxsize=1)(read)

    def delist(self, symbol: str, at: datetime) -> None:
        """End a symbol's present listing at an instant (UTC)."""
        listing = self.listings[symbol]
        *before, last = listing.lives
        self.listings[symbol] = replace(listing, lives=(*before, replace(last, end=at)))
        for drawn in (self._drawn, self._minutes, self._seconds, self._coarse):
            drawn.cache_clear()

    def days_set(self, symbol: str, interval: str) -> list[date]:
        """Days whose rows were set by hand."""
        return sorted(day for name, step, day in list(self._set_rows) if (name, step) == (symbol, interval))

    def symbols_set(self) -> set[str]:
        """Symbols with rows set by hand."""
        return {symbol for symbol, _, _ in list(self._set_rows)}

    def klines_so_far(self, symbol: str, interval: Interval, day: date, now: datetime) -> Klines:
        """Klines of a day up to `now`, the last one perhaps still forming (its close time lies ahead)."""
        moment = to_microseconds(now)
        if (symbol, interval.name, day) in self._set_rows or now >= day_start(day) + timedelta(days=1):
            rows = self.klines(symbol, interval, day)
            return rows if not len(rows) or rows.open_time[-1] <= moment else rows.between(0, moment)
        if symbol not in self.listings or now < day_start(day):
            return Klines.empty()
        if interval.name == "1s":
            return self.synthetic(symbol, "1s", day).between(0, moment)
        minutes = self._forming_minutes(symbol, day, moment)
        if interval == _ONE_MINUTE:
            return minutes
        return self._halted(aggregate(minutes, interval.microseconds), interval.microseconds, day)

    def _forming_minutes(self, symbol: str, day: date, moment: int) -> Klines:
        minutes = self._drawn(symbol, day)
        closed = minutes.take(minutes.open_time + MINUTE <= moment)
        running = minutes.take((minutes.open_time <= moment) & (minutes.open_time + MINUTE > moment))
        if not len(running):
            return self._counted(symbol, closed)
        seconds = seconds_of(self.seed, self.listings[symbol], running).between(0, moment)
        partial = aggregate(seconds, MINUTE).with_columns(close_time=running.close_time)
        return self._counted(symbol, Klines.join([closed, partial]))

    def _listed_minutes(self, symbol: str, day: date) -> Klines:
        return self._counted(symbol, self._drawn(symbol, day))

    def _counted(self, symbol: str, drawn: Klines) -> Klines:
        """Volumes as the market counts them."""
        contract = self.listings[symbol].contract
        return in_base(drawn, contract.size) if contract and contract.size else drawn

    def _drawn_minutes(self, symbol: str, day: date) -> Klines:
        """The minutes of a symbol's day, quote volumes linear in every market."""
        listing = self.listings[symbol]
        if not listing.trades_on(day):
            return Klines.empty()
        minutes = day_of_minutes(self.seed, listing, to_microseconds(day_start(day)))
        for halt in halts_of(day, self.halts):
            minutes = stand_still(quieten(minutes, halt), halt, MINUTE)
        for outage in outages_of(day, self.outages):
            minutes = sit_out(minutes, outage)
        return self._while_listed(self._settled(minutes, listing, day), listing)

    def _settled(self, minutes: Klines, listing: Listing, day: date) -> Klines:
        since = listing.contract.settled if listing.contract else None
        if since is None or day < since.date():
            return minutes
        if day == since.date():
            return settle(minutes, to_microseconds(since))
        return flat_at(minutes, int(self._drawn(listing.symbol, since.date()).close[-1]))

    def _while_listed(self, minutes: Klines, listing: Listing) -> Klines:
        lives = np.zeros(len(minutes), dtype=np.bool_)
        for life in listing.lives:
            end = to_microseconds(life.end) if life.end else np.iinfo(np.int64).max
            lives |= (minutes.open_time >= to_microseconds(life.start)) & (minutes.open_time < end)
        return minutes if lives.all() else minutes.take(lives)

    def _day_of_seconds(self, symbol: str, day: date) -> Klines:
        minutes = self._minutes(symbol, day)
        if not len(minutes):
            return minutes
        return self._halted(seconds_of(self.seed, self.listings[symbol], minutes), 1_000_000, day)

    def _aggregated(self, symbol: str, interval: str, day: date) -> Klines:
        duration = Interval.parse(interval).microseconds
        return self._halted(aggregate(self._minutes(symbol, day), duration), duration, day)

    def _halted(self, klines: Klines, duration: int, day: date) -> Klines:
        for halt in halts_of(day, self.halts):
            klines = stand_still(klines, halt, duration)
        return klines


def listed_days(listing: Listing, until: date) -> list[int]:
    """Ordinals of the UTC days on which a symbol has klines, up to `until`, ascending."""
    days: list[int] = []
    for life in listing.lives:
        last = min(until, life.last_day or until).toordinal()
        days.extend(range(life.first_day.toordinal(), last + 1))
    return days


def utc_day(microseconds: int) -> date:
    """The UTC day of a µs timestamp, clamped to the calendar's ends."""
    seconds = min(max(microseconds // 1_000_000, 0), 253_402_300_799)
    return datetime.fromtimestamp(seconds, tz=UTC).date()
