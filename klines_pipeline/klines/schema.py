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
    nullable: bool = False


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
    Column(
        "quote_volume",
        pl.Float64(),
        "quote asset volume; `cm`: contracts times contract size, null where that is unknown",
        nullable=True,
    ),
    Column("trades", pl.Int64(), "number of trades; null where the exchange has none", nullable=True),
    Column(
        "taker_buy_volume",
        pl.Float64(),
        "base asset volume bought by takers; null where the exchange has none",
        nullable=True,
    ),
    Column("taker_buy_quote_volume", pl.Float64(), "quote asset volume bought by takers; null likewise", nullable=True),
)
PROVENANCE_COLUMNS = (
    Column("source", pl.String(), "`vision` (an archive) or `rest`"),
    Column("revision", pl.Int16(), "version of the archive the row came from, 1 = first seen; 0 for REST"),
    Column("ingested_at", UTC_TIME, "when that archive version, or the REST answer, was first seen"),
)

CONTRACT_COLUMNS = (
    Column("contracts", pl.Int64(), "`cm` only: contracts traded"),
    Column("taker_buy_contracts", pl.Int64(), "`cm` only: contracts bought by takers"),
)

KLINE_COLUMNS = KEY_COLUMNS + MARKET_COLUMNS + PROVENANCE_COLUMNS
KLINE_SCHEMA = pl.Schema({column.name: column.dtype for column in KLINE_COLUMNS})
WIRE_SCHEMA = pl.Schema({column.name: column.dtype for column in KEY_COLUMNS + MARKET_COLUMNS})
"""What an exchange's parser returns: a kline without its provenance."""

MARKET_NAMES = tuple(column.name for column in MARKET_COLUMNS)
CONTRACT_SCHEMA = pl.Schema({column.name: column.dtype for column in CONTRACT_COLUMNS})

VISION = "vision"
REST = "rest"


def with_contracts(schema: pl.Schema) -> pl.Schema:
    """The schema of a market that counts in contracts: two columns more, at the end."""
    return pl.Schema({**schema, **CONTRACT_SCHEMA})


def schema_like(frame: pl.DataFrame) -> pl.Schema:
    """The table's schema, with the columns of contracts where the frame has them."""
    return with_contracts(KLINE_SCHEMA) if "contracts" in frame.columns else KLINE_SCHEMA


def wire_schema_of(schema: pl.Schema) -> pl.Schema:
    """WIRE_SCHEMA for a table's schema, its contract columns kept."""
    return with_contracts(WIRE_SCHEMA) if "contracts" in schema else WIRE_SCHEMA


def table_names(frame: pl.DataFrame) -> list[str]:
    """The table's columns, in order, with those of contracts where the frame has them."""
    return schema_like(frame).names()


def market_names(frame: pl.DataFrame) -> list[str]:
    """The columns that say what traded."""
    return [*MARKET_NAMES, *(name for name in CONTRACT_SCHEMA if name in frame.columns)]


def with_provenance(frame: pl.DataFrame, source: str, revision: pl.Expr, ingested_at: pl.Expr) -> pl.DataFrame:
    """Complete wire rows to the table's columns."""
    return frame.with_columns(
        pl.lit(source).alias("source"),
        revision.cast(pl.Int16).alias("revision"),
        ingested_at.cast(UTC_TIME).alias("ingested_at"),
    ).select(table_names(frame))


def slot(duration_us: int) -> pl.Expr:
    """The grid's open_time a row belongs to, as µs: real open_times lay off the grid in 2017-12 and 2018-02."""
    microseconds = pl.col("open_time").to_physical()
    return (microseconds - microseconds % duration_us).alias("slot")
