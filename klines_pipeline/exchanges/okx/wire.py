"""OKX's wire format: rows of candles, strings all, newest first, to WIRE_SCHEMA. Nobody else knows a column.

Forming candles end here. Which volume is which depends on the market and stands in `markets`.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import polars as pl

from klines_pipeline.exchanges.okx.markets import OkxMarket
from klines_pipeline.klines.schema import UTC_TIME, WIRE_SCHEMA

_FIELDS = ("ts", "open", "high", "low", "close", "vol", "volCcy", "volCcyQuote", "confirm")
_OLDER_FIELDS = _FIELDS[:7]
_CLOSED = "1"
_LAST_MILLISECOND = 253_402_300_799_999  # of the year 9999; what lies beyond is no time and is rejected


def parse_rows(market: OkxMarket, symbol: str, rows: Sequence[Any]) -> pl.DataFrame:
    """Closed candles by open time; PolarsError, TypeError or ValueError for what are no rows of candles.

    A cell that is no number is null, so that its row alone is rejected. Rows of older deployments, seven columns, do
    not say whether they are closed and are all kept.
    """
    frame = _as_sent(rows).filter(pl.col("confirm") == _CLOSED)
    numbers = {name: pl.col(name).cast(pl.Float64, strict=False) for name in ("open", "high", "low", "close")}
    return (
        frame.with_columns(
            **numbers,
            symbol=pl.lit(symbol),
            open_time=_open_time(),
            volume=pl.col(market.base_volume).cast(pl.Float64, strict=False),
            quote_volume=pl.col(market.quote_volume).cast(pl.Float64, strict=False),
            trades=pl.lit(None, pl.Int64),
            taker_buy_volume=pl.lit(None, pl.Float64),
            taker_buy_quote_volume=pl.lit(None, pl.Float64),
        )
        .select(WIRE_SCHEMA.names())
        .sort("open_time", maintain_order=True)
    )


def oldest_open_time(rows: Sequence[Any]) -> datetime | None:
    """The earliest open time of rows, forming ones counted; None where there are no rows. Errors as `parse_rows`."""
    oldest: datetime | None = _as_sent(rows).select(_open_time().min()).item()
    if oldest is None and rows:
        raise ValueError("none of them has an open time")
    return oldest


def _as_sent(rows: Sequence[Any]) -> pl.DataFrame:
    """Cells as text; older rows have no quote volume of swaps and count as closed."""
    cells = [list(row) for row in rows]
    lengths = {len(row) for row in cells}
    if not all(isinstance(cell, str) for row in cells for cell in row):
        raise ValueError("cells that are no text")  # Polars would make them null
    if lengths == {len(_OLDER_FIELDS)}:
        older = pl.DataFrame(cells, schema=dict.fromkeys(_OLDER_FIELDS, pl.String), orient="row")
        return older.with_columns(volCcyQuote=pl.lit(None, pl.String), confirm=pl.lit(_CLOSED))
    if lengths - {len(_FIELDS)}:
        raise ValueError(f"rows of {', '.join(map(str, sorted(lengths)))} columns")
    return pl.DataFrame(cells, schema=dict.fromkeys(_FIELDS, pl.String), orient="row")


def _open_time() -> pl.Expr:
    time = pl.col("ts").cast(pl.Int64, strict=False)
    return pl.when(time.is_between(0, _LAST_MILLISECOND)).then(time * 1000).cast(UTC_TIME)
