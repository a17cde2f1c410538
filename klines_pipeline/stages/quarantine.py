"""Versions of archives that could not be verified when they were seen, and when, if ever, that changed.

Where their bytes lie is the affair of `versions`; without a row here a version was verified when it was seen.
"""

from collections.abc import Iterable
from typing import Any, Protocol

import polars as pl

from klines_pipeline.domain.states import ArchiveState
from klines_pipeline.klines.ledgers import QUARANTINE_SCHEMA, ArchiveEntry
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.tables import read_table, to_parquet

UNVERIFIED = frozenset({ArchiveState.CHECKSUM_ABSENT, ArchiveState.CHECKSUM_MISMATCH})


class QuarantinePaths(Protocol):
    """Files of a day of klines, or of a month of funding."""

    @property
    def quarantine(self) -> str:
        """The ledger of quarantine."""


def record(lake: Lake, paths: QuarantinePaths, judged: Iterable[ArchiveEntry]) -> None:
    """Note what entries just judged tell: quarantined now, or verified now after it was quarantined."""
    telling = [entry for entry in judged if entry.state in (*UNVERIFIED, ArchiveState.OK)]
    before = read_table(lake, paths.quarantine, QUARANTINE_SCHEMA) if telling else QUARANTINE_SCHEMA.to_frame()
    unverified = before.filter(pl.col("verified_at").is_null()).iter_rows(named=True)
    held = {(row["symbol"], row["revision"]): row["state"] for row in unverified}
    rows = [row for entry in telling if (row := _row(held.get((entry.symbol, entry.revision)), entry)) is not None]
    if not rows:
        return
    ledger = pl.concat([before, pl.DataFrame(rows, QUARANTINE_SCHEMA)])
    unique = ledger.unique(["symbol", "revision"], keep="last", maintain_order=True).sort("symbol", "revision")
    lake.publish(paths.quarantine, to_parquet(unique))


def _row(held: str | None, entry: ArchiveEntry) -> dict[str, Any] | None:
    """`held`: the state in which the same version is in quarantine, if it is; whatever was seen of it in between."""
    released = entry.state is ArchiveState.OK and held is not None
    if entry.state not in UNVERIFIED and not released:
        return None
    return {
        "symbol": entry.symbol,
        "key": entry.key,
        "revision": entry.revision,
        "sha256": entry.sha256_actual,
        "state": held if released else entry.state,
        "seen_at": entry.first_seen_at,
        "verified_at": entry.fetched_at if released else None,
    }
