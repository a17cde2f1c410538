"""A digest of a symbol-day's market values: the same for the same numbers, whatever their order, file or source."""

from hashlib import blake2b

import polars as pl

from klines_pipeline.klines.schema import market_names

_NO_COUNT = -(2**63)
_WORD = 8


def fingerprints(frame: pl.DataFrame) -> dict[str, str]:
    """BLAKE2b-128 in hex for each symbol, over open_time and the market columns as little-endian 64-bit words."""
    words = (
        frame.sort("symbol", "open_time")
        .with_columns(pl.col("open_time").to_physical())
        .with_columns(pl.col(pl.Int64).fill_null(_NO_COUNT))
        .with_columns(pl.col(pl.Float64).fill_null(float("nan")) + 0.0)
    )
    columns = [_bytes_of(words[name]) for name in ("open_time", *market_names(frame))]
    digests, start = dict[str, str](), 0
    for symbol, rows in words.group_by("symbol", maintain_order=True).len().iter_rows():
        digest = blake2b(symbol.encode(), digest_size=16)
        for column in columns:
            digest.update(column[_WORD * start : _WORD * (start + rows)])
        digests[symbol] = digest.hexdigest()
        start += rows
    return digests


def _bytes_of(series: pl.Series) -> memoryview:
    """A column's 64-bit words, without a copy."""
    array = series.rechunk().to_arrow()
    words = memoryview(array.buffers()[1] or b"")
    return words[_WORD * array.offset :]
