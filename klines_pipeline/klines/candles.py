"""Klines of one symbol made few enough to be drawn. For the eye alone: a gap shortens a candle, and nothing is kept."""

from datetime import timedelta

import polars as pl

_WIDTHS = [
    timedelta(minutes=minutes)
    for minutes in (1 / 60, 1 / 12, 1 / 4, 1, 3, 5, 10, 15, 30, 60, 120, 240, 360, 480, 720, 1440)
]


def candles(klines: pl.DataFrame, interval: timedelta, *, most: int) -> pl.DataFrame:
    """`open_time`, open, high, low, close and volume of at most `most` candles, in time order."""
    if klines.is_empty():
        return klines.select("open_time", "open", "high", "low", "close", "volume")
    first, last = klines.select(pl.col("open_time").min(), pl.col("open_time").max().alias("last")).row(0)
    span = last - first
    fitting = (width for width in _WIDTHS if not width % interval and span / width < most - 1)
    width = next(fitting, max(span, interval))
    return (
        klines.sort("open_time")
        .group_by_dynamic("open_time", every=width)
        .agg(
            pl.col("open").first(),
            pl.col("high").max(),
            pl.col("low").min(),
            pl.col("close").last(),
            pl.col("volume").sum(),
        )
    )
