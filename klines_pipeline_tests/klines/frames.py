"""Small kline frames by hand, and strategies that make them."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

import polars as pl

from klines_pipeline.klines.schema import KLINE_SCHEMA, VISION

DAY = datetime(2024, 3, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def at(minute: float) -> datetime:
    """That many minutes into the day."""
    return DAY + minute * MINUTE


def kline(symbol: str, minute: float, *, source: str = VISION, **fields: object) -> dict[str, object]:
    """One plausible row; any field may be given."""
    return {
        "symbol": symbol,
        "open_time": at(minute),
        "open": 10.0,
        "high": 12.0,
        "low": 9.0,
        "close": 11.0,
        "volume": 5.0 + minute,
        "quote_volume": 10.0 * (5.0 + minute),
        "trades": 3,
        "taker_buy_volume": 2.0,
        "taker_buy_quote_volume": 20.0,
        "source": source,
        "revision": 1 if source == VISION else 0,
        "ingested_at": at(2000),
    } | fields


def frame(rows: Iterable[dict[str, object]]) -> pl.DataFrame:
    """Rows in the table's schema."""
    return pl.DataFrame(list(rows), schema=KLINE_SCHEMA, orient="row")


def klines(symbol: str, minutes: Iterable[float], *, source: str = VISION, **fields: object) -> pl.DataFrame:
    """One row a minute given."""
    return frame(kline(symbol, minute, source=source, **fields) for minute in minutes)


def keys(rows: pl.DataFrame) -> Sequence[tuple[object, ...]]:
    """The key of each row."""
    return rows.select("symbol", "open_time").rows()
