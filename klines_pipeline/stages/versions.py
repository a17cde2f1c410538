"""Versions of an archive: keep the bytes of each one seen, and record how its rows differ from the one before."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

import polars as pl

from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.errors import CorruptArchiveError
from klines_pipeline.domain.states import ArchiveState
from klines_pipeline.exchanges.protocols import FetchedArchive, Market, PublishedArchive
from klines_pipeline.klines.ledgers import REVISION_SCHEMA, ArchiveEntry, RevisionEntry, to_frame
from klines_pipeline.klines.merge import row_changes
from klines_pipeline.klines.schema import VISION
from klines_pipeline.klines.sieve import sieve
from klines_pipeline.stages.verdict import is_current
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
    changes = (entry.rows or 0, 0, 0)
    if old_rows is not None:
        changes = row_changes(old_rows, keeping.rows.filter(pl.col("symbol") == entry.symbol))
    return revision_of(entry, keeping.day, changes)


def revision_of(entry: ArchiveEntry, day: date, changes: tuple[int, int, int]) -> RevisionEntry:
    """The ledger's row of a version just seen; `changes`: rows added, removed and changed since the one before."""
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


def set_aside(lake: Lake, known: ArchiveEntry) -> bytes | None:
    """Copy the version about to be replaced to `revisions/`; its bytes, None where there was none or they are lost.

    After a kill in between, the place may hold the new bytes already: then the copy was made before.
    """
    if known.sha256_actual is None or known.revision == 0:
        return None
    copy = layout.replaced(known.key, known.sha256_actual)
    content = lake.read(path_of(known))
    if content is None or sha256(content).hexdigest() != known.sha256_actual:
        return lake.read(copy)
    lake.publish(copy, content)
    return content


def _set_aside(keeping: Keeping, known: ArchiveEntry) -> pl.DataFrame | None:
    """The rows of the version set aside; None where there was none, or none that can be read."""
    content = set_aside(keeping.lake, known)
    if content is None:
        return None
    try:
        text = keeping.market.archive.open(content, known.key, keeping.dataset.interval)
    except CorruptArchiveError:
        return None
    parsed = keeping.market.archive.parse({known.symbol: text}, keeping.dataset.interval)
    return sieve(parsed.frame, keeping.day, VISION, nullable=keeping.market.nullable).kept


def record(lake: Lake, path: str, changes: Iterable[RevisionEntry | None]) -> None:
    """Add rows to a revisions ledger; one already there is not written twice."""
    new = [change for change in changes if change]
    if not new:
        return
    ledger = pl.concat([read_table(lake, path, REVISION_SCHEMA), to_frame(new, REVISION_SCHEMA)])
    unique = ledger.unique(["symbol", "revision"], keep="last", maintain_order=True).sort("symbol", "revision")
    lake.publish(path, to_parquet(unique))


def is_taken_in(lake: Lake, known: ArchiveEntry, listed: PublishedArchive) -> bool:
    """Whether the version listed was judged already and its bytes are still in the lake.

    That is asked of a disk only: a store would answer once an archive.
    """
    return is_current(known, listed) and (not lake.is_local or lake.size(path_of(known)) is not None)


def new_file(folder: Path) -> Path:
    """A name for a download that nobody uses yet."""
    return folder / f".{uuid4().hex}.zip"
