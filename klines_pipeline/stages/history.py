"""What the lake has seen of a day's archives, and what of it can be told again when a ledger was lost.

Numbers of versions are never used twice: they go on from whichever ledger knows most. Without `ledger/archives`, what
is in use is told by `ledger/revisions` and the mirror; without `ledger/revisions`, versions are told by
`ledger/archives` and the bytes kept. What cannot be told again is the affair of `losses`.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from hashlib import sha256

import polars as pl

from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.errors import CorruptArchiveError, DamagedFileError
from klines_pipeline.domain.states import ArchiveState
from klines_pipeline.domain.utc_day import EPOCH
from klines_pipeline.exchanges.protocols import Market
from klines_pipeline.klines.ledgers import (
    QUARANTINE_SCHEMA,
    REVISION_SCHEMA,
    ArchiveEntry,
    RevisionEntry,
    revision_entries,
    to_frame,
)
from klines_pipeline.klines.merge import row_changes
from klines_pipeline.stages import losses
from klines_pipeline.stages.kept_archives import KeptArchives, Version
from klines_pipeline.stages.verdict import extents_of
from klines_pipeline.storage import layout
from klines_pipeline.storage.folders import written
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.layout import DayPaths
from klines_pipeline.storage.tables import read_table, to_parquet

_UNKNOWN = (None, None, None)
LOG = logging.getLogger(__name__)
Seen = Mapping[str, Sequence[RevisionEntry]]
"""Versions by symbol, in order."""


@dataclass(frozen=True, slots=True)
class History:
    """The past of one dataset's day."""

    lake: Lake
    market: Market
    dataset: Dataset
    day: date

    @property
    def paths(self) -> DayPaths:
        """The day's files."""
        return DayPaths.of(self.dataset, self.day)

    def seen(self, entries: Iterable[ArchiveEntry]) -> Seen:
        """The revisions ledger, mended where it knows less than the archives' entries."""
        seen = revision_entries(read_table(self.lake, self.paths.revisions, REVISION_SCHEMA))
        poorer = [entry for entry in entries if len(seen.get(entry.symbol, ())) < entry.revision]
        told = losses.noted(self.lake, self.paths, "revisions") if poorer else set()
        lacking = [entry for entry in poorer if entry.symbol not in told]
        if not lacking:
            return seen
        mended = {**seen, **{entry.symbol: self._versions(entry, seen.get(entry.symbol, ())) for entry in lacking}}
        rows = [row for symbol in sorted(mended) for row in mended[symbol]]
        self.lake.publish(self.paths.revisions, to_parquet(to_frame(rows, REVISION_SCHEMA)), under=self.paths)
        since = {entry.symbol: entry.first_seen_at or EPOCH for entry in lacking if entry.revision > 1}
        losses.record(self.lake, self.paths, "revisions", since)
        return mended

    def recalled(self, symbol: str, key: str, seen: Sequence[RevisionEntry]) -> ArchiveEntry | None:
        """The entry of an archive that only the revisions ledger knows; its `etag` is open, so it is fetched again."""
        content = self.lake.read(layout.mirror(key)) if key and seen else None
        digest = None if content is None else sha256(content).hexdigest()
        used = next((version for version in reversed(seen) if version.sha256 == digest), None)
        if content is not None and used is not None:
            entry = self._entry(used, ArchiveState.OK)
            return replace(entry, size=len(content), sha256_published=digest)
        states = self._unverified()
        held = next((version for version in reversed(seen) if (symbol, version.revision) in states), None)
        if held is None or held is not seen[-1] or self.lake.size(layout.quarantined(key, held.sha256)) is None:
            return None
        return self._entry(held, states[symbol, held.revision])

    def _entry(self, version: RevisionEntry, state: ArchiveState) -> ArchiveEntry:
        rows = self._rows(version)
        extent = None if rows is None else extents_of(rows, self.dataset.interval).get(version.symbol)
        return ArchiveEntry(
            symbol=version.symbol,
            key=version.key,
            state=state,
            last_modified=version.last_modified,
            sha256_actual=version.sha256,
            rows=extent.rows if extent else 0,
            first_open_time=extent.first if extent else None,
            last_open_time=extent.last if extent else None,
            revision=version.revision,
            first_seen_at=version.seen_at,
            fetched_at=version.seen_at,
        )

    def _unverified(self) -> dict[tuple[str, int], ArchiveState]:
        rows = read_table(self.lake, self.paths.quarantine, QUARANTINE_SCHEMA).filter(pl.col("verified_at").is_null())
        return {
            (symbol, revision): ArchiveState(state or ArchiveState.CHECKSUM_MISMATCH)
            for symbol, revision, state in rows.select("symbol", "revision", "state").iter_rows()
        }

    def differences(
        self, before: RevisionEntry | None, rows: pl.DataFrame
    ) -> tuple[int | None, int | None, int | None]:
        """Rows added, removed, changed; None, and a word in the log, where the bytes of the version before are gone."""
        if before is None:
            return rows.height, 0, 0
        old = self._rows(before)
        if old is None:
            words = "%s %s %s: what changed since revision %d cannot be told; its bytes are not the ones seen."
            LOG.warning(words, self.dataset, self.day, before.symbol, before.revision)
            return _UNKNOWN
        return row_changes(old, rows)

    def _rows(self, version: RevisionEntry) -> pl.DataFrame | None:
        kept = KeptArchives(self.lake, self.market, self.dataset.interval)
        named = Version(version.symbol, version.key, version.revision, version.sha256, version.seen_at or EPOCH)
        try:
            return kept.klines(self.day, [named])
        except (DamagedFileError, CorruptArchiveError):
            return None

    def _versions(self, entry: ArchiveEntry, seen: Sequence[RevisionEntry]) -> list[RevisionEntry]:
        """The versions up to the one in use. Of older ones the file's time stands for when they were seen."""
        held = {version.revision: version for version in seen}
        free = [number for number in range(1, entry.revision) if number not in held]
        known = {version.sha256 for version in seen}
        found = [(digest, time) for digest, time in self._kept(entry) if digest not in known]
        for number, (digest, time) in zip(free, found, strict=False):
            older = replace(
                entry, revision=number, sha256_actual=digest, first_seen_at=time, etag=None, last_modified=None
            )
            held[number] = revision_of(older, self.day, _UNKNOWN)
        if entry.revision not in held:
            held[entry.revision] = revision_of(entry, self.day, _UNKNOWN)
        versions, before = list[RevisionEntry](), None
        for number in sorted(held):
            version = held[number]
            if version not in seen:
                follows = before is not None and before.revision == number - 1
                version = self._compared(version, before if follows else None)
            versions.append(version)
            before = version
        return versions

    def _compared(self, version: RevisionEntry, before: RevisionEntry | None) -> RevisionEntry:
        rows, unknown = self._rows(version), before is None and version.revision > 1
        added, removed, changed = _UNKNOWN if rows is None or unknown else self.differences(before, rows)
        return replace(version, rows_added=added, rows_removed=removed, rows_changed=changed)

    def _kept(self, entry: ArchiveEntry) -> list[tuple[str, datetime]]:
        """SHA-256 and file time of what was replaced or quarantined under the entry's key, the oldest first."""
        times = dict[str, datetime]()
        places = (layout.replaced(entry.key, ""), layout.quarantined(entry.key, ""))
        for path, time in [found for place in places for found in written(self.lake, place)]:
            digest = sha256(self.lake.read(path) or b"").hexdigest()
            if path.endswith(f"@{digest[:12]}"):
                times[digest] = min(time, times.get(digest, time))
        if len(times) >= entry.revision:
            times.pop(entry.sha256_actual or "", None)
        return sorted(times.items(), key=lambda found: found[1])


def revision_of(entry: ArchiveEntry, day: date, changes: tuple[int | None, int | None, int | None]) -> RevisionEntry:
    """The ledger's row of an entry's version; `changes`: rows added, removed and changed since the one before."""
    added, removed, changed = changes
    return RevisionEntry(
        symbol=entry.symbol,
        date=day,
        key=entry.key,
        revision=entry.revision,
        sha256=entry.sha256_actual or "",
        etag=entry.etag,
        last_modified=entry.last_modified,
        seen_at=entry.first_seen_at,
        rows_added=added,
        rows_removed=removed,
        rows_changed=changed,
    )
