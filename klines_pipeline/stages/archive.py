"""Archives of a day: decide what to fetch, fetch it, verify it, keep it byte for byte, record it.

Split in two so that the next days download while this one is merged: `begin` submits, `finish` collects.
"""

from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path

import polars as pl

from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.states import ArchiveState
from klines_pipeline.exchanges.protocols import FetchedArchive, Market, PublishedArchive, Survey
from klines_pipeline.klines.ledgers import (
    ARCHIVE_SCHEMA,
    REJECTED_SCHEMA,
    ArchiveEntry,
    archive_entries,
    to_frame,
)
from klines_pipeline.klines.schema import VISION
from klines_pipeline.klines.sieve import Sieved, sieve
from klines_pipeline.stages import quarantine, versions
from klines_pipeline.stages.history import History, Seen
from klines_pipeline.stages.results import ArchivedDay
from klines_pipeline.stages.verdict import (
    FETCHED,
    SETTLED,
    Extent,
    absent,
    as_listed,
    extents_of,
    is_due_again,
    is_put_off,
    judge,
    version_of,
    without_listing,
)
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.layout import DayPaths
from klines_pipeline.storage.tables import read_metadata, read_table, to_parquet

_FILTER = "klines.symbols"
"""In the file of the archives ledger: the filter whose symbols were last looked for, all of them."""


@dataclass(frozen=True, slots=True)
class Workshop:
    """Threads for downloads, others that keep what came (they must not queue behind the next days), and the folder."""

    pool: Executor
    keepers: Executor
    folder: Path

    def new_file(self) -> Path:
        """See `versions.new_file`."""
        return versions.new_file(self.folder)


@dataclass(frozen=True, slots=True)
class PendingDay:
    """A day whose downloads are under way."""

    day: date
    now: datetime
    entries: Mapping[str, ArchiveEntry]
    published: Mapping[str, PublishedArchive]
    seen: Seen
    downloads: Mapping[str, "Future[FetchedArchive]"]
    failed: Mapping[str, str]
    asked: str | None = None
    """The filter whose symbols are looked for, all of them."""


def begin(
    lake: Lake,
    market: Market,
    dataset: Dataset,
    day: date,
    *,
    survey: Survey,
    now: datetime,
    work: Workshop,
    asked: str | None = None,
) -> PendingDay:
    """Decide for each symbol, and start the downloads that are needed. `now` is the exchange's time."""
    entries = _of_those_meant(dataset, day, load_entries(lake, dataset, day), survey)
    history = History(lake, market, dataset, day)
    seen = history.seen(entries.values())
    published = {name: found for name in dataset.symbols if (found := survey.published.get((name, day)))}
    downloads, failed = dict[str, Future[FetchedArchive]](), dict[str, str]()
    for symbol in dataset.symbols:
        key = market.archive.key(symbol, dataset.interval, day)
        known = entries.get(symbol) or history.recalled(symbol, key, seen.get(symbol, ())) or absent(symbol, key)
        error = survey.failed.get(symbol) if day < now.date() else None
        if error is not None:
            entries[symbol] = without_listing(known, str(error), error.http_status)
            if entries[symbol].state is ArchiveState.UNAVAILABLE:
                failed[symbol] = str(error)
            continue
        entries[symbol] = as_listed(known, published.get(symbol), survey.lives.get((symbol, day)))
        listed = published.get(symbol)
        if listed and (_is_doubted(known, now) or not versions.is_taken_in(lake, known, listed)):
            downloads[symbol] = work.pool.submit(market.archive.fetch, key, dataset.interval, work.new_file)
    return PendingDay(day, now, entries, published, seen, downloads, failed, asked)


def load_entries(lake: Lake, dataset: Dataset, day: date) -> dict[str, ArchiveEntry]:
    """The day's archives ledger, by symbol."""
    return archive_entries(read_table(lake, DayPaths.of(dataset, day).archives, ARCHIVE_SCHEMA))


def _of_those_meant(
    dataset: Dataset, day: date, entries: Mapping[str, ArchiveEntry], survey: Survey
) -> dict[str, ArchiveEntry]:
    """Without the symbols that a filter leaves out of the day, now that their life is known: an earlier run that knew
    less waited for their archive, and nobody is to wait for it any more.
    """
    if dataset.chosen is None:
        return dict(entries)

    def did_not_trade(name: str) -> bool:
        return name not in dataset.symbols and (name, day) in survey.lives

    return {name: entry for name, entry in entries.items() if entry.state in FETCHED or not did_not_trade(name)}


def _is_doubted(known: ArchiveEntry, now: datetime) -> bool:
    """Whether the bytes judged may have been a bad copy: it is time to look whether there is a good one."""
    is_wrong = known.state is ArchiveState.CHECKSUM_MISMATCH
    return is_wrong and is_due_again(known.first_seen_at, known.fetched_at, now.date())


def finish(lake: Lake, market: Market, dataset: Dataset, pending: PendingDay, work: Workshop) -> ArchivedDay:
    """Collect the downloads: parse, sieve, keep the bytes, write the day's ledgers."""
    fetched = {symbol: download.result() for symbol, download in pending.downloads.items()}
    texts = {symbol: got.text for symbol, got in fetched.items() if got.text is not None}
    parsed = market.archive.parse(texts, dataset.interval)
    for symbol, problem in parsed.corrupt.items():
        fetched[symbol] = replace(fetched[symbol], state=ArchiveState.CORRUPT, error=problem)
    rows = sieve(parsed.frame, pending.day, VISION, nullable=market.nullable)
    extents = extents_of(rows.kept, dataset.interval)
    judged = {symbol: _with(judge, pending, symbol, got, extents) for symbol, got in fetched.items()}
    put_off = {
        symbol: _with(version_of, pending, symbol, got, extents)
        for symbol, got in fetched.items()
        if is_put_off(pending.entries[symbol], got)
    }
    kept = [symbol for symbol, got in fetched.items() if _is_of(judged[symbol], got)]
    paths = DayPaths.of(dataset, pending.day)
    quarantine.mend(lake, paths, pending.entries.values(), pending.seen)
    keeping = versions.Keeping(History(lake, market, dataset, pending.day), pending.seen, rows.kept)
    had = [*put_off.values(), *(judged[symbol] for symbol in kept)]
    changes = list(work.keepers.map(lambda entry: versions.keep(keeping, entry, fetched[entry.symbol]), had))
    entries = {**pending.entries, **judged}
    quarantine.record(lake, paths, had)
    versions.record(lake, paths, changes)
    _publish(lake, paths, entries, rows, kept, pending.asked)
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


def _with(
    verdict: Callable[..., ArchiveEntry],
    pending: PendingDay,
    symbol: str,
    got: FetchedArchive,
    extents: Mapping[str, Extent],
) -> ArchiveEntry:
    """A verdict on what was fetched, in the light of all that was known before."""
    known, seen = pending.entries[symbol], pending.seen.get(symbol, ())
    return verdict(known, got, pending.published[symbol], extents.get(symbol), now=pending.now, seen=seen)


def _is_of(entry: ArchiveEntry, got: FetchedArchive) -> bool:
    """Whether the entry speaks of the version just fetched, and its bytes are to be kept."""
    return entry.state in SETTLED and entry.sha256_actual == got.sha256_actual and got.path is not None


def asked_filter(lake: Lake, paths: DayPaths) -> str | None:
    """The filter whose symbols the last run to change the day's ledger looked for, all of them; None without one."""
    return read_metadata(lake, paths.archives).get(_FILTER)


def _publish(
    lake: Lake,
    paths: DayPaths,
    entries: Mapping[str, ArchiveEntry],
    rows: Sieved,
    symbols: Collection[str],
    asked: str | None,
) -> None:
    """Rejected rows of the symbols fetched anew, then the archives ledger: after it, nothing of this is done again."""
    old = read_table(lake, paths.rejected, REJECTED_SCHEMA) if symbols else REJECTED_SCHEMA.to_frame()
    stale = pl.col("symbol").is_in(list(symbols)) & (pl.col("source") == VISION)
    fresh = rows.rejected.filter(pl.col("symbol").is_in(list(symbols)))
    rejected = pl.concat([old.filter(~stale), fresh]).sort("symbol", "open_time", maintain_order=True)
    if rejected.height or old.height:
        lake.publish(paths.rejected, to_parquet(rejected), under=paths)
    ledger = to_frame([entries[symbol] for symbol in sorted(entries)], ARCHIVE_SCHEMA)
    first_of_nobody = ledger.is_empty() and lake.size(paths.archives) is None  # says that the day was looked at
    same = ledger.equals(read_table(lake, paths.archives, ARCHIVE_SCHEMA))
    if first_of_nobody or not same or (asked is not None and asked_filter(lake, paths) != asked):
        lake.publish(paths.archives, to_parquet(ledger, {_FILTER: asked} if asked else None), under=paths)
