"""What the exchange truly has: the klines of any symbol, interval and UTC day, halts and listing dates obeyed.

Publication and archive gaps are `bucket`'s affair; nothing here knows a clock or a URL.
"""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

import numpy as np

from klines_pipeline.domain.interval import Interval
from klines_pipeline.domain.utc_day import day_start, to_microseconds
from klines_pipeline.simulator.columns import Klines, aggregate
from klines_pipeline.simulator.listings import DEFAULT_LISTINGS, Listing, extra_listings
from klines_pipeline.simulator.seconds import seconds_of
from klines_pipeline.simulator.truths import HALTS, Halt, halts_of
from klines_pipeline.simulator.walk import MINUTE, day_of_minutes

_ONE_MINUTE = Interval.parse("1m")


def _quieten(minutes: Klines, halt: Halt) -> Klines:
    """No trades from `quiet` to `last`; the price stands."""
    quiet, last = to_microseconds(halt.quiet), to_microseconds(halt.last)
    still = (minutes.open_time >= quiet) & (minutes.open_time <= last)
    before = minutes.close[minutes.open_time < quiet]
    if not still.any() or not len(before):
        return minutes
    changes = {name: np.where(still, before[-1], getattr(minutes, name)) for name in ("open", "high", "low", "close")}
    for name in ("volume", "quote_volume", "trades", "taker_buy_volume", "taker_buy_quote_volume"):
        changes[name] = np.where(still, 0, getattr(minutes, name))
    return minutes.with_columns(**changes)


def _stand_still(klines: Klines, halt: Halt, duration: int) -> Klines:
    """Klines within the halt are absent; the one that was running closes at `last`."""
    last, resume = to_microseconds(halt.last), to_microseconds(halt.resume)
    inside = (klines.open_time > last) & (klines.open_time + duration <= resume)
    klines = klines.take(~inside)
    running = (klines.open_time <= last) & (klines.open_time + duration > last)
    cut = running & (klines.open_time + duration <= resume)
    return klines.with_columns(close_time=np.where(cut, last, klines.close_time))


class Market:
    """A seeded spot market. Rows set by hand (real files, revisions) replace the synthetic ones of that day."""

    def __init__(self, *, seed: int, extra_symbols: int = 0) -> None:
        self.seed = seed
        self.halts = HALTS
        self.listings = {listing.symbol: listing for listing in (*DEFAULT_LISTINGS, *extra_listings(extra_symbols))}
        self._set_rows: dict[tuple[str, str, date], Callable[[], Klines]] = {}
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
        minutes = self._minutes(symbol, day)
        closed = minutes.take(minutes.open_time + MINUTE <= moment)
        running = minutes.take((minutes.open_time <= moment) & (minutes.open_time + MINUTE > moment))
        if not len(running):
            return closed
        seconds = seconds_of(self.seed, self.listings[symbol], running).between(0, moment)
        partial = aggregate(seconds, MINUTE).with_columns(close_time=running.close_time)
        return Klines.join([closed, partial])

    def _listed_minutes(self, symbol: str, day: date) -> Klines:
        listing = self.listings[symbol]
        if not listing.trades_on(day):
            return Klines.empty()
        minutes = day_of_minutes(self.seed, listing, to_microseconds(day_start(day)))
        for halt in halts_of(day):
            minutes = _stand_still(_quieten(minutes, halt), halt, MINUTE)
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
        for halt in halts_of(day):
            klines = _stand_still(klines, halt, duration)
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
