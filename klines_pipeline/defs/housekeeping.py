"""Keeping Dagster's own history small. A top-up each five minutes leaves some 300 runs a day, each with a database
file; of those that a later run has repeated, nobody asks again.

The lake is not touched: certificates and revisions stay for ever.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg

from klines_pipeline.defs.requests import DATASET, days_of_run, kind_of_run
from klines_pipeline.defs.ticks import schedule_status
from klines_pipeline.domain.automation import Automation
from klines_pipeline.domain.wanted import Kind

KEPT = timedelta(days=3)
_CRON = "0 5 * * *"
_SQLITE_FILES = ("", "-wal", "-shm", "-journal")


def superseded(records: Iterable[dg.RunRecord], before: datetime) -> list[str]:
    """Of successful runs, the freshness runs ended before a time all of whose asset-days a run that stays has since
    materialized: whatever is known of a day, its newest run tells.
    """
    told, forgotten = set[tuple[dg.AssetKey, object]](), list[str]()
    for record in sorted(records, key=lambda record: record.end_time or 0.0, reverse=True):
        run, ended = record.dagster_run, record.end_time or before.timestamp()
        tells = {(key, day) for key in run.asset_selection or () for day in days_of_run(run)}
        is_old = kind_of_run(run) is Kind.FRESHNESS and ended < before.timestamp()
        if is_old and tells and tells <= told:
            forgotten.append(run.run_id)
        else:
            told |= tells
    return forgotten


def forget_runs(instance: dg.DagsterInstance, before: datetime) -> int:
    """Delete them with their events, logs and files; how many there were."""
    records = instance.get_run_records(dg.RunsFilter(statuses=[dg.DagsterRunStatus.SUCCESS]))
    by_dataset = dict[str, list[dg.RunRecord]]()
    for record in records:
        by_dataset.setdefault(record.dagster_run.tags.get(DATASET, ""), []).append(record)
    forgotten = [run_id for found in by_dataset.values() for run_id in superseded(found, before)]
    for run_id in forgotten:
        _forget(instance, run_id)
    return len(forgotten)


def _forget(instance: dg.DagsterInstance, run_id: str) -> None:
    instance.delete_run(run_id)
    instance.compute_log_manager.delete_logs(prefix=[run_id])
    shard = getattr(instance.event_log_storage, "path_for_shard", None)  # SQLite: a file a run, which it only empties
    if shard is not None:
        for ending in _SQLITE_FILES:
            Path(f"{shard(run_id)}{ending}").unlink(missing_ok=True)


@dg.op(description=f"Deletes freshness runs older than {KEPT.days} days that a later run has repeated.")
def forget_old_freshness_runs(context: dg.OpExecutionContext) -> None:
    """The job's only step."""
    count = forget_runs(context.instance, datetime.now(UTC) - KEPT)
    context.log.info(f"{count} run(s) forgotten.")
    context.add_output_metadata({"runs_forgotten": count})


@dg.job(
    description="Keeps Dagster's history small: deletes freshness runs that later runs have repeated. Partitions keep "
    "their status, the lake is not touched."
)
def housekeeping() -> None:
    """Started by the schedule of the same name."""
    forget_old_freshness_runs()


def build_housekeeping(automation: Automation) -> dg.ScheduleDefinition:
    """Once a day."""
    return dg.ScheduleDefinition(
        name="housekeeping_daily",
        job=housekeeping,
        cron_schedule=_CRON,
        execution_timezone="UTC",
        default_status=schedule_status(automation),
        description=f"At 05:00 UTC: freshness runs older than {KEPT.days} days that a later run has repeated are "
        "deleted, with their logs. Some 300 a day and dataset would be left otherwise.",
    )
