"""A digest of a symbol-day's market values: the same for the same numbers, whatever their order, file or source."""

from hashlib import blake2b

import polars as pl

from klines_pipeline.klines.schema import MARKET_NAMES

_NO_COUNT = -(2**63)


def fingerprints(frame: pl.DataFrame) -> dict[str, str]:
    """BLAKE2b-128 in hex for each symbol, over open_time and the market columns as little-endian 64-bit words."""
    words = (
        frame.sort("symbol", "open_time")
        .with_columns(pl.col("open_time").to_physical(), pl.col("trades").fill_null(_NO_COUNT))
        .with_columns(pl.col(pl.Float64).fill_null(float("nan")) + 0.0)
    )
    return {str(key[0]): _digest(str(key[0]), part) for key, part in words.partition_by("symbol", as_dict=True).items()}


def _digest(symbol: str, words: pl.DataFrame) -> str:
    digest = blake2b(symbol.encode(), digest_size=16)
    for name in ("open_time", *MARKET_NAMES):
        buffer = words[name].rechunk().to_arrow().buffers()[1]
        width = 8 * words.height
        offset = 8 * words[name].rechunk().to_arrow().offset
        digest.update(memoryview(buffer)[offset : offset + width])
    return digest.hexdigest()
