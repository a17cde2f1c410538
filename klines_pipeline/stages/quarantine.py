"""Versions of archives that could not be verified when they were seen, and when, if ever, that changed.

Where their bytes lie is the affair of `versions`; without a row here a version was verified when it was seen.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Protocol

import polars as pl

from klines_pipeline.domain.states import ArchiveState
from klines_pipeline.domain.utc_day import EPOCH
from klines_pipeline.klines.ledgers import QUARANTINE_SCHEMA, ArchiveEntry, RevisionEntry
from klines_pipeline.stages import losses
from klines_pipeline.stages.history import Seen
from klines_pipeline.storage import layout
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.layout import DayPaths, Lockable
from klines_pipeline.storage.tables import read_table, to_parquet

UNVERIFIED = frozenset({ArchiveState.CHECKSUM_ABSENT, ArchiveState.CHECKSUM_MISMATCH})


class QuarantinePaths(Lockable, Protocol):
    """Files of a day of klines, or of a month of funding."""

    @property
    def quarantine(self) -> str:
        """The ledger of quarantine."""


def record(lake: Lake, paths: QuarantinePaths, judged: Iterable[ArchiveEntry]) -> None:
    """Note what entries just judged tell: quarantined now, or verified now after it was quarantined."""
    telling = [entry for entry in judged if entry.state in (*UNVERIFIED, ArchiveState.OK)]
    before = read_table(lake, paths.quarantine, QUARANTINE_SCHEMA) if telling else QUARANTINE_SCHEMA.to_frame()
    unverified = before.filter(pl.col("verified_at").is_null()).iter_rows(named=True)
    held = {(row["symbol"], row["revision"]): row for row in unverified}
    rows = [row for entry in telling if (row := _row(held.get((entry.symbol, entry.revision)), entry)) is not None]
    if not rows:
        return
    ledger = pl.concat([before, pl.DataFrame(rows, QUARANTINE_SCHEMA)])
    unique = ledger.unique(["symbol", "revision"], keep="last", maintain_order=True).sort("symbol", "revision")
    lake.publish(paths.quarantine, to_parquet(unique), under=paths)


def _row(held: Mapping[str, Any] | None, entry: ArchiveEntry) -> dict[str, Any] | None:
    """`held`: the row by which the same version is in quarantine, if it is; whatever was seen of it in between."""
    released = entry.state is ArchiveState.OK and held is not None
    if entry.state not in UNVERIFIED and not released:
        return None
    return {
        "symbol": entry.symbol,
        "key": entry.key,
        "revision": entry.revision,
        "sha256": entry.sha256_actual,
        "state": held["state"] if released and held else entry.state,
        "seen_at": entry.first_seen_at,
        "verified_at": entry.fetched_at if released else None,
    }


def mend(lake: Lake, paths: DayPaths, entries: Iterable[ArchiveEntry], seen: Seen) -> None:
    """Rows that the ledger has lost, as far as `entries` and the bytes in quarantine tell; when they were verified, if
    ever, is known of the version in use alone."""
    telling = [entry for entry in entries if entry.revision > 1 or entry.state in UNVERIFIED or _came_late(entry)]
    if not telling:
        return
    before = read_table(lake, paths.quarantine, QUARANTINE_SCHEMA)
    told = set(before.select("symbol", "sha256").iter_rows())
    record(lake, paths, [e for e in telling if e.state in UNVERIFIED and (e.symbol, e.sha256_actual) not in told])
    told |= {(entry.symbol, entry.sha256_actual) for entry in telling if entry.state in UNVERIFIED}
    rows, since = list[dict[str, Any]](), dict[str, datetime]()
    for entry in telling:
        for version in seen.get(entry.symbol, ()):
            place = layout.quarantined(version.key, version.sha256)
            if (entry.symbol, version.sha256) not in told and lake.size(place) is not None:
                rows.append(_told_again(version, entry))
                since[entry.symbol] = entry.fetched_at or EPOCH
    if rows:
        ledger = pl.concat(
            [read_table(lake, paths.quarantine, QUARANTINE_SCHEMA), pl.DataFrame(rows, QUARANTINE_SCHEMA)]
        )
        lake.publish(paths.quarantine, to_parquet(ledger.sort("symbol", "revision")), under=paths)
        losses.record(lake, paths, "quarantine", since)


def _came_late(entry: ArchiveEntry) -> bool:
    """Whether the version was fetched again after it was first seen."""
    return (entry.fetched_at or EPOCH) > (entry.first_seen_at or EPOCH)


def _told_again(version: RevisionEntry, entry: ArchiveEntry) -> dict[str, Any]:
    in_use = entry.state is ArchiveState.OK and entry.revision == version.revision
    return {
        "symbol": version.symbol,
        "key": version.key,
        "revision": version.revision,
        "sha256": version.sha256,
        "state": None,
        "seen_at": version.seen_at,
        "verified_at": entry.fetched_at if in_use else None,
    }
