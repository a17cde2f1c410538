"""Versions of a month's funding archive: keep the bytes of each one seen, and record how it differs from the last."""

from datetime import date

import polars as pl

from klines_pipeline.domain.errors import CorruptArchiveError, DamagedFileError
from klines_pipeline.domain.states import ArchiveState
from klines_pipeline.exchanges.protocols import FetchedArchive
from klines_pipeline.funding.merge import row_changes
from klines_pipeline.funding.schema import SETTLEMENT_SCHEMA
from klines_pipeline.klines.ledgers import ArchiveEntry, RevisionEntry
from klines_pipeline.stages.funding.state import MirrorRows
from klines_pipeline.stages.history import revision_of
from klines_pipeline.stages.verdict import SETTLED
from klines_pipeline.stages.versions import path_of, put_aside
from klines_pipeline.storage import layout
from klines_pipeline.storage.funding_layout import FundingPaths


def keep(
    mirror: MirrorRows, paths: FundingPaths, known: ArchiveEntry, entry: ArchiveEntry, got: FetchedArchive
) -> RevisionEntry | None:
    """Set what lies there aside, then put the new bytes in their place; the ledger row if this version is new. `paths`:
    of the month's first day.

    A download that was not taken is dropped.
    """
    if got.path is None:
        return None
    if entry.state not in SETTLED or entry.sha256_actual != got.sha256_actual:
        got.path.unlink(missing_ok=True)
        return None
    is_new = entry.revision != known.revision
    put_aside(mirror.lake, entry, [known.sha256_actual], under=paths)
    mirror.lake.publish_file(path_of(entry), got.path, under=paths)
    if entry.state is ArchiveState.OK and got.checksum is not None:
        mirror.lake.publish(layout.mirror_checksum(entry.key), got.checksum, under=paths)
    if not is_new:
        return None
    month = paths.day
    return revision_of(entry, month, row_changes(_rows_before(mirror, month, known), mirror.of(entry, month).rows))


def _rows_before(mirror: MirrorRows, month: date, known: ArchiveEntry) -> pl.DataFrame:
    """Settlements of the version before; none where there was none or its bytes are lost."""
    try:
        return mirror.of(known, month).rows
    except (DamagedFileError, CorruptArchiveError):
        return SETTLEMENT_SCHEMA.to_frame()
