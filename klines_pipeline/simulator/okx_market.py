"""What OKX truly has: the bars of any instrument and size up to an instant, holes and listing dates obeyed.

Volumes are base and quote currency for every instrument; contracts are `okx_rows`' affair. No clock, no HTTP.
"""

from datetime import date, datetime
from functools import lru_cache

import numpy as np

from klines_pipeline.domain.utc_day import day_end, day_start, days_between, from_microseconds, to_microseconds
from klines_pipeline.simulator.columns import DECIMALS, Klines, aggregate
from klines_pipeline.simulator.hashing import Ints
from klines_pipeline.simulator.okx_bars import HOUR, MINUTE, Bar
from klines_pipeline.simulator.okx_instruments import INSTRUMENTS, Instrument
from klines_pipeline.simulator.okx_truths import HOLES
from klines_pipeline.simulator.seconds import seconds_of
from klines_pipeline.simulator.walk import day_of_minutes

_PRICES = ("open", "high", "low", "close")


class OkxMarket:
    """The seeded bars behind every answer. The same seed gives the same bars."""

    def __init__(self, *, seed: int) -> None:
        self.seed = seed
        self.instruments = INSTRUMENTS
        self._walked = lru_cache(maxsize=64)(self._listed_minutes)
        self._minutes = lru_cache(maxsize=256)(self._converted_minutes)
        self._hours = lru_cache(maxsize=8192)(self._day_of_hours)

    def newest(
        self, name: str, bar: Bar, *, after: int | None, before: int | None, rows: int, depth: int | None, now: datetime
    ) -> Klines:
        """The newest `rows` bars that open strictly earlier than `after` and strictly later than `before` (µs).

        Ascending. `depth` keeps to that many bars up to now, the forming one included, whether they exist or not.
        """
        life, moment = self.instruments[name].life, to_microseconds(now)
        last = bar.number(moment if after is None else min(after - 1, moment))
        if life.end is not None:
            last = min(last, bar.number(to_microseconds(life.end) - 1))
        first = bar.number(to_microseconds(life.start))
        if before is not None:
            first = max(first, bar.number(min(before, moment)) + 1)
        if depth is not None:
            first = max(first, bar.number(moment) - depth + 1)
        found = Klines.empty()
        while len(found) < rows and first <= last:
            start = max(first, last - rows + 1)
            found = Klines.join([self.bars(name, bar, first=start, last=last, now=now), found])
            last = start - 1
        return found.take(slice(-rows, None))

    def bars(self, name: str, bar: Bar, *, first: int, last: int, now: datetime) -> Klines:
        """The bars numbered `first` to `last` as they stand at `now`, ascending; close times are the bars' own ends."""
        bounds = np.array([bar.opens(number) for number in range(first, last + 2)], dtype=np.int64)
        start, end = int(bounds[0]), min(int(bounds[-1]) - 1, to_microseconds(now))
        if start > end:
            return Klines.empty()
        days = days_between(from_microseconds(start).date(), from_microseconds(end).date())
        parts = [self._parts(name, day, hourly=bar.is_of_hours, now=now) for day in days]
        pieces = Klines.join(parts).between(start, end)
        places = np.searchsorted(bounds, pieces.open_time, side="right") - 1
        found = aggregate(pieces.with_columns(open_time=places), 1)
        return found.with_columns(open_time=bounds[found.open_time], close_time=bounds[found.open_time + 1] - 1)

    def _parts(self, name: str, day: date, *, hourly: bool, now: datetime) -> Klines:
        """What bars of a day are made of: hours or minutes, the last minute perhaps still forming."""
        if now >= day_end(day):
            return self._hours(name, day) if hourly else self._minutes(name, day)
        walked, moment = self._walked(name, day), to_microseconds(now)
        closed = walked.take(walked.open_time + MINUTE <= moment)
        running = walked.take((walked.open_time <= moment) & (walked.open_time + MINUTE > moment))
        forming = self._forming(name, running, closed.close[-1:], moment=moment) if len(running) else running
        return _converted(self.instruments[name], Klines.join([closed, forming]))

    def _forming(self, name: str, minute: Klines, last_close: Ints, *, moment: int) -> Klines:
        """A minute as far as it went; without a trade so far it repeats the close before it."""
        seconds = seconds_of(self.seed, self.instruments[name].listing, minute).between(0, moment)
        so_far = aggregate(seconds, MINUTE)
        if so_far.volume[0] or not len(last_close):
            return so_far
        return so_far.with_columns(**dict.fromkeys(_PRICES, last_close))

    def _listed_minutes(self, name: str, day: date) -> Klines:
        listing = self.instruments[name].listing
        if not listing.trades_on(day):
            return Klines.empty()
        (life,) = listing.lives
        minutes = day_of_minutes(self.seed, listing, to_microseconds(day_start(day)))
        end = to_microseconds(life.end or day_end(day))
        minutes = minutes.between(to_microseconds(life.start), end - 1)
        for hole in HOLES:
            if hole.instrument == name:
                start, end = to_microseconds(hole.start), to_microseconds(hole.end)
                minutes = minutes.without(start, end, duration=MINUTE)
        return minutes

    def _converted_minutes(self, name: str, day: date) -> Klines:
        return _converted(self.instruments[name], self._walked(name, day))

    def _day_of_hours(self, name: str, day: date) -> Klines:
        return aggregate(self._minutes(name, day), HOUR)


def _converted(instrument: Instrument, minutes: Klines) -> Klines:
    """Base and quote volumes; the walk of an inverse contract counts contracts."""
    if instrument.kind != "inverse":
        return minutes
    price = minutes.quote_volume / np.maximum(minutes.volume, 1)
    quote = minutes.volume * (instrument.contract_value // 10**DECIMALS)
    base = np.rint(quote / np.maximum(price, 1e-9)).astype(np.int64)
    return minutes.with_columns(volume=base, quote_volume=quote)
