"""Contracts, base volume and quote volume of markets that count in contracts. A contract has a fixed quote value."""

from collections.abc import Mapping

import polars as pl

_VALUED = {"contracts": "quote_volume", "taker_buy_contracts": "taker_buy_quote_volume"}


def with_quote_volume(klines: pl.DataFrame, sizes: Mapping[str, float]) -> pl.DataFrame:
    """Quote volumes: contracts times contract size (quote per contract, by symbol); null where that is unknown."""
    if "contracts" not in klines.columns:
        return klines
    size = pl.col("symbol").replace_strict(dict(sizes), default=None, return_dtype=pl.Float64)
    return klines.with_columns(**{quote: pl.col(count) * size for count, quote in _VALUED.items()})
