"""Versions of a month's funding archive: keep the bytes of each one seen, and record how it differs from the last."""

from collections.abc import Sequence
from datetime import date
from hashlib import sha256

import polars as pl

from klines_pipeline.domain.errors import CorruptArchiveError, DamagedFileError
from klines_pipeline.domain.states import ArchiveState
from klines_pipeline.exchanges.protocols import FetchedArchive
from klines_pipeline.funding.merge import row_changes
from klines_pipeline.funding.schema import SETTLEMENT_SCHEMA
from klines_pipeline.klines.ledgers import REVISION_SCHEMA, ArchiveEntry, RevisionEntry, to_frame
from klines_pipeline.stages.funding.state import MirrorRows
from klines_pipeline.stages.verdict import SETTLED
from klines_pipeline.stages.versions import path_of
from klines_pipeline.storage import layout
from klines_pipeline.storage.funding_layout import FundingPaths
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.tables import read_table, to_parquet


def keep(
    mirror: MirrorRows, month: date, known: ArchiveEntry, entry: ArchiveEntry, got: FetchedArchive
) -> RevisionEntry | None:
    """Set the version before aside, then put the new bytes in their place; the ledger row if this version is new.

    A download that was not taken is dropped.
    """
    if got.path is None:
        return None
    if entry.state not in SETTLED or entry.sha256_actual != got.sha256_actual:
        got.path.unlink(missing_ok=True)
        return None
    is_new = entry.revision != known.revision
    if is_new and known.revision and known.sha256_actual:
        _set_aside(mirror.lake, known, known.sha256_actual)
    mirror.lake.publish_file(path_of(entry), got.path)
    if entry.state is ArchiveState.OK and got.checksum is not None:
        mirror.lake.publish(layout.mirror_checksum(entry.key), got.checksum)
    return _revision(mirror, month, known, entry) if is_new else None


def _set_aside(lake: Lake, known: ArchiveEntry, digest: str) -> None:
    """Copy the version about to be replaced; after a kill the copy is there already and the place has the new one."""
    content = lake.read(path_of(known))
    if content is not None and sha256(content).hexdigest() == digest:
        lake.publish(layout.replaced(known.key, digest), content)


def _revision(mirror: MirrorRows, month: date, known: ArchiveEntry, entry: ArchiveEntry) -> RevisionEntry:
    added, removed, changed = row_changes(_rows_before(mirror, month, known), mirror.of(entry, month).rows)
    return RevisionEntry(
        symbol=entry.symbol,
        date=month,
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


def _rows_before(mirror: MirrorRows, month: date, known: ArchiveEntry) -> pl.DataFrame:
    """Settlements of the version before; none where there was none or its bytes are lost."""
    try:
        return mirror.of(known, month).rows
    except (DamagedFileError, CorruptArchiveError):
        return SETTLEMENT_SCHEMA.to_frame()


def record(lake: Lake, paths: FundingPaths, changes: Sequence[RevisionEntry]) -> None:
    """Add rows to the month's revisions ledger; a row already there is not written twice."""
    if not changes:
        return
    ledger = pl.concat([read_table(lake, paths.revisions, REVISION_SCHEMA), to_frame(changes, REVISION_SCHEMA)])
    unique = ledger.unique(["symbol", "revision"], keep="last", maintain_order=True).sort("symbol", "revision")
    lake.publish(paths.revisions, to_parquet(unique))
