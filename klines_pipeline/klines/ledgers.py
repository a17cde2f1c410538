"""Rows of the ledgers and their schemas: archives, slices, certificates, revisions, quarantine, merges, rejected.

Data, not logs: one Parquet file a day each, one row a symbol (slices: a slice). Where they lie is storage's affair.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

import polars as pl

from klines_pipeline.domain.states import ArchiveState, Life, SliceState
from klines_pipeline.klines.schema import UTC_TIME, WIRE_SCHEMA

ARCHIVE_SCHEMA = pl.Schema({
    "symbol": pl.String(),
    "key": pl.String(),
    "state": pl.String(),
    "size": pl.Int64(),
    "etag": pl.String(),
    "last_modified": UTC_TIME,
    "sha256_published": pl.String(),
    "sha256_actual": pl.String(),
    "rows": pl.Int64(),
    "first_open_time": UTC_TIME,
    "last_open_time": UTC_TIME,
    "revision": pl.Int16(),
    "first_seen_at": UTC_TIME,
    "fetched_at": UTC_TIME,
    "attempts": pl.Int32(),
    "http_status": pl.Int32(),
    "error": pl.String(),
})  # fmt: skip

SLICE_SCHEMA = pl.Schema({
    "slice_key": pl.String(),
    "slice_id": pl.String(),
    "start": UTC_TIME,
    "end": UTC_TIME,
    "state": pl.String(),
    "rows": pl.Int64(),
    "first_open_time": UTC_TIME,
    "last_open_time": UTC_TIME,
    "url": pl.String(),
    "weight": pl.Int32(),
    "requested_at": UTC_TIME,
    "completed_at": UTC_TIME,
    "attempts": pl.Int32(),
    "http_status": pl.Int32(),
    "error": pl.String(),
})  # fmt: skip

RANGES = pl.List(pl.Struct({"start": UTC_TIME, "end": UTC_TIME}))

CERTIFICATE_SCHEMA = pl.Schema({
    "symbol": pl.String(),
    "expected": pl.Int64(),
    "present": pl.Int64(),
    "from_vision": pl.Int64(),
    "from_rest": pl.Int64(),
    "flat": pl.Int64(),
    "missing": pl.Int64(),
    "missing_ranges": RANGES,
    "reason": pl.String(),
    "conflicts": pl.Int64(),
    "fingerprint": pl.String(),
    "checked_at": UTC_TIME,
    "confirmed": pl.Int64(),
})  # fmt: skip
"""`confirmed` counts klines that REST gave before the archive came and that the archive has alike; `conflicts` those it
has otherwise. The archive's are in the table either way."""

ADDED_LATER = frozenset({"confirmed"})
"""Columns that files written before them lack; there they are null."""

REVISION_SCHEMA = pl.Schema({
    "symbol": pl.String(),
    "date": pl.Date(),
    "key": pl.String(),
    "revision": pl.Int16(),
    "sha256": pl.String(),
    "etag": pl.String(),
    "last_modified": UTC_TIME,
    "seen_at": UTC_TIME,
    "rows_added": pl.Int64(),
    "rows_removed": pl.Int64(),
    "rows_changed": pl.Int64(),
})  # fmt: skip

QUARANTINE_SCHEMA = pl.Schema({
    "symbol": pl.String(),
    "key": pl.String(),
    "revision": pl.Int16(),
    "sha256": pl.String(),
    "state": pl.String(),
    "seen_at": UTC_TIME,
    "verified_at": UTC_TIME,
})  # fmt: skip

MERGE_SCHEMA = pl.Schema({
    "symbol": pl.String(),
    "revision": pl.Int16(),
    "merged_at": UTC_TIME,
    "answers_since": UTC_TIME,
})  # fmt: skip
"""From `merged_at` on the table has this version of the archive, 0 for none; what REST answered from `answers_since` on
came into it no earlier. A null `merged_at`: in the table before this ledger was kept."""

LOSS_SCHEMA = pl.Schema({
    "symbol": pl.String(),
    "table": pl.String(),
    "known_since": UTC_TIME,
})  # fmt: skip
"""A table or ledger of the day that lost rows, and since when what it tells is known again."""

REJECTED_SCHEMA = pl.Schema({"source": pl.String(), "reason": pl.String(), **WIRE_SCHEMA})

NEWER_VERSION = "a newer version was published but is "
"""How `error` begins where the version in use is verified and the one published since is not."""
WITHDRAWN = "no longer listed by the bucket; the version held stays in use."


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveEntry:
    """One symbol-day in the bucket: what was published, what was fetched, what became of it.

    `error` says what went wrong; for a day at or past the edge of a symbol's life it begins with that `Life`.
    """

    symbol: str
    key: str
    state: ArchiveState
    size: int | None = None
    etag: str | None = None
    last_modified: datetime | None = None
    sha256_published: str | None = None
    sha256_actual: str | None = None
    rows: int | None = None
    first_open_time: datetime | None = None
    last_open_time: datetime | None = None
    revision: int = 0
    first_seen_at: datetime | None = None
    fetched_at: datetime | None = None
    attempts: int = 0
    http_status: int | None = None
    error: str | None = None

    @property
    def life(self) -> Life | None:
        """The edge of life that `error` begins with."""
        word = (self.error or "").partition(": ")[0]
        return Life(word) if word in set(Life) else None

    @property
    def problem(self) -> str | None:
        """What of `error` is not the life."""
        if self.life is None:
            return self.error
        return (self.error or "").partition(": ")[2] or None


def note(life: Life | None, problem: str | None) -> str | None:
    """What `error` holds: the edge of life, the problem, or both."""
    return ": ".join(part for part in (life, problem) if part) or None


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceEntry:
    """One REST slice: `[start, end)` as asked so far, and what came back."""

    slice_key: str
    slice_id: str
    start: datetime
    end: datetime
    state: SliceState
    rows: int = 0
    first_open_time: datetime | None = None
    last_open_time: datetime | None = None
    url: str | None = None
    weight: int = 0
    requested_at: datetime | None = None
    completed_at: datetime | None = None
    attempts: int = 0
    http_status: int | None = None
    error: str | None = None

    @property
    def symbol(self) -> str:
        """First part of the slice key."""
        return self.slice_key.partition(":")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisionEntry:
    """One version of an archive, and how its rows differ from the version before; null where that cannot be told.

    One told again from its bytes, after the ledger was lost, has no `last_modified`, and the file's time as `seen_at`.
    """

    symbol: str
    date: date
    key: str
    revision: int
    sha256: str
    etag: str | None
    last_modified: datetime | None
    seen_at: datetime | None
    rows_added: int | None
    rows_removed: int | None
    rows_changed: int | None


def to_frame(entries: Sequence[ArchiveEntry | SliceEntry | RevisionEntry], schema: pl.Schema) -> pl.DataFrame:
    """Entries as a frame in the ledger's schema."""
    return pl.DataFrame({name: [getattr(entry, name) for entry in entries] for name in schema.names()}, schema=schema)


def archive_entries(frame: pl.DataFrame) -> dict[str, ArchiveEntry]:
    """A day's archives ledger, by symbol."""
    entries = (ArchiveEntry(**row) for row in frame.iter_rows(named=True))
    return {entry.symbol: replace(entry, state=ArchiveState(entry.state)) for entry in entries}


def revision_entries(frame: pl.DataFrame) -> dict[str, list[RevisionEntry]]:
    """A day's revisions ledger, by symbol, in order."""
    entries: dict[str, list[RevisionEntry]] = {}
    for row in frame.sort("symbol", "revision").iter_rows(named=True):
        entries.setdefault(row["symbol"], []).append(RevisionEntry(**row))
    return entries


def slice_entries(frame: pl.DataFrame) -> dict[str, SliceEntry]:
    """A day's slices ledger, by slice key."""
    entries = (SliceEntry(**row) for row in frame.iter_rows(named=True))
    return {entry.slice_key: replace(entry, state=SliceState(entry.state)) for entry in entries}
