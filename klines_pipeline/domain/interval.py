"""Intervals: how long a kline is and how many of them a UTC day holds.

Spelled as in the REST API (`1M` is the month). How an exchange spells them on the wire is that exchange's affair.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from klines_pipeline.domain.errors import UnknownNameError

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


@dataclass(frozen=True, slots=True, order=True)
class Interval:
    """An interval that divides the UTC day, `1s` to `1d`."""

    duration: timedelta
    name: str

    @classmethod
    def parse(cls, name: str, *, where: str = "") -> Self:
        """Read the API's spelling; case matters there (`1m` is a minute, `1M` a month)."""
        if name not in _SECONDS:
            raise UnknownNameError("interval", name, DAILY_INTERVALS, where=where)
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
