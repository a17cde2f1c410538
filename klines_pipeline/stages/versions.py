"""Versions of an archive: keep the bytes of each one seen, and record how its rows differ from the one before."""

import logging
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

import polars as pl

from klines_pipeline.domain.states import ArchiveState
from klines_pipeline.exchanges.protocols import FetchedArchive, PublishedArchive
from klines_pipeline.klines.ledgers import REVISION_SCHEMA, ArchiveEntry, RevisionEntry, to_frame
from klines_pipeline.stages.history import History, Seen, revision_of
from klines_pipeline.stages.verdict import is_current
from klines_pipeline.storage import layout
from klines_pipeline.storage.funding_layout import FundingPaths
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.layout import DayPaths
from klines_pipeline.storage.tables import read_table, to_parquet

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Keeping:
    """Where bytes are kept and what was `seen` before; `rows` are the day's rows as just parsed."""

    history: History
    seen: Seen
    rows: pl.DataFrame


def path_of(entry: ArchiveEntry) -> str:
    """Where the bytes of an entry lie: the mirror if verified, else the quarantine."""
    if entry.state is ArchiveState.OK:
        return layout.mirror(entry.key)
    return layout.quarantined(entry.key, entry.sha256_actual or "")


def keep(keeping: Keeping, entry: ArchiveEntry, got: FetchedArchive) -> RevisionEntry | None:
    """Put the fetched bytes in their place, those that lie there aside; the ledger row if this version is new."""
    lake, paths, seen = keeping.history.lake, keeping.history.paths, keeping.seen.get(entry.symbol, ())
    put_aside(lake, entry, [version.sha256 for version in seen], under=paths)
    change = None if entry.revision in {version.revision for version in seen} else _change(keeping, entry, seen)
    if got.path is not None:
        lake.publish_file(path_of(entry), got.path, under=paths)
    if entry.state is ArchiveState.OK and got.checksum is not None:
        lake.publish(layout.mirror_checksum(entry.key), got.checksum, under=paths)
    return change


def put_aside(lake: Lake, entry: ArchiveEntry, known: Collection[str | None], *, under: layout.Lockable) -> None:
    """Copy what lies in the entry's place to `revisions/` under its own SHA-256, whatever any ledger says of it.

    The log tells of bytes that are not `known`.
    """
    place = path_of(entry)
    content = lake.read(place)
    digest = None if content is None else sha256(content).hexdigest()
    if content is None or digest is None or digest == entry.sha256_actual:
        return
    copy = layout.replaced(entry.key, digest)
    lake.publish(copy, content, under=under)
    if digest not in known:
        words = "%s held bytes that no ledger knows: damaged, or a version whose ledger was lost. They are kept as %s."
        LOG.warning(words, lake.uri(place), lake.uri(copy))


def _change(keeping: Keeping, entry: ArchiveEntry, seen: Sequence[RevisionEntry]) -> RevisionEntry:
    rows = keeping.rows.filter(pl.col("symbol") == entry.symbol)
    before = seen[-1] if seen else None
    return revision_of(entry, keeping.history.day, keeping.history.differences(before, rows))


def record(lake: Lake, paths: DayPaths | FundingPaths, changes: Iterable[RevisionEntry | None]) -> None:
    """Add rows to a revisions ledger; one already there stays as it is."""
    new = [change for change in changes if change]
    if not new:
        return
    ledger = pl.concat([read_table(lake, paths.revisions, REVISION_SCHEMA), to_frame(new, REVISION_SCHEMA)])
    unique = ledger.unique(["symbol", "revision"], keep="first", maintain_order=True).sort("symbol", "revision")
    lake.publish(paths.revisions, to_parquet(unique), under=paths)


def is_taken_in(lake: Lake, known: ArchiveEntry, listed: PublishedArchive) -> bool:
    """Whether the version listed was judged already and its bytes are still in the lake.

    That is asked of a disk only: a store would answer once an archive.
    """
    return is_current(known, listed) and (not lake.is_local or lake.size(path_of(known)) is not None)


def new_file(folder: Path) -> Path:
    """A name for a download that nobody uses yet."""
    return folder / f".{uuid4().hex}.zip"
