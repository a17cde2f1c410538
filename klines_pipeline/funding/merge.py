"""Archive and REST settlements into one table: an archive row wins, REST fills what is missing and adds mark prices."""

from typing import NamedTuple

import polars as pl

from klines_pipeline.funding.schema import CONFLICT_SCHEMA, FUNDING_SCHEMA, KEY, VALUES

_COMPARED = ("symbol", "funding_time", "funding_rate")


class Merged(NamedTuple):
    """The rows in key order, and the keys on which both sources name another rate, with both."""

    table: pl.DataFrame
    conflicts: pl.DataFrame


def merge_funding(archived: pl.DataFrame, topped_up: pl.DataFrame) -> Merged:
    """Every archive row, and REST's for the keys the archive has not. Both in FUNDING_SCHEMA."""
    marks = topped_up.select(*KEY, pl.col("mark_price").alias("mark"))
    priced = archived.join(marks, on=list(KEY), how="left").with_columns(pl.coalesce("mark_price", "mark"))
    filled = topped_up.join(archived, on=list(KEY), how="anti")
    both = archived.join(topped_up, on=list(KEY), how="inner", suffix="_rest")
    disputed = both.filter(~pl.col("funding_rate").eq_missing(pl.col("funding_rate_rest")))
    return Merged(
        pl.concat([priced.select(FUNDING_SCHEMA.names()), filled]).sort(KEY),
        disputed.select(CONFLICT_SCHEMA.names()).sort(KEY),
    )


def row_changes(old: pl.DataFrame, new: pl.DataFrame) -> tuple[int, int, int]:
    """Settlements added, removed and changed between two versions of one archive."""
    key = list(KEY)
    added, removed = new.join(old, on=key, how="anti").height, old.join(new, on=key, how="anti").height
    both = old.join(new, on=key, how="inner", suffix="_new")
    differs = [~pl.col(name).eq_missing(pl.col(f"{name}_new")) for name in VALUES]
    return added, removed, both.filter(pl.any_horizontal(differs)).height


def disagreeing_symbols(archived: pl.DataFrame, topped_up: pl.DataFrame) -> set[str]:
    """Symbols whose two sources differ in any rate or in which settlements they have."""
    left, right = archived.select(_COMPARED), topped_up.select(_COMPARED)
    lone = [one.join(other, on=list(_COMPARED), how="anti") for one, other in ((left, right), (right, left))]
    return set(lone[0]["symbol"]) | set(lone[1]["symbol"])
