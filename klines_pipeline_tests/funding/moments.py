"""Short ways to name instants, settlements and rows of a day."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import polars as pl

from klines_pipeline.funding.expected import Settlement
from klines_pipeline.funding.schema import FUNDING_SCHEMA, REST, VISION

DAY = date(2025, 3, 2)
MIDNIGHT = datetime(2025, 3, 2, tzinfo=UTC)
LATER = datetime(2025, 4, 2, tzinfo=UTC)


def at(hour: float) -> datetime:
    """An hour of the day, or of those around it."""
    return MIDNIGHT + timedelta(hours=hour)


def every(hours: int, *times: int) -> list[Settlement]:
    """Settlements at these hours of the day, each after an interval of `hours`."""
    return [Settlement(at(time), hours) for time in times]


def rows(
    symbol: str, times: Sequence[int], *, source: str = VISION, rate: float = 0.0001, **values: object
) -> pl.DataFrame:
    """Rows of the table, 8 hours apart unless told otherwise."""
    return pl.DataFrame(
        [
            {
                "symbol": symbol,
                "funding_time": at(time),
                "calc_time": at(time) + timedelta(milliseconds=3),
                "interval_hours": 8,
                "funding_rate": rate,
                "mark_price": 2.5 if source == REST else None,
                "source": source,
                "revision": 0 if source == REST else 1,
                "ingested_at": LATER,
                **values,
            }
            for time in times
        ],
        schema=FUNDING_SCHEMA,
    )
