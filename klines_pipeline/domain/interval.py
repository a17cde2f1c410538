"""Intervals: how long a kline is, how many of them a UTC day holds, or which UTC days one of them spans.

Spelled as in the REST API (`1M` is the month). How an exchange spells them on the wire is that exchange's affair.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import NamedTuple, Self

from klines_pipeline.domain.errors import UnknownNameError
from klines_pipeline.domain.utc_day import EPOCH, days_between

DAY = timedelta(days=1)

_SECONDS = {
    "1s": 1,
    "1m": 60,
    "3m": 180,
    "5m": 300,
    "15m": 900,
    "30m": 1800,
    "1h": 3600,
    "2h": 7200,
    "4h": 14400,
    "6h": 21600,
    "8h": 28800,
    "12h": 43200,
    "1d": 86400,
}

DAILY_INTERVALS = tuple(_SECONDS)
"""The intervals that divide a UTC day: those a day partition can hold."""
LONG_INTERVALS = ("3d", "1w", "1M")
"""The intervals of whole days, computed from `1d`."""
INTERVALS = DAILY_INTERVALS + LONG_INTERVALS
"""Every interval, the shortest first."""
_LONG_REMEDY = "{0} klines are computed: `resample: [{0}]` under interval 1d, then read with resampled=True."


@dataclass(frozen=True, slots=True, order=True)
class Interval:
    """An interval that divides the UTC day, `1s` to `1d`."""

    duration: timedelta
    name: str

    @classmethod
    def parse(cls, name: str, *, where: str = "") -> Self:
        """Read the API's spelling; case matters there (`1m` is a minute, `1M` a month).

        UnknownNameError for any other word; for one of LONG_INTERVALS it says where those are to be had.
        """
        if name not in _SECONDS:
            remedy = _LONG_REMEDY.format(name) if name in LONG_INTERVALS else ""
            raise UnknownNameError("interval", name, DAILY_INTERVALS, where=where, remedy=remedy)
        return cls(duration=timedelta(seconds=_SECONDS[name]), name=name)

    @property
    def microseconds(self) -> int:
        """Duration in µs."""
        return self.duration // timedelta(microseconds=1)

    @property
    def bars_per_day(self) -> int:
        """Klines in a full UTC day."""
        return DAY // self.duration

    def __str__(self) -> str:
        return self.name


class Period(NamedTuple):
    """The UTC days of one kline: from `opens` to before `ends`."""

    opens: date
    ends: date

    @property
    def last(self) -> date:
        """The last day that belongs to it."""
        return self.ends - DAY

    def days(self) -> Iterator[date]:
        """Each of its days, in order."""
        return days_between(self.opens, self.last)

    def __str__(self) -> str:
        return f"{self.opens} to {self.last}"


@dataclass(frozen=True, slots=True)
class LongInterval:
    """An interval of whole UTC days: `1w` opens on Monday, `1M` on the 1st, as Binance's do.

    `3d` counts from 1970-01-01. Where the exchange's own 3d klines open is not established; they may lie a day or two
    apart from these.
    """

    name: str

    @classmethod
    def parse(cls, name: str, *, where: str = "") -> Self:
        """Read the API's spelling; UnknownNameError for any other word."""
        if name not in LONG_INTERVALS:
            raise UnknownNameError("interval", name, LONG_INTERVALS, where=where)
        return cls(name)

    def period_of(self, day: date) -> Period:
        """The period the day lies in."""
        if self.name == "1M":
            opens = day.replace(day=1)
            return Period(opens, (opens + 31 * DAY).replace(day=1))
        if self.name == "1w":
            opens = day - day.weekday() * DAY
            return Period(opens, opens + 7 * DAY)
        opens = day - (day - EPOCH.date()).days % 3 * DAY
        return Period(opens, opens + 3 * DAY)

    def __str__(self) -> str:
        return self.name


AnyInterval = Interval | LongInterval


def parse_interval(name: str, *, where: str = "") -> AnyInterval:
    """Read any interval, `1s` to `1M`; UnknownNameError for any other word."""
    if name not in INTERVALS:
        raise UnknownNameError("interval", name, INTERVALS, where=where)
    return LongInterval.parse(name) if name in LONG_INTERVALS else Interval.parse(name)
