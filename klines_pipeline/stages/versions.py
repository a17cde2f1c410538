"""Versions of an archive: keep the bytes of each one seen, and record how its rows differ from the one before."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from hashlib import sha256

import polars as pl

from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.errors import CorruptArchiveError
from klines_pipeline.domain.states import ArchiveState
from klines_pipeline.exchanges.protocols import FetchedArchive, Market
from klines_pipeline.klines.ledgers import REVISION_SCHEMA, ArchiveEntry, RevisionEntry, to_frame
from klines_pipeline.klines.merge import row_changes
from klines_pipeline.klines.schema import VISION
from klines_pipeline.klines.sieve import sieve
from klines_pipeline.storage import layout
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.tables import read_table, to_parquet


@dataclass(frozen=True, slots=True)
class Keeping:
    """Where and for what bytes are kept; `rows` are the day's rows as just parsed."""

    lake: Lake
    market: Market
    dataset: Dataset
    day: date
    rows: pl.DataFrame


def path_of(entry: ArchiveEntry) -> str:
    """Where the bytes of an entry lie: the mirror if verified, else the quarantine."""
    if entry.state is ArchiveState.OK:
        return layout.mirror(entry.key)
    return layout.quarantined(entry.key, entry.sha256_actual or "")


def keep(keeping: Keeping, known: ArchiveEntry, entry: ArchiveEntry, got: FetchedArchive) -> RevisionEntry | None:
    """Put the fetched bytes in their place, the replaced ones aside; the ledger row if this version is new."""
    is_new = entry.revision != known.revision
    old_rows = _set_aside(keeping, known) if is_new else None
    if got.path is not None:
        keeping.lake.publish_file(path_of(entry), got.path)
    if entry.state is ArchiveState.OK and got.checksum is not None:
        keeping.lake.publish(layout.mirror_checksum(entry.key), got.checksum)
    if not is_new:
        return None
    added, removed, changed = entry.rows or 0, 0, 0
    if old_rows is not None:
        added, removed, changed = row_changes(old_rows, keeping.rows.filter(pl.col("symbol") == entry.symbol))
    return RevisionEntry(
        symbol=entry.symbol,
        date=keeping.day,
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


def _set_aside(keeping: Keeping, known: ArchiveEntry) -> pl.DataFrame | None:
    """Copy the version about to be replaced to `revisions/`, and read its rows; None where there was none.

    After a kill in between, the mirror may hold the new bytes already: then the copy was made before.
    """
    if known.sha256_actual is None or known.revision == 0:
        return None
    copy = layout.replaced(known.key, known.sha256_actual)
    content = keeping.lake.read(path_of(known))
    if content is not None and sha256(content).hexdigest() == known.sha256_actual:
        keeping.lake.publish(copy, content)
    else:
        content = keeping.lake.read(copy)
    if content is None:
        return None
    try:
        text = keeping.market.archive.open(content, known.key, keeping.dataset.interval)
    except CorruptArchiveError:
        return None
    parsed = keeping.market.archive.parse({known.symbol: text}, keeping.dataset.interval)
    return sieve(parsed.frame, keeping.day, VISION, nullable=keeping.market.nullable).kept


def record(lake: Lake, paths: layout.DayPaths, changes: Sequence[RevisionEntry]) -> None:
    """Add rows to the day's revisions ledger; a row already there is not written twice."""
    if not changes:
        return
    ledger = pl.concat([read_table(lake, paths.revisions, REVISION_SCHEMA), to_frame(changes, REVISION_SCHEMA)])
    unique = ledger.unique(["symbol", "revision"], keep="last", maintain_order=True).sort("symbol", "revision")
    lake.publish(paths.revisions, to_parquet(unique))
