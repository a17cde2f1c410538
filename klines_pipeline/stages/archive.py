"""Archives of a day: decide what to fetch, fetch it, verify it, keep it byte for byte, record it.

Split in two so that the next days download while this one is merged: `begin` submits, `finish` collects.
"""

from collections.abc import Collection, Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import polars as pl

from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.interval import Interval
from klines_pipeline.domain.states import ArchiveState
from klines_pipeline.exchanges.protocols import FetchedArchive, Market, PublishedArchive, Survey
from klines_pipeline.klines.ledgers import (
    ARCHIVE_SCHEMA,
    NEWER_VERSION,
    REJECTED_SCHEMA,
    ArchiveEntry,
    archive_entries,
    note,
    to_frame,
)
from klines_pipeline.klines.schema import VISION, slot
from klines_pipeline.klines.sieve import Sieved, sieve
from klines_pipeline.stages import versions
from klines_pipeline.stages.results import ArchivedDay
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.layout import DayPaths
from klines_pipeline.storage.tables import read_table, to_parquet

_SETTLED = frozenset({ArchiveState.OK, ArchiveState.CHECKSUM_ABSENT, ArchiveState.CHECKSUM_MISMATCH})
"""States of a version that was judged and whose bytes the lake holds; all others are tried again in every run."""


@dataclass(frozen=True, slots=True)
class Workshop:
    """Threads for downloads and the folder they write to."""

    pool: Executor
    folder: Path

    def new_file(self) -> Path:
        """A name nobody uses yet."""
        return self.folder / f".{uuid4().hex}.zip"


@dataclass(frozen=True, slots=True)
class PendingDay:
    """A day whose downloads are under way."""

    day: date
    now: datetime
    entries: Mapping[str, ArchiveEntry]
    published: Mapping[str, PublishedArchive]
    downloads: Mapping[str, "Future[FetchedArchive]"]
    failed: Mapping[str, str]


def begin(
    lake: Lake, market: Market, dataset: Dataset, day: date, *, survey: Survey, now: datetime, work: Workshop
) -> PendingDay:
    """Decide for each symbol, and start the downloads that are needed. `now` is the exchange's time."""
    entries = load_entries(lake, dataset, day)
    published = {name: found for name in dataset.symbols if (found := survey.published.get((name, day)))}
    downloads, failed = dict[str, Future[FetchedArchive]](), dict[str, str]()
    for symbol in dataset.symbols:
        key = market.archive.key(symbol, dataset.interval, day)
        known = entries.get(symbol) or ArchiveEntry(symbol=symbol, key=key, state=ArchiveState.NOT_PUBLISHED)
        if (error := survey.failed.get(symbol)) and day < now.date():
            entries[symbol] = _without_listing(known, str(error), error.http_status)
            failed[symbol] = str(error)
            continue
        if symbol in published and not _is_current(known, published[symbol]):
            downloads[symbol] = work.pool.submit(market.archive.fetch, key, dataset.interval, work.new_file)
        entries[symbol] = replace(known, error=note(survey.lives.get((symbol, day)), known.problem))
    failed = {symbol: text for symbol, text in failed.items() if entries[symbol].state is ArchiveState.UNAVAILABLE}
    return PendingDay(day, now, entries, published, downloads, failed)


def load_entries(lake: Lake, dataset: Dataset, day: date) -> dict[str, ArchiveEntry]:
    """The day's archives ledger, by symbol."""
    return archive_entries(read_table(lake, DayPaths.of(dataset, day).archives, ARCHIVE_SCHEMA))


def _without_listing(known: ArchiveEntry, error: str, http_status: int | None) -> ArchiveEntry:
    """The bucket could not be listed: what is held stays valid, the rest is unavailable."""
    if known.state in _SETTLED:
        return known
    return replace(known, state=ArchiveState.UNAVAILABLE, http_status=http_status, error=error)


def _is_current(known: ArchiveEntry, published: PublishedArchive) -> bool:
    """Whether the version listed is the one already judged; a checksum that came or changed since calls for more."""
    if known.state not in _SETTLED or (known.etag, known.size) != (published.etag, published.size):
        return False
    if known.state is ArchiveState.OK:
        return True
    if published.checksum_modified is None:
        return known.state is ArchiveState.CHECKSUM_ABSENT
    if known.sha256_published is None or known.fetched_at is None:
        return False
    return published.checksum_modified <= known.fetched_at


def finish(lake: Lake, market: Market, dataset: Dataset, pending: PendingDay, work: Workshop) -> ArchivedDay:
    """Collect the downloads: parse, sieve, keep the bytes, write the day's ledgers."""
    fetched = {symbol: download.result() for symbol, download in pending.downloads.items()}
    texts = {symbol: got.text for symbol, got in fetched.items() if got.text is not None}
    parsed = market.archive.parse(texts, dataset.interval)
    for symbol, problem in parsed.corrupt.items():
        fetched[symbol] = replace(fetched[symbol], state=ArchiveState.CORRUPT, error=problem)
    rows = sieve(parsed.frame, pending.day, VISION, nullable=market.nullable)
    extents = _extents(rows.kept, dataset.interval)
    judged = {
        symbol: judge(pending.entries[symbol], got, pending.published[symbol], extents.get(symbol))
        for symbol, got in fetched.items()
    }
    kept = [symbol for symbol, got in fetched.items() if _is_of(judged[symbol], got)]
    keeping = versions.Keeping(lake, market, dataset, pending.day, rows.kept)
    known_to_new = [(pending.entries[symbol], judged[symbol], fetched[symbol]) for symbol in kept]
    changes = list(work.pool.map(lambda args: versions.keep(keeping, *args), known_to_new))
    entries = {**pending.entries, **judged}
    versions.record(lake, DayPaths.of(dataset, pending.day), [change for change in changes if change])
    _publish(lake, DayPaths.of(dataset, pending.day), entries, rows, judged.keys())
    lost = {name: got.error or "" for name, got in fetched.items() if got.state is ArchiveState.UNAVAILABLE}
    return ArchivedDay(
        day=pending.day,
        entries=entries,
        fetched=rows.kept.filter(pl.col("symbol").is_in(kept)),
        now=pending.now,
        failed={**pending.failed, **lost},
        downloads=len(fetched),
        downloaded_bytes=sum(got.size or 0 for got in fetched.values()),
        rejected=rows.rejected.height,
        duplicates=rows.duplicates,
    )


def _is_of(entry: ArchiveEntry, got: FetchedArchive) -> bool:
    """Whether the entry speaks of the version just fetched, and its bytes are to be kept."""
    return entry.state in _SETTLED and entry.sha256_actual == got.sha256_actual and got.path is not None


class Extent(NamedTuple):
    """What an archive holds of its day."""

    rows: int
    first: datetime | None
    last: datetime | None
    off_grid: int


def _extents(rows: pl.DataFrame, interval: Interval) -> dict[str, Extent]:
    """Extent by symbol."""
    time = pl.col("open_time")
    off_grid = (slot(interval.microseconds) != time.to_physical()).sum().alias("off_grid")
    extents = rows.group_by("symbol").agg(
        pl.len().alias("rows"), time.min().alias("first"), time.max().alias("last"), off_grid
    )
    return {symbol: Extent(*extent) for symbol, *extent in extents.iter_rows()}


def judge(
    known: ArchiveEntry,
    got: FetchedArchive,
    published: PublishedArchive,
    extent: Extent | None,
) -> ArchiveEntry:
    """The entry after a download. A verified version in use is not given up for one that is not."""
    if got.state in (ArchiveState.UNAVAILABLE, ArchiveState.NOT_PUBLISHED):
        if known.state in _SETTLED:
            return known
        error = note(known.life, got.error)
        return replace(known, state=got.state, attempts=got.attempts, http_status=got.http_status, error=error)
    if known.state is ArchiveState.OK and got.state is not ArchiveState.OK:
        return replace(known, error=note(known.life, f"{NEWER_VERSION}{got.state}: {got.error}"))
    same = known.sha256_actual == got.sha256_actual
    rows, first, last, off_grid = extent or Extent(0, None, None, 0)
    problem = got.error or (f"{off_grid} rows lie off the grid of their interval." if off_grid else None)
    return ArchiveEntry(
        symbol=known.symbol,
        key=known.key,
        state=got.state,
        size=published.size,
        etag=published.etag,
        last_modified=published.last_modified,
        sha256_published=got.sha256_published,
        sha256_actual=got.sha256_actual,
        rows=rows,
        first_open_time=first,
        last_open_time=last,
        revision=known.revision if same or got.state is ArchiveState.CORRUPT else known.revision + 1,
        first_seen_at=known.first_seen_at if same else got.fetched_at,
        fetched_at=got.fetched_at,
        attempts=got.attempts,
        http_status=got.http_status,
        error=note(known.life, problem),
    )


def _publish(
    lake: Lake, paths: DayPaths, entries: Mapping[str, ArchiveEntry], rows: Sieved, symbols: Collection[str]
) -> None:
    """Rejected rows of the symbols fetched anew, then the archives ledger: after it, nothing of this is done again."""
    old = read_table(lake, paths.rejected, REJECTED_SCHEMA) if symbols else REJECTED_SCHEMA.to_frame()
    stale = pl.col("symbol").is_in(list(symbols)) & (pl.col("source") == VISION)
    rejected = pl.concat([old.filter(~stale), rows.rejected]).sort("symbol", "open_time")
    if rejected.height or old.height:
        lake.publish(paths.rejected, to_parquet(rejected))
    ledger = to_frame([entries[symbol] for symbol in sorted(entries)], ARCHIVE_SCHEMA)
    if not ledger.equals(read_table(lake, paths.archives, ARCHIVE_SCHEMA)):
        lake.publish(paths.archives, to_parquet(ledger))
