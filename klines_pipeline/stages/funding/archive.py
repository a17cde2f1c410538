"""Archives of a month: decide what to fetch, fetch it once, verify it, keep it byte for byte, record it on each day.

A month's archive covers all its days; the ledgers are by day, so each day's row speaks of the same file.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path

import polars as pl

from klines_pipeline.domain.errors import CorruptArchiveError, DamagedFileError
from klines_pipeline.domain.states import ArchiveState, Life
from klines_pipeline.exchanges.funding import FundingArchive, FundingSurvey
from klines_pipeline.exchanges.protocols import FetchedArchive
from klines_pipeline.funding.months import days_of_month, life_of_day, month_after
from klines_pipeline.klines.ledgers import ARCHIVE_SCHEMA, ArchiveEntry, RevisionEntry, note, to_frame
from klines_pipeline.stages import quarantine
from klines_pipeline.stages.funding import versions
from klines_pipeline.stages.funding.dataset import FundingDataset
from klines_pipeline.stages.funding.newcomers import with_lifetime
from klines_pipeline.stages.funding.results import ArchivedFunding
from klines_pipeline.stages.funding.state import MirrorRows, entries_of_month, load_entries, paths_of
from klines_pipeline.stages.legible import look_at_each
from klines_pipeline.stages.verdict import SETTLED, Extent, absent, as_listed, judge, without_listing
from klines_pipeline.stages.versions import is_taken_in, new_file, record
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.tables import to_parquet


@dataclass(frozen=True, slots=True)
class FundingWorkshop:
    """What a run works with: the lake, the bucket, threads for downloads and the folder they land in."""

    lake: Lake
    dataset: FundingDataset
    archive: FundingArchive
    mirror: MirrorRows
    pool: Executor
    folder: Path

    def new_file(self) -> Path:
        """See `versions.new_file`."""
        return new_file(self.folder)


@dataclass(frozen=True, slots=True)
class _Month:
    """A month's archives after the listing and the downloads."""

    entries: Mapping[str, ArchiveEntry]
    failed: Mapping[str, str]
    downloads: int
    size: int
    """Bytes downloaded."""


@dataclass(frozen=True, slots=True)
class ArchivedMonth:
    """The days asked for, recorded, but for those with a damaged ledger; and other days of the lake made from an older
    version, not yet recorded anew.
    """

    days: Mapping[date, ArchivedFunding]
    stale: Mapping[date, ArchivedFunding]
    damaged: Mapping[date, DamagedFileError]


def archive_month(
    work: FundingWorkshop, month: date, days: Mapping[date, Sequence[str]], survey: FundingSurvey, now: datetime
) -> ArchivedMonth:
    """Look for the archives of a month and record them on the days given, each with its symbols.

    `now` is the exchange's time. What was downloaded is counted on the first of the days.
    """
    begun = [day for day in days_of_month(month) if day <= now.date()]
    ledgers, damaged = look_at_each(begun, lambda day: load_entries(work.lake, work.dataset, day))
    days = {day: named for day, named in days.items() if day not in damaged}
    symbols = sorted({symbol for named in days.values() for symbol in named})
    found = _bring_up_to_date(work, month, symbols, entries_of_month(ledgers.values()), survey, now)
    results = dict[date, ArchivedFunding]()
    for day, named in days.items():
        result = _archived(found, survey, month, day, named, ledgers.get(day, {}), now)
        if result.entries != ledgers.get(day, {}):
            publish_entries(work.lake, work.dataset, result)
        results[day] = result if results else replace(result, downloads=found.downloads, downloaded_bytes=found.size)
    others = {day: known for day, known in ledgers.items() if day not in days}
    stale = {day: known for day, known in others.items() if _is_older(known, found.entries)}
    return ArchivedMonth(
        results,
        {
            day: _archived(found, survey, month, day, [name for name in symbols if name in known], known, now)
            for day, known in stale.items()
        },
        damaged,
    )


def publish_entries(lake: Lake, dataset: FundingDataset, archived: ArchivedFunding) -> None:
    """Write the day's archives ledger."""
    ledger = to_frame([archived.entries[symbol] for symbol in sorted(archived.entries)], ARCHIVE_SCHEMA)
    paths = paths_of(dataset, archived.day)
    lake.publish(paths.archives, to_parquet(ledger), under=paths)


def _archived(
    found: _Month,
    survey: FundingSurvey,
    month: date,
    day: date,
    named: Sequence[str],
    ledger: Mapping[str, ArchiveEntry],
    now: datetime,
) -> ArchivedFunding:
    """One day of the month: what its ledger says, brought up to date for the symbols named."""
    current = {name: _of_day(found.entries[name], survey, month, day, ledger.get(name)) for name in named}
    failed = {name: found.failed[name] for name in named if name in found.failed}
    return ArchivedFunding(day, tuple(named), {**ledger, **current}, now, failed)


def _is_older(ledger: Mapping[str, ArchiveEntry], current: Mapping[str, ArchiveEntry]) -> bool:
    """Whether a day was made from a version of an archive that is not the one in use now."""
    pairs = ((known, current[name]) for name, known in ledger.items() if known.revision and name in current)
    judged = ((known, entry) for known, entry in pairs if entry.state in SETTLED)
    return any((known.sha256_actual, known.state) != (entry.sha256_actual, entry.state) for known, entry in judged)


def _bring_up_to_date(
    work: FundingWorkshop,
    month: date,
    symbols: Sequence[str],
    ledger: Mapping[str, ArchiveEntry],
    survey: FundingSurvey,
    now: datetime,
) -> _Month:
    entries, failed = dict[str, ArchiveEntry](), dict[str, str]()
    downloads = {}
    for symbol in symbols:
        key = work.archive.key(symbol, month)
        known, listed = ledger.get(symbol) or absent(symbol, key), survey.published.get((symbol, month))
        error = survey.failed.get(symbol) if month_after(month) <= now.date() else None
        if error is not None:
            entries[symbol] = without_listing(known, str(error), error.http_status)
            if entries[symbol].state is ArchiveState.UNAVAILABLE:
                failed[symbol] = str(error)
            continue
        entries[symbol] = as_listed(known, listed, None)
        if listed is not None and not is_taken_in(work.lake, known, listed):
            downloads[symbol] = work.pool.submit(work.archive.fetch, key, work.new_file)
    size, changes = 0, list[RevisionEntry | None]()
    for symbol, download in downloads.items():
        got, extent = _parse(work, symbol, month, download.result())
        judged = judge(entries[symbol], got, survey.published[symbol, month], extent, now=now)
        changes.append(versions.keep(work.mirror, paths_of(work.dataset, month), entries[symbol], judged, got))
        entries[symbol], size = judged, size + (got.size or 0)
        if got.state is ArchiveState.UNAVAILABLE:
            failed[symbol] = got.error or ""
    paths = paths_of(work.dataset, month)
    quarantine.record(work.lake, paths, [entries[symbol] for symbol in downloads if entries[symbol].state in SETTLED])
    record(work.lake, paths, changes)
    return _Month(entries, failed, len(downloads), size)


def _parse(
    work: FundingWorkshop, symbol: str, month: date, got: FetchedArchive
) -> tuple[FetchedArchive, Extent | None]:
    """The download with what its text says, and how far its settlements reach."""
    if got.text is None:
        return got, None
    try:
        parsed = work.archive.parse(symbol, got.text, month)
    except CorruptArchiveError as error:
        return replace(got, state=ArchiveState.CORRUPT, error=str(error)), None
    work.mirror.note(work.archive.key(symbol, month), got.sha256_actual, parsed)
    times: pl.Series = parsed.rows["funding_time"]
    extent = Extent(times.len(), times.min(), times.max(), 0)  # type: ignore[arg-type]
    return replace(got, error=got.error or parsed.remark), extent


def _of_day(
    entry: ArchiveEntry, survey: FundingSurvey, month: date, day: date, known: ArchiveEntry | None
) -> ArchiveEntry:
    """The month's entry with the edge of life that this day lies at; `known` is what the day's ledger says."""
    whole = entry.state is ArchiveState.OK
    edges = [time.date() if time and whole else None for time in (entry.first_open_time, entry.last_open_time)]
    if entry.symbol in survey.failed:
        return entry
    if entry.symbol in survey.never_archived:
        return with_lifetime(entry, survey, day, known)
    life: Life | None = life_of_day(survey.lives.get((entry.symbol, month), ()), day, *edges)
    return replace(entry, error=note(life, entry.problem))
