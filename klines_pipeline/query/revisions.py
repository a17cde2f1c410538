"""Versions of archives the lake has seen, of klines and of funding, and what each one changed, value by value, from the
bytes kept of both."""

from collections.abc import Callable, Iterator, Sequence
from datetime import date
from itertools import pairwise
from typing import NamedTuple

import polars as pl

from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.errors import ConfigurationError, UnknownNameError
from klines_pipeline.exchanges.protocols import Market
from klines_pipeline.funding.months import month_of
from klines_pipeline.funding.schema import VALUES
from klines_pipeline.klines.changes import CHANGE_SCHEMA, changed_values
from klines_pipeline.query.certificates import Certified
from klines_pipeline.query.funding_history import REVISIONS, month_versions, settlements
from klines_pipeline.query.funding_tables import stored_funding_days
from klines_pipeline.query.history import market_of, versions_in, versions_of
from klines_pipeline.stages.funding.dataset import FundingDataset, source_of
from klines_pipeline.stages.kept_archives import KeptArchives, Version
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.tables import stored_days

_SHORT = 12
VALUES_SCHEMA = pl.Schema({"date": pl.Date(), "revision": pl.Int16(), **CHANGE_SCHEMA})
"""Of klines; funding has `funding_time` in the place of `open_time`."""


class Asked(NamedTuple):
    """Of which days and symbols; all that were seen by default."""

    first: date | None = None
    last: date | None = None
    symbols: Sequence[str] = ()


def revisions(lake: Lake, dataset: Certified, asked: Asked, *, every: bool = False) -> pl.DataFrame:
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


def revised_values(lake: Lake, dataset: Certified, asked: Asked) -> pl.DataFrame:
    """What each version changed in the one before, a row a value; DamagedFileError for lost bytes.

    Klines are keyed by `open_time`, funding by `funding_time`; its `calc_time` is told as in the archive, in ms.
    """
    market = market_of(dataset.prefix)
    try:
        compare = (
            _rates(lake, dataset, market) if isinstance(dataset, FundingDataset) else _klines(lake, dataset, market)
        )
        parts = [VALUES_SCHEMA.to_frame(), *_differences(_seen(lake, dataset, asked), compare)]
    finally:
        market.api.close()
    rows = pl.concat([part.rename({"funding_time": "open_time"}, strict=False) for part in parts])
    if isinstance(dataset, FundingDataset):
        rows = rows.rename({"open_time": "funding_time"})
    return rows.select("symbol", "date", "revision", pl.exclude("symbol", "date", "revision"))


Compare = Callable[[date, Version, Version], pl.DataFrame]
"""What differs between two versions of a day or month."""


def _klines(lake: Lake, dataset: Dataset, market: Market) -> Compare:
    kept = KeptArchives(lake, market, dataset.interval)
    return lambda day, before, after: changed_values(kept.klines(day, [before]), kept.klines(day, [after]))


def _rates(lake: Lake, dataset: FundingDataset, market: Market) -> Compare:
    archive = source_of(market, dataset).archive

    def rows(month: date, version: Version) -> pl.DataFrame:
        return settlements(lake, archive, month, version).with_columns(pl.col("calc_time").dt.epoch("ms"))

    return lambda month, before, after: changed_values(
        rows(month, before), rows(month, after), time="funding_time", names=VALUES
    )


def _differences(seen: pl.DataFrame, compare: Compare) -> Iterator[pl.DataFrame]:
    """Of each version and the one before it: two symbol-days, or months, are in memory at a time."""
    for _, rows in seen.group_by("date", "symbol", maintain_order=True):
        versions, day = versions_in(rows), rows["date"][0]
        for before, after in pairwise(versions):
            values = compare(day, before, after)
            place = (pl.lit(day).alias("date"), pl.lit(after.revision, pl.Int16).alias("revision"))
            yield values.select(*place, pl.all())


def _seen(lake: Lake, dataset: Certified, asked: Asked) -> pl.DataFrame:
    """The ledger's rows, all versions of a symbol-day together; a month of funding is told as its first day."""
    stored, first = _stored(lake, dataset), asked.first
    if first and isinstance(dataset, FundingDataset):
        first = month_of(first)
    days = [day for day in stored if (first or day) <= day <= (asked.last or day)]
    if not days:
        held = f"it has {stored[0]} to {stored[-1]}" if stored else "it has none at all"
        raise ConfigurationError(f"The lake {lake.root} has seen no archive of {dataset} for these days: {held}.")
    if isinstance(dataset, FundingDataset):
        rows = month_versions(lake, dataset.prefix, days)
    else:
        rows = versions_of(lake, _where(dataset), days)
    known = set(rows["symbol"])
    for symbol in asked.symbols:
        if symbol not in known:
            raise UnknownNameError("symbol", symbol, known, where=f"{dataset}, archives seen {days[0]} to {days[-1]}")
    wanted = rows.filter(pl.col("symbol").is_in([*asked.symbols])) if asked.symbols else rows
    return wanted.sort("date", "symbol", "revision")


def _stored(lake: Lake, dataset: Certified) -> list[date]:
    """Days, or first days of months, of which archives were seen."""
    if isinstance(dataset, FundingDataset):
        return stored_funding_days(lake, REVISIONS, *dataset.prefix)
    return stored_days(lake, "ledger/revisions", *_where(dataset))


def _where(dataset: Dataset) -> tuple[str, str, str]:
    return (*dataset.prefix, str(dataset.interval))
