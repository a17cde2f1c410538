"""The exchange's clock: simulated UTC that starts anywhere, runs faster, or stands still. Handlers read no other."""

import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

DEFAULT_START = datetime(2025, 3, 4, 9, tzinfo=UTC)
"""A day and a half after the invented halt, with the archives of 2025-03-03 published."""


class SimulatedClock:
    """start + rate x real time elapsed; rate 0 stands still."""

    def __init__(self, *, start: datetime | None = None, rate: float = 1.0) -> None:
        self._lock = threading.Lock()
        self._start = _in_utc(start or DEFAULT_START)
        self._rate = _checked(rate)
        self._since = time.monotonic()
        self._limit_seconds = 0.0

    @property
    def rate(self) -> float:
        """Simulated seconds per real second."""
        return self._rate

    @property
    def limit_rate(self) -> float:
        """How fast weight windows pass: never slower than real time, so that a frozen clock does not ban for ever."""
        return max(self._rate, 1.0)

    def now(self) -> datetime:
        """The simulated instant, UTC."""
        with self._lock:
            return self._at(time.monotonic())

    def limit_seconds(self) -> float:
        """Seconds on the clock of the request limits: it never jumps and never runs slower than real time."""
        with self._lock:
            return self._limit_at(time.monotonic())

    def set(self, now: datetime | None = None, rate: float | None = None) -> None:
        """Jump to an instant, change the pace, or both."""
        with self._lock:
            moment = time.monotonic()
            self._limit_seconds = self._limit_at(moment)
            start = self._at(moment) if now is None else _in_utc(now)
            self._start, self._rate = start, self._rate if rate is None else _checked(rate)
            self._since = moment

    def _limit_at(self, moment: float) -> float:
        return self._limit_seconds + self.limit_rate * (moment - self._since)

    def _at(self, moment: float) -> datetime:
        return self._start + timedelta(seconds=self._rate * (moment - self._since))


def http_date(moment: datetime) -> str:
    """The form of `Date` and `Last-Modified`."""
    return format_datetime(moment, usegmt=True)


def _in_utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no time zone. Give the clock an aware one, such as 2025-03-04T09:00:00Z.")
    return moment.astimezone(UTC)


def _checked(rate: float) -> float:
    if not 0 <= rate <= 1_000_000:
        raise ValueError(f"rate {rate} is not between 0 and 1,000,000. Use 1 for real time, 0 to stand still.")
    return rate
