"""The kline table: its columns, their types, order and meaning. Every other schema of it is made from this one.

Ledgers have their own module. Units: times are UTC microseconds; volumes are base asset unless the name says quote.
"""

from typing import NamedTuple

import polars as pl

UTC_TIME = pl.Datetime("us", "UTC")


class Column(NamedTuple):
    """A column and what it holds."""

    name: str
    dtype: pl.DataType
    meaning: str


KEY_COLUMNS = (
    Column("symbol", pl.String(), "as the exchange spells it"),
    Column("open_time", UTC_TIME, "start of the kline, UTC; with symbol, the key"),
)
MARKET_COLUMNS = (
    Column("open", pl.Float64(), "first price, quote per base"),
    Column("high", pl.Float64(), "highest price"),
    Column("low", pl.Float64(), "lowest price"),
    Column("close", pl.Float64(), "last price"),
    Column("volume", pl.Float64(), "base asset volume, in every market"),
    Column("quote_volume", pl.Float64(), "quote asset volume"),
    Column("trades", pl.Int64(), "number of trades; null where the exchange has none"),
    Column("taker_buy_volume", pl.Float64(), "base asset volume bought by takers; null where the exchange has none"),
    Column("taker_buy_quote_volume", pl.Float64(), "quote asset volume bought by takers; null likewise"),
)
PROVENANCE_COLUMNS = (
    Column("source", pl.String(), "`vision` (an archive) or `rest`"),
    Column("revision", pl.Int16(), "version of the archive the row came from, 1 = first seen; 0 for REST"),
    Column("ingested_at", UTC_TIME, "when that archive version, or the REST answer, was first seen"),
)

KLINE_COLUMNS = KEY_COLUMNS + MARKET_COLUMNS + PROVENANCE_COLUMNS
KLINE_SCHEMA = pl.Schema({column.name: column.dtype for column in KLINE_COLUMNS})
WIRE_SCHEMA = pl.Schema({column.name: column.dtype for column in KEY_COLUMNS + MARKET_COLUMNS})
"""What an exchange's parser returns: a kline without its provenance."""

MARKET_NAMES = tuple(column.name for column in MARKET_COLUMNS)

VISION = "vision"
REST = "rest"


def empty_klines() -> pl.DataFrame:
    """No rows, all columns."""
    return KLINE_SCHEMA.to_frame()


def with_provenance(frame: pl.DataFrame, source: str, revision: pl.Expr, ingested_at: pl.Expr) -> pl.DataFrame:
    """Complete wire rows to the table's columns."""
    return frame.with_columns(
        pl.lit(source).alias("source"),
        revision.cast(pl.Int16).alias("revision"),
        ingested_at.cast(UTC_TIME).alias("ingested_at"),
    ).select(KLINE_SCHEMA.names())


def slot(duration_us: int) -> pl.Expr:
    """The grid's open_time a row belongs to, as µs: real open_times lay off the grid in 2017-12 and 2018-02."""
    microseconds = pl.col("open_time").to_physical()
    return (microseconds - microseconds % duration_us).alias("slot")
