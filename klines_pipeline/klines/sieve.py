"""Rows that cannot be klines of the day are taken out, named and kept; the rest is sorted and made unique.

Off-grid open_times stay in: they were real in 2017-12 and 2018-02. Close times are not judged: halts cut them short.
"""

from datetime import date
from typing import NamedTuple

import polars as pl

from klines_pipeline.domain.utc_day import day_end, day_start
from klines_pipeline.klines.ledgers import REJECTED_SCHEMA
from klines_pipeline.klines.schema import CONTRACT_SCHEMA

_PRICES = ("open", "high", "low", "close")
_AMOUNTS = (*_PRICES, "volume", "quote_volume", "taker_buy_volume", "taker_buy_quote_volume")


class Sieved(NamedTuple):
    """Kept rows in key order, rejected rows with their reason, and how many duplicates were dropped."""

    kept: pl.DataFrame
    rejected: pl.DataFrame
    duplicates: int


def sieve(frame: pl.DataFrame, day: date, source: str, *, nullable: tuple[str, ...] = ()) -> Sieved:
    """Split wire rows into klines of the day and rejects.

    Of rows with one key the last one counts; those that said something else are rejected as `duplicate`.
    """
    counts = ["trades", *(name for name in CONTRACT_SCHEMA if name in frame.columns)]
    reason = _reason(day, counts, nullable)
    sound, ordered = frame.select(reason.is_null().all(), _is_strictly_ascending().alias("ordered")).row(0)
    if sound and ordered:  # nearly every archive there is
        return Sieved(frame, REJECTED_SCHEMA.to_frame(), 0)
    judged = frame.with_columns(reason.alias("reason"))
    rejected = judged.filter(pl.col("reason").is_not_null()).with_columns(pl.lit(source).alias("source"))
    clean = judged.filter(pl.col("reason").is_null()).drop("reason")
    kept = clean.unique(["symbol", "open_time"], keep="last", maintain_order=True).sort("symbol", "open_time")
    overruled = clean.join(kept, on=clean.columns, how="anti", nulls_equal=True).with_columns(
        pl.lit("duplicate").alias("reason"), pl.lit(source).alias("source")
    )
    out = pl.concat([part.select(REJECTED_SCHEMA.names()) for part in (rejected, overruled)])
    return Sieved(kept, out, clean.height - kept.height)


def _is_strictly_ascending() -> pl.Expr:
    """Whether rows come in key order, each key once."""
    symbol, time = pl.col("symbol"), pl.col("open_time")
    later = (symbol > symbol.shift(1)) | ((symbol == symbol.shift(1)) & (time > time.shift(1)))
    return later.fill_null(value=True).all()


def _reason(day: date, counts: list[str], nullable: tuple[str, ...]) -> pl.Expr:
    """First rule a row breaks, or null. `nullable` names the columns this exchange does not have."""
    required = [name for name in (*_AMOUNTS, *counts, "open_time") if name not in nullable]
    numbers = [pl.col(name) for name in _AMOUNTS]
    negative = [(pl.col(name) < 0).fill_null(value=False) for name in (*_AMOUNTS, *counts)]
    start, end = day_start(day), day_end(day)
    return (
        pl.when(pl.any_horizontal(pl.col(required).is_null()))
        .then(pl.lit("malformed"))
        .when(~pl.all_horizontal([number.is_finite().fill_null(value=True) for number in numbers]))
        .then(pl.lit("non_finite"))
        .when(pl.any_horizontal(negative))
        .then(pl.lit("negative"))
        .when(pl.col("high") < pl.col("low"))
        .then(pl.lit("high_below_low"))
        .when((pl.col("open_time") < start) | (pl.col("open_time") >= end))
        .then(pl.lit("outside_day"))
    )
