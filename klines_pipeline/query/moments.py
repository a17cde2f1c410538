"""Moments as readers write them."""

from datetime import UTC, date, datetime

from klines_pipeline.domain.errors import ConfigurationError
from klines_pipeline.domain.utc_day import day_start, parse_day

Moment = str | date | datetime


def moment_of(value: Moment, name: str) -> datetime:
    """Any accepted form of a moment as an aware UTC datetime. A text is a calendar date, YYYY-MM-DD, alone or followed
    by `T` or a space and a time of ISO 8601.
    """
    if isinstance(value, str):
        value = _read_moment(value, name)
    if not isinstance(value, date):
        raise ConfigurationError(
            f"{name}: {value!r} is no moment. Give a date or an ISO time such as 2024-01-01T12:30."
        )
    if not isinstance(value, datetime):
        return day_start(value)
    try:
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError:
        raise ConfigurationError(
            f"{name}: {value.isoformat()} is in UTC not within the years 1 to 9999. Give a moment that is, such as "
            "2024-01-01T12:30."
        ) from None


def _read_moment(text: str, name: str) -> datetime:
    day, separator, _ = text.replace(" ", "T").partition("T")
    if not separator:
        return day_start(parse_day(text, where=name))
    try:
        parse_day(day)
        return datetime.fromisoformat(text)
    except (ConfigurationError, ValueError):
        raise ConfigurationError(f"{name}: {text!r} is not an ISO time such as 2024-01-01T12:30.") from None
