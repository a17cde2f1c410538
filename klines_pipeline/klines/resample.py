"""Coarser klines computed from finer ones. A kline is only made where its minutes are there, or provably never were.

Which symbols have every day of a period longer than a day stands in `periods`.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import polars as pl

from klines_pipeline.domain.interval import Interval
from klines_pipeline.klines.grid import TimeRange
from klines_pipeline.klines.schema import CONTRACT_SCHEMA, KLINE_SCHEMA, REST, UTC_TIME, VISION, table_names

_DECIMALS = 8
"""Binance prints 8: rounding takes the float sum back to the decimal one."""


class Resampled(NamedTuple):
    """Rows in the table's schema, and how many were left out because a part of them is missing without a reason."""

    klines: pl.DataFrame
    left_out: int


def resample_klines(
    klines: pl.DataFrame,
    interval: Interval,
    *,
    closed_until: Mapping[str, datetime],
    unexplained: Mapping[str, Sequence[TimeRange]],
) -> Resampled:
    """Klines of `interval` from a day of finer ones, on the UTC grid, labelled by their start.

    Klines still open when their symbol was last certified, `closed_until`, are not made yet. `unexplained` are gaps by
    symbol that nobody has explained; a kline that reaches into one is left out. A halt shortens a kline instead, as the
    exchange's own archives do. A kline with any REST row counts as REST.
    """
    start = pl.col("open_time").dt.truncate(interval.name).alias("open_time")
    closed = pl.col("symbol").replace_strict(dict(closed_until), default=None, return_dtype=UTC_TIME)
    coarse = _bars(klines, start).filter(pl.col("open_time") + interval.duration <= closed)
    kept = coarse.join(_broken(interval, unexplained), on=["symbol", "open_time"], how="anti", maintain_order="left")
    return Resampled(kept, coarse.height - kept.height)


def resample_period(klines: pl.DataFrame, opens: datetime, *, incomplete: Collection[str]) -> Resampled:
    """One kline a symbol from the klines of a whole period that opens at `opens`; none for the symbols `incomplete`."""
    kept = klines.filter(~pl.col("symbol").is_in(list(incomplete)))
    return Resampled(_bars(kept, pl.lit(opens, UTC_TIME).alias("open_time")), len(incomplete))


def _bars(klines: pl.DataFrame, start: pl.Expr) -> pl.DataFrame:
    """A kline for each symbol and `start`, sorted by both."""
    volumes = [pl.col(name) for name in KLINE_SCHEMA.names() if name.endswith("volume")]
    counts = [pl.col(name) for name in ("trades", *CONTRACT_SCHEMA) if name in klines.columns]
    return (
        klines.sort("symbol", "open_time")
        .group_by("symbol", start, maintain_order=True)
        .agg(
            pl.col("open").first(),
            pl.col("high").max(),
            pl.col("low").min(),
            pl.col("close").last(),
            *(pl.when(volume.null_count() == 0).then(volume.sum().round(_DECIMALS)) for volume in volumes),
            *(pl.when(count.null_count() == 0).then(count.sum()) for count in counts),
            pl.when((pl.col("source") == REST).any()).then(pl.lit(REST)).otherwise(pl.lit(VISION)).alias("source"),
            pl.col("revision").max(),
            pl.col("ingested_at").max(),
        )
        .select(table_names(klines))
    )


def _broken(interval: Interval, unexplained: Mapping[str, Sequence[TimeRange]]) -> pl.DataFrame:
    """Starts of the klines that reach into a gap."""
    gaps = [(symbol, gap.start, gap.end) for symbol, ranges in unexplained.items() for gap in ranges]
    frame = pl.DataFrame(
        gaps,
        schema={"symbol": pl.String, "start": KLINE_SCHEMA["open_time"], "end": KLINE_SCHEMA["open_time"]},
        orient="row",
    )
    reach = pl.datetime_ranges(pl.col("start").dt.truncate(interval.name), "end", interval.name, closed="left")
    starts = reach.cast(pl.List(KLINE_SCHEMA["open_time"])).alias("open_time")
    return frame.select("symbol", starts).explode("open_time").drop_nulls().unique()
