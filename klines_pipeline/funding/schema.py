"""The funding table: its columns, their types, order and meaning, and the ledgers only funding has.

A settlement is one payment of funding. Times are UTC microseconds. Kline columns are not known here.
"""

from datetime import timedelta
from typing import NamedTuple

import polars as pl

UTC_TIME = pl.Datetime("us", "UTC")
VISION = "vision"
REST = "rest"


class Column(NamedTuple):
    """A column and what it holds."""

    name: str
    dtype: pl.DataType
    meaning: str
    nullable: bool = False


FUNDING_COLUMNS = (
    Column("symbol", pl.String(), "as the exchange spells it"),
    Column("funding_time", UTC_TIME, "calc_time floored to the minute, up to 1 s early allowed; with symbol, the key"),
    Column("calc_time", UTC_TIME, "when funding was settled, as given: some ms after the hour"),
    Column(
        "interval_hours",
        pl.Int16(),
        "hours since the settlement before: 1, 2, 4, 6 or 8; null where nobody tells",
        nullable=True,
    ),
    Column("funding_rate", pl.Float64(), "share of the position's value that longs paid shorts, as really charged"),
    Column(
        "mark_price", pl.Float64(), "price the position was valued at, from REST; null where not given", nullable=True
    ),
    Column("source", pl.String(), "`vision` (an archive) or `rest`"),
    Column("revision", pl.Int16(), "version of the archive the row came from, 1 = first seen; 0 for REST"),
    Column("ingested_at", UTC_TIME, "when that archive version, or the REST answer, was first seen"),
)
FUNDING_SCHEMA = pl.Schema({column.name: column.dtype for column in FUNDING_COLUMNS})
KEY = ("symbol", "funding_time")
VALUES = ("calc_time", "interval_hours", "funding_rate", "mark_price")
WIRE_SCHEMA = pl.Schema({name: FUNDING_SCHEMA[name] for name in ("symbol", *VALUES)})
"""What an exchange's parser returns."""
SETTLEMENT_SCHEMA = pl.Schema({name: FUNDING_SCHEMA[name] for name in (*KEY, *VALUES)})
"""Wire rows with their key."""
REJECTED_SCHEMA = pl.Schema({"source": pl.String(), "reason": pl.String(), **SETTLEMENT_SCHEMA})
"""Rows of a source that are not in its settlements, and why."""

CONFLICT_SCHEMA = pl.Schema({
    **{name: FUNDING_SCHEMA[name] for name in (*KEY, "calc_time", "funding_rate")},
    "calc_time_rest": UTC_TIME,
    "funding_rate_rest": pl.Float64(),
})  # fmt: skip

CERTIFICATE_SCHEMA = pl.Schema({
    "symbol": pl.String(),
    "expected": pl.Int64(),
    "present": pl.Int64(),
    "from_vision": pl.Int64(),
    "from_rest": pl.Int64(),
    "missing": pl.Int64(),
    "missing_ranges": pl.List(pl.Struct({"start": UTC_TIME, "end": UTC_TIME})),
    "reason": pl.String(),
    "conflicts": pl.Int64(),
    "fingerprint": pl.String(),
    "checked_at": UTC_TIME,
})  # fmt: skip

INTERVALS = (1, 2, 4, 6, 8)
"""Hours between settlements, as far as any venue uses them; any other step is a hole and no interval."""
_EARLY = timedelta(seconds=1)
"""A settlement stamped this much before its minute still belongs to it; jitter seen is 0 to 14 ms."""


def funding_time() -> pl.Expr:
    """The minute that `calc_time` settles, UTC."""
    return (pl.col("calc_time") + _EARLY).dt.truncate("1m").alias("funding_time")


def with_intervals(rows: pl.DataFrame) -> pl.DataFrame:
    """Settlements of one answer, `interval_hours` filled with the whole hours since the one before.

    Null where that may be a hole: a step that no venue uses, or longer than a step beside it without a second one like
    it, or off its own UTC grid without one on either side.
    """
    hours = (pl.col("funding_time").diff().over("symbol").dt.total_minutes() / 60).round().cast(pl.Int16)
    steps = rows.with_columns(hours.alias("step"))
    step = pl.when(pl.col("step").is_in(INTERVALS) & _is_interval()).then("step")
    return steps.with_columns(pl.coalesce("interval_hours", step).alias("interval_hours")).drop("step")


def _is_interval() -> pl.Expr:
    step = pl.col("step")
    beside = [step.shift(offset).over("symbol") for offset in (1, -1)]
    again = [(step == other).fill_null(value=False) for other in beside]
    shortest = pl.all_horizontal([(step < other).fill_null(value=True) for other in beside])
    on_grid = (pl.col("funding_time").dt.hour() % step == 0).fill_null(value=False)
    return (on_grid & (again[0] | again[1] | shortest)) | (again[0] & again[1])


def with_provenance(rows: pl.DataFrame, source: str, revision: pl.Expr, ingested_at: pl.Expr) -> pl.DataFrame:
    """Settlements to the table's columns."""
    return rows.with_columns(
        pl.lit(source).alias("source"),
        revision.cast(pl.Int16).alias("revision"),
        ingested_at.cast(UTC_TIME).alias("ingested_at"),
    ).select(FUNDING_SCHEMA.names())
