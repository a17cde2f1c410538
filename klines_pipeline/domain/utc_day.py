"""UTC days and instants: the only place that builds one from the other. No naive datetimes, no clock."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta

from klines_pipeline.domain.errors import ConfigurationError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MICROSECOND = timedelta(microseconds=1)


def parse_day(text: str, *, where: str = "") -> date:
    """Read `YYYY-MM-DD`, and nothing else."""
    try:
        if not _DAY.fullmatch(text):
            raise ValueError(text)
        return date.fromisoformat(text)
    except ValueError:
        prefix = f"{where}: " if where else ""
        raise ConfigurationError(
            f"{prefix}{text!r} is not a date. Write it as YYYY-MM-DD, for example 2024-02-29."
        ) from None


def day_start(day: date) -> datetime:
    """Midnight UTC that opens the day."""
    return datetime.combine(day, time(), tzinfo=UTC)


def day_end(day: date) -> datetime:
    """Midnight UTC that closes the day; not part of it."""
    return day_start(day) + timedelta(days=1)


def days_between(first: date, last: date) -> Iterator[date]:
    """Each day from first to last, both included."""
    for offset in range((last - first).days + 1):
        yield first + timedelta(days=offset)


def to_microseconds(instant: datetime) -> int:
    """µs since 1970-01-01 UTC."""
    return (instant - EPOCH) // _MICROSECOND


def to_milliseconds(instant: datetime) -> int:
    """ms since 1970-01-01 UTC, rounded down."""
    return to_microseconds(instant) // 1000


def from_microseconds(microseconds: int) -> datetime:
    """The UTC instant of a µs timestamp."""
    return EPOCH + timedelta(microseconds=microseconds)


def from_milliseconds(milliseconds: int) -> datetime:
    """The UTC instant of a ms timestamp."""
    return EPOCH + timedelta(milliseconds=milliseconds)
