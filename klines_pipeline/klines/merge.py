"""Archive and REST rows into one table: an archive row wins, REST fills what is missing, disagreements are listed."""

from collections.abc import Mapping
from typing import NamedTuple

import polars as pl

from klines_pipeline.domain.interval import Interval
from klines_pipeline.klines.schema import CONTRACT_SCHEMA, KLINE_SCHEMA, MARKET_NAMES, market_names, slot, table_names

_SUFFIX = "_rest"
_COMPARED = {name: KLINE_SCHEMA[name] for name in MARKET_NAMES} | dict(CONTRACT_SCHEMA)
CONFLICT_SCHEMA = pl.Schema(
    {
        "symbol": KLINE_SCHEMA["symbol"],
        "open_time": KLINE_SCHEMA["open_time"],
        **_COMPARED,
        **{name + _SUFFIX: dtype for name, dtype in _COMPARED.items()},
    }
)


class Merged(NamedTuple):
    """The day's rows in key order, the keys on which both sources disagreed, with both values, and how many they
    agreed on, by symbol."""

    klines: pl.DataFrame
    conflicts: pl.DataFrame
    confirmed: Mapping[str, int]


def merge_klines(archived: pl.DataFrame, topped_up: pl.DataFrame, interval: Interval) -> Merged:
    """Every archive row, and REST's for the grid slots in which the archive has none."""
    grid = slot(interval.microseconds)
    left, right = archived.with_columns(grid), topped_up.with_columns(grid)
    both = left.join(right, on=["symbol", "slot"], how="inner", suffix=_SUFFIX)
    differs = pl.any_horizontal([~pl.col(name).eq_missing(pl.col(name + _SUFFIX)) for name in market_names(archived)])
    filled = right.join(left, on=["symbol", "slot"], how="anti")
    return Merged(
        pl.concat([archived, filled.select(table_names(archived))]).sort("symbol", "open_time"),
        _listed(both.filter(differs)),
        dict(both.filter(~differs).group_by("symbol").len().iter_rows()),
    )


def _listed(conflicts: pl.DataFrame) -> pl.DataFrame:
    """In CONFLICT_SCHEMA; columns this market does not have stay null."""
    known = [name for name in CONFLICT_SCHEMA if name in conflicts.columns]
    rows = pl.concat([CONFLICT_SCHEMA.to_frame(), conflicts.select(known)], how="diagonal")
    return rows.sort("symbol", "open_time")


def disagreeing_symbols(archived: pl.DataFrame, topped_up: pl.DataFrame, interval: Interval) -> set[str]:
    """Symbols whose two sources differ in any kline or in which klines they have."""
    grid = slot(interval.microseconds)
    columns = ["symbol", "slot", *market_names(archived)]
    left, right = archived.with_columns(grid).select(columns), topped_up.with_columns(grid).select(columns)
    lone = [a.join(b, on=columns, how="anti", nulls_equal=True)["symbol"] for a, b in ((left, right), (right, left))]
    return set(lone[0]) | set(lone[1])


def row_changes(old: pl.DataFrame, new: pl.DataFrame) -> tuple[int, int, int]:
    """Rows added, removed and changed between two versions of one archive."""
    key = ["symbol", "open_time"]
    added = new.join(old, on=key, how="anti").height
    removed = old.join(new, on=key, how="anti").height
    both = old.join(new, on=key, how="inner", suffix=_SUFFIX)
    differs = [~pl.col(name).eq_missing(pl.col(name + _SUFFIX)) for name in market_names(old)]
    return added, removed, both.filter(pl.any_horizontal(differs)).height
