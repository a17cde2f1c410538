"""Wire rows to settlements: keyed, in key order, each key once. What is left out is named and kept.

Rows that cannot be read at all are not known here: with one of them a whole file or answer is refused.
"""

from datetime import date
from typing import NamedTuple

import polars as pl

from klines_pipeline.domain.utc_day import day_start
from klines_pipeline.funding.months import month_after
from klines_pipeline.funding.schema import KEY, REJECTED_SCHEMA, SETTLEMENT_SCHEMA, funding_time

DUPLICATE = "duplicate"
OUTSIDE_MONTH = "outside_month"


class Sieved(NamedTuple):
    """Settlements in SETTLEMENT_SCHEMA, rejected rows in REJECTED_SCHEMA, and how many rows repeated a key."""

    rows: pl.DataFrame
    rejected: pl.DataFrame
    repeated: int


def sieve(wire: pl.DataFrame, source: str, *, month: date | None = None) -> Sieved:
    """Split rows in WIRE_SCHEMA. Of several with one key the last counts; those that said otherwise are `duplicate`.

    With a `month` (its first day), rows of another one are `outside_month`.
    """
    keyed = wire.with_columns(funding_time()).select(SETTLEMENT_SCHEMA.names())
    inside = keyed if month is None else keyed.filter(_is_of(month))
    rows = inside.unique(list(KEY), keep="last", maintain_order=True).sort(KEY)
    names = SETTLEMENT_SCHEMA.names()
    overruled = inside.join(rows, on=names, how="anti", nulls_equal=True, maintain_order="left")
    outside = keyed.head(0) if month is None else keyed.filter(~_is_of(month))
    rejected = [_named(outside, source, OUTSIDE_MONTH), _named(overruled, source, DUPLICATE)]
    return Sieved(rows, pl.concat(rejected), inside.height - rows.height)


def _is_of(month: date) -> pl.Expr:
    return pl.col("funding_time").is_between(day_start(month), day_start(month_after(month)), closed="left")


def _named(rows: pl.DataFrame, source: str, reason: str) -> pl.DataFrame:
    named = rows.with_columns(pl.lit(source).alias("source"), pl.lit(reason).alias("reason"))
    return named.select(REJECTED_SCHEMA.names())
