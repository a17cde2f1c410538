"""Moments of the month in which the exchange stands."""

from datetime import UTC, datetime


def at(day: int, hour: int, minute: int = 0, second: int = 30) -> datetime:
    """A moment of March 2025, UTC."""
    return datetime(2025, 3, day, hour, minute, second, tzinfo=UTC)
