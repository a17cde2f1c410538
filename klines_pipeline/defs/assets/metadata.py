"""What people see of a day: a stage's result as Dagster metadata. The same numeric keys each day, so they plot."""

from collections.abc import Mapping
from typing import Any

import dagster as dg
import polars as pl

from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.states import ArchiveState
from klines_pipeline.klines.certificate import is_explained
from klines_pipeline.stages.funding.results import ArchivedFunding
from klines_pipeline.stages.ingest import Stage
from klines_pipeline.stages.resample import ResampledDay
from klines_pipeline.stages.results import ArchivedDay, DayResult, MergedDay, ToppedUpDay
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.layout import DayPaths

Metadata = Mapping[str, Any]

_WORST = 10


def stage_metadata(result: DayResult, lake: Lake, dataset: Dataset) -> dict[Stage, Metadata]:
    """Metadata of each stage that finished its part of the day."""
    metadata: dict[Stage, Metadata] = {}
    paths = DayPaths.of(dataset, result.day)
    if result.archived:
        ledger = place(lake, paths.archives)
        metadata[Stage.VISION] = {**_archived(result.archived), **_lag(result.archived), "ledger": ledger}
    if result.topped_up:
        asked = {"ledger": place(lake, paths.slices)} if result.topped_up.slices else {}
        rows = {"path": place(lake, paths.rest_klines)} if result.topped_up.rows.height else {}
        metadata[Stage.REST] = {**_topped_up(result.topped_up), **passed_over(result.archived), **asked, **rows}
    if result.merged:
        metadata[Stage.KLINES] = {
            **_merged(result.merged, result.archived, result.topped_up),
            **passed_over(result.archived),
            "certificates": place(lake, paths.certificates),
            "seconds": round(result.seconds, 3),
        }
    return metadata


def passed_over(archived: ArchivedDay | ArchivedFunding | None) -> Metadata:
    """Symbols for which the bucket was never asked, if there are any."""
    return {"symbols_passed_over": ", ".join(archived.unlooked)} if archived and archived.unlooked else {}


def place(lake: Lake, path: str) -> dg.PathMetadataValue:
    """A file of the lake, by its full address."""
    return dg.MetadataValue.path(lake.uri(path))


def _archived(day: ArchivedDay) -> Metadata:
    quarantined = (ArchiveState.CHECKSUM_ABSENT, ArchiveState.CHECKSUM_MISMATCH)
    return {
        "symbols": len(day.entries),
        "symbols_ok": day.count(ArchiveState.OK),
        "symbols_not_published": day.count(ArchiveState.NOT_PUBLISHED),
        "symbols_quarantined": day.count(*quarantined),
        "symbols_corrupt": day.count(ArchiveState.CORRUPT),
        "symbols_failed": len(day.failed),
        "downloads": day.downloads,
        "bytes": day.downloaded_bytes,
        "rows_rejected": day.rejected,
        "rows_duplicate": day.duplicates,
    }


def _lag(day: ArchivedDay | None) -> Metadata:
    """Absent while no archive of the day is: a plot then has a hole, not a lie."""
    hours = day.lag_hours if day else None
    return {} if hours is None else {"archive_lag_hours": round(hours, 2)}


def _topped_up(day: ToppedUpDay) -> Metadata:
    counts = {
        "rows": day.rows.height,
        "rows_new": day.new_rows,
        "requests": day.requests,
        "weight": day.weight,
        "slices": len(day.slices),
        "symbols_failed": len(day.failed),
    }
    return {**counts, "blocked": day.blocked} if day.blocked else counts


def _merged(day: MergedDay, archived: ArchivedDay | None, topped_up: ToppedUpDay | None) -> Metadata:
    failed = {*(archived.failed if archived else ()), *(topped_up.failed if topped_up else ())}
    missing = day.certificates.filter(pl.col("missing") > 0)
    unexplained = [row for row in missing.iter_rows(named=True) if not is_explained(row["reason"])]
    return {
        "dagster/partition_row_count": day.rows,
        "rows": day.rows,
        "symbols_ok": day.certificates.height - missing.height,
        "symbols_missing": missing.height,
        "symbols_failed": len(failed),
        "completeness_pct": round(day.completeness_pct, 4),
        "klines_expected": day.total("expected"),
        "klines_missing": day.total("missing"),
        "klines_missing_unexplained": sum(row["missing"] for row in unexplained),
        "rows_from_vision": day.total("from_vision"),
        "rows_from_rest": day.total("from_rest"),
        "rest_share_pct": round(100 * day.total("from_rest") / day.rows, 4) if day.rows else 0.0,
        **_lag(archived),
        "rows_confirmed": day.total("confirmed"),
        "rows_flat": day.total("flat"),
        "rows_off_grid": day.off_grid,
        "conflicts": day.total("conflicts"),
        "bytes": day.bytes,
        "bytes_downloaded": archived.downloaded_bytes if archived else 0,
        "requests": topped_up.requests if topped_up else 0,
        "changed": day.changed,
        "worst_symbols": dg.MetadataValue.md(worst_symbols(day.certificates)),
        "path": dg.MetadataValue.path(day.path),
    }


def resampled_metadata(day: ResampledDay) -> Metadata:
    """A resampled day; of an interval above a day, the period it lies in, whose klines stand at its opening day."""
    counts = {"rows": day.rows, "left_out": day.left_out, "changed": day.changed}
    if day.period is None:
        return {"dagster/partition_row_count": day.rows, **counts, "path": dg.MetadataValue.path(day.path)}
    stored = {"path": dg.MetadataValue.path(day.path)} if day.rows else {}
    why = {"waits_for": day.waits_for} if day.waits_for else {}
    return {**counts, "period": str(day.period), **stored, **why}


def worst_symbols(certificates: pl.DataFrame) -> str:
    """A Markdown table of the symbols that lack most."""
    worst = certificates.filter(pl.col("missing") > 0).sort("missing", "symbol", descending=[True, False]).head(_WORST)
    if worst.is_empty():
        return "Every expected kline of every symbol is there."
    lines = ["| symbol | expected | present | missing | why | first gap |", "|---|---|---|---|---|---|"]
    for row in worst.iter_rows(named=True):
        gap = row["missing_ranges"][0]
        span = f"{gap['start']:%H:%M:%S} to {gap['end']:%H:%M:%S}"
        counts = f"{row['expected']} | {row['present']} | {row['missing']}"
        lines.append(f"| {row['symbol']} | {counts} | {row['reason']} | {span} |")
    return "\n".join(lines)
