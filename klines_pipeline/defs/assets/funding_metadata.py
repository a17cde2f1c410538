"""What people see of a day of funding: a stage's result as Dagster metadata. The same numeric keys each day."""

import dagster as dg
import polars as pl

from klines_pipeline.defs.assets.metadata import Metadata, passed_over, worst_symbols
from klines_pipeline.domain.states import UNUSABLE, ArchiveState
from klines_pipeline.klines.certificate import is_explained
from klines_pipeline.stages.funding.ingest import FundingStage
from klines_pipeline.stages.funding.results import ArchivedFunding, FundingDay, MergedFunding, ToppedUpFunding


def funding_metadata(result: FundingDay) -> dict[FundingStage, Metadata]:
    """Metadata of each stage that finished its part of the day."""
    metadata: dict[FundingStage, Metadata] = {}
    if result.archived:
        metadata[FundingStage.VISION] = _archived(result.archived)
    if result.topped_up:
        metadata[FundingStage.REST] = {**_topped_up(result.topped_up), **passed_over(result.archived)}
    if result.merged:
        renewed = {"days_renewed": len(result.renewed)}
        metadata[FundingStage.FUNDING] = {**_merged(result.merged), **passed_over(result.archived), **renewed}
    return metadata


def _archived(day: ArchivedFunding) -> Metadata:
    return {
        "symbols": len(day.symbols),
        "symbols_ok": day.count(ArchiveState.OK),
        "symbols_not_published": day.count(ArchiveState.NOT_PUBLISHED),
        "symbols_unusable": day.count(*UNUSABLE),
        "symbols_failed": len(day.failed),
        "downloads": day.downloads,
        "bytes": day.downloaded_bytes,
    }


def _topped_up(day: ToppedUpFunding) -> Metadata:
    counts = {
        "rows": day.rows.height,
        "rows_new": day.new_rows,
        "requests": day.requests,
        "symbols_failed": len(day.failed),
    }
    return {**counts, "blocked": day.blocked} if day.blocked else counts


def _merged(day: MergedFunding) -> Metadata:
    missing = day.certificates.filter(pl.col("missing") > 0)
    unexplained = [row["missing"] for row in missing.iter_rows(named=True) if not is_explained(row["reason"])]
    return {
        "dagster/partition_row_count": day.rows,
        "rows": day.rows,
        "symbols_ok": day.certificates.height - missing.height,
        "symbols_missing": missing.height,
        "completeness_pct": round(day.completeness_pct, 4),
        "settlements_expected": day.total("expected"),
        "settlements_missing": day.total("missing"),
        "settlements_missing_unexplained": sum(unexplained),
        "rows_from_vision": day.total("from_vision"),
        "rows_from_rest": day.total("from_rest"),
        "rows_rejected": day.rejected,
        "conflicts": day.total("conflicts"),
        "bytes": day.bytes,
        "changed": day.changed,
        "worst_symbols": dg.MetadataValue.md(worst_symbols(day.certificates)),
        "path": dg.MetadataValue.path(day.path),
    }
