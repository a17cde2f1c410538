"""Versions of archives that could not be verified when they were seen, and when, if ever, that changed.

Where their bytes lie is the affair of `versions`; without a row here a version was verified when it was seen.
"""

from collections.abc import Iterable
from typing import Any

import polars as pl

from klines_pipeline.domain.states import ArchiveState
from klines_pipeline.klines.ledgers import QUARANTINE_SCHEMA, ArchiveEntry
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.layout import DayPaths
from klines_pipeline.storage.tables import read_table, to_parquet

UNVERIFIED = frozenset({ArchiveState.CHECKSUM_ABSENT, ArchiveState.CHECKSUM_MISMATCH})


def record(lake: Lake, paths: DayPaths, judged: Iterable[tuple[ArchiveEntry, ArchiveEntry]]) -> None:
    """Note what (entry before, entry after) tell: quarantined now, or verified now after it was quarantined."""
    rows = [row for known, entry in judged if (row := _row(known, entry)) is not None]
    if not rows:
        return
    ledger = pl.concat([read_table(lake, paths.quarantine, QUARANTINE_SCHEMA), pl.DataFrame(rows, QUARANTINE_SCHEMA)])
    unique = ledger.unique(["symbol", "revision"], keep="last", maintain_order=True).sort("symbol", "revision")
    lake.publish(paths.quarantine, to_parquet(unique))


def _row(known: ArchiveEntry, entry: ArchiveEntry) -> dict[str, Any] | None:
    released = entry.state is ArchiveState.OK and known.state in UNVERIFIED and entry.revision == known.revision
    if entry.state not in UNVERIFIED and not released:
        return None
    return {
        "symbol": entry.symbol,
        "key": entry.key,
        "revision": entry.revision,
        "sha256": entry.sha256_actual,
        "state": known.state if released else entry.state,
        "seen_at": entry.first_seen_at,
        "verified_at": entry.fetched_at if released else None,
    }
