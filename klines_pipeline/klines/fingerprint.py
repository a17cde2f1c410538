"""A digest of a symbol-day's market values: the same for the same numbers, whatever their order, file or source."""

from collections.abc import Iterator
from datetime import date
from hashlib import blake2b
from typing import Any

import polars as pl

from klines_pipeline.klines.schema import market_names

_NO_COUNT = -(2**63)
_WORD = 8


def fingerprints(frame: pl.DataFrame) -> dict[str, str]:
    """BLAKE2b-128 in hex for each symbol, over open_time and the market columns as little-endian 64-bit words."""
    return {symbol: digest for (symbol,), digest in _digests(frame, ["symbol"])}


def daily_fingerprints(frame: pl.DataFrame) -> dict[tuple[date, str], str]:
    """The same of many days at once, by the `date` beside each row and its symbol."""
    return {(day, symbol): digest for (day, symbol), digest in _digests(frame, ["date", "symbol"])}


def _digests(frame: pl.DataFrame, key: list[str]) -> Iterator[tuple[tuple[Any, ...], str]]:
    """By `key`, whose last column is the symbol."""
    words = (
        frame.sort(*key, "open_time")
        .with_columns(pl.col("open_time").to_physical())
        .with_columns(pl.col(pl.Int64).fill_null(_NO_COUNT))
        .with_columns(pl.col(pl.Float64).fill_null(float("nan")) + 0.0)
    )
    columns = [_bytes_of(words[name]) for name in ("open_time", *market_names(frame))]
    start = 0
    for *group, rows in words.group_by(key, maintain_order=True).len().iter_rows():
        digest = blake2b(group[-1].encode(), digest_size=16)
        for column in columns:
            digest.update(column[_WORD * start : _WORD * (start + rows)])
        yield tuple(group), digest.hexdigest()
        start += rows


def _bytes_of(series: pl.Series) -> memoryview:
    """A column's 64-bit words, without a copy."""
    array = series.rechunk().to_arrow()
    words = memoryview(array.buffers()[1] or b"")
    return words[_WORD * array.offset :]
