"""What differs between two versions of the same archive, value by value. How many rows differ, `merge` counts."""

from collections.abc import Sequence
from enum import StrEnum

import polars as pl

from klines_pipeline.klines.schema import KLINE_SCHEMA, market_names

CHANGE_SCHEMA = pl.Schema({
    "symbol": KLINE_SCHEMA["symbol"],
    "open_time": KLINE_SCHEMA["open_time"],
    "change": pl.String(),
    "column": pl.String(),
    "before": pl.Float64(),
    "after": pl.Float64(),
})  # fmt: skip
"""One row a value; counts of trades and contracts too are told as floats."""


class Change(StrEnum):
    """What became of a row."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


def changed_values(
    old: pl.DataFrame, new: pl.DataFrame, *, time: str = "open_time", names: Sequence[str] = ()
) -> pl.DataFrame:
    """Every value that is not what it was, in CHANGE_SCHEMA, by symbol, open_time and the table's order of columns.

    Of other tables than klines: `time` and the symbol are the key, `names` the columns compared.
    """
    key, names = ["symbol", time], names or market_names(new)
    here = pl.lit(1)
    both = old.select(*key, *names, old=here).join(
        new.select(*key, *names, new=here), on=key, how="full", suffix="_after", coalesce=True
    )
    change = (
        pl.when(pl.col("old").is_null())
        .then(pl.lit(Change.ADDED.value))
        .when(pl.col("new").is_null())
        .then(pl.lit(Change.REMOVED.value))
        .otherwise(pl.lit(Change.CHANGED.value))
    )
    parts = [
        both.select(
            *key,
            change.alias("change"),
            pl.lit(name).alias("column"),
            pl.col(name).cast(pl.Float64).alias("before"),
            pl.col(f"{name}_after").cast(pl.Float64).alias("after"),
        )
        for name in names
    ]
    values = pl.concat(parts).filter(~pl.col("before").eq_missing(pl.col("after")))
    return values.sort(key, maintain_order=True).select(*key, "change", "column", "before", "after")
