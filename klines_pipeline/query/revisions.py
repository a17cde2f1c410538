"""Versions of archives the lake has seen, and what each one changed, row by row, from the bytes kept of both."""

from collections.abc import Iterator, Sequence
from datetime import date
from itertools import pairwise
from typing import NamedTuple

import polars as pl

from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.errors import ConfigurationError, UnknownNameError
from klines_pipeline.klines.changes import CHANGE_SCHEMA, changed_values
from klines_pipeline.query.history import market_of, versions_in, versions_of
from klines_pipeline.stages.kept_archives import KeptArchives
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.tables import stored_days

_SHORT = 12
VALUES_SCHEMA = pl.Schema({"date": pl.Date(), "revision": pl.Int16(), **CHANGE_SCHEMA})


class Asked(NamedTuple):
    """Of which days and symbols; all that were seen by default."""

    first: date | None = None
    last: date | None = None
    symbols: Sequence[str] = ()


def revisions(lake: Lake, dataset: Dataset, asked: Asked, *, every: bool = False) -> pl.DataFrame:
    """Versions by day, symbol and revision: those that replaced another, or `every` one.

    `sha12` begins the SHA-256, as the name of the kept file ends. `verified_at` is null where no checksum ever fitted.
    """
    rows = _seen(lake, dataset, asked)
    chosen = rows if every else rows.filter(pl.col("revision") > 1)
    return chosen.select(
        "symbol",
        "date",
        "revision",
        "seen_at",
        "verified_at",
        "last_modified",
        "rows_added",
        "rows_removed",
        "rows_changed",
        sha12=pl.col("sha256").str.head(_SHORT),
    )


def revised_values(lake: Lake, dataset: Dataset, asked: Asked) -> pl.DataFrame:
    """What each version changed in the one before, a row a value, in VALUES_SCHEMA; DamagedFileError for lost bytes."""
    parts = [VALUES_SCHEMA.to_frame()]
    market = market_of(_where(dataset))
    try:
        kept = KeptArchives(lake, market, dataset.interval)
        parts += _differences(kept, _seen(lake, dataset, asked))
    finally:
        market.api.close()
    return pl.concat(parts).select("symbol", "date", "revision", pl.exclude("symbol", "date", "revision"))


def _differences(kept: KeptArchives, seen: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Of each version and the one before it: two symbol-days are in memory at a time."""
    for _, rows in seen.group_by("date", "symbol", maintain_order=True):
        versions, day = versions_in(rows), rows["date"][0]
        for before, after in pairwise(versions):
            values = changed_values(kept.klines(day, [before]), kept.klines(day, [after]))
            place = (pl.lit(day).alias("date"), pl.lit(after.revision, pl.Int16).alias("revision"))
            yield values.select(*place, *CHANGE_SCHEMA.names())


def _seen(lake: Lake, dataset: Dataset, asked: Asked) -> pl.DataFrame:
    """The ledger's rows, all versions of a symbol-day together."""
    stored = stored_days(lake, "ledger/revisions", *_where(dataset))
    days = [day for day in stored if (asked.first or day) <= day <= (asked.last or day)]
    if not days:
        held = f"it has {stored[0]} to {stored[-1]}" if stored else "it has none at all"
        raise ConfigurationError(f"The lake {lake.root} has seen no archive of {dataset} for these days: {held}.")
    rows = versions_of(lake, _where(dataset), days)
    known = set(rows["symbol"])
    for symbol in asked.symbols:
        if symbol not in known:
            raise UnknownNameError("symbol", symbol, known, where=f"{dataset}, archives seen {days[0]} to {days[-1]}")
    wanted = rows.filter(pl.col("symbol").is_in([*asked.symbols])) if asked.symbols else rows
    return wanted.sort("date", "symbol", "revision")


def _where(dataset: Dataset) -> tuple[str, str, str]:
    return (*dataset.prefix, str(dataset.interval))
