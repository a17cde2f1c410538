"""Keeping Dagster's own history small. A top-up each five minutes leaves some 300 runs a day, each with a database
file; of those that a later run has repeated, nobody asks again.

The lake is not touched: certificates and revisions stay for ever.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import NamedTuple

import dagster as dg

from klines_pipeline.defs.automation.run_requests import KIND, days_of_run, kind_of_run
from klines_pipeline.defs.automation.ticks import schedule_status
from klines_pipeline.defs.unpublished import event_files
from klines_pipeline.domain.automation import Automation
from klines_pipeline.domain.wanted import Kind

KEPT = timedelta(days=3)
_CRON = "0 5 * * *"
_ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]


class Latest(NamedTuple):
    """The run that materialized an asset's day last, and when (seconds since 1970)."""

    run_id: str
    at: float


Known = Callable[[dg.AssetKey, date], Latest | None]


def superseded(records: Iterable[dg.RunRecord], before: datetime, known: Known) -> list[str]:
    """Of runs that ended, the freshness runs ended before a time all of whose asset-days a later run has materialized,
    whether they succeeded or not: whatever is known of a day, its newest run tells.
    """
    return [record.dagster_run.run_id for record in records if _is_superseded(record, before.timestamp(), known)]


def _is_superseded(record: dg.RunRecord, before: float, known: Known) -> bool:
    run, ended = record.dagster_run, record.end_time
    tells = [(key, day) for key in run.asset_selection or () for day in days_of_run(run)]
    if kind_of_run(run) is not Kind.FRESHNESS or ended is None or ended >= before or not tells:
        return False
    newest = (known(key, day) for key, day in tells)
    return all(latest is not None and latest.run_id != run.run_id and latest.at > ended for latest in newest)


def forget_runs(instance: dg.DagsterInstance, before: datetime, page: int = 500) -> int:
    """Delete them with their events, logs and files; how many there were. `page` records are looked at together."""

    @cache
    def latest(key: dg.AssetKey, day: date) -> Latest | None:
        of_day = dg.AssetRecordsFilter(asset_key=key, asset_partitions=[str(day)])
        found = instance.fetch_materializations(of_day, limit=1).records
        return Latest(found[0].run_id, found[0].timestamp) if found else None

    forgotten = [run_id for records in _pages(instance, before, page) for run_id in superseded(records, before, latest)]
    for run_id in forgotten:
        _forget(instance, run_id)
    return len(forgotten)


def _pages(instance: dg.DagsterInstance, before: datetime, count: int) -> Iterator[Sequence[dg.RunRecord]]:
    """Freshness runs that ended, some at a time: 100,000 records together take a gigabyte."""
    old = dg.RunsFilter(statuses=_ENDED, tags={KIND: Kind.FRESHNESS.value}, updated_before=before)
    page = instance.get_run_records(old, limit=count)
    while page:
        yield page
        page = instance.get_run_records(old, limit=count, cursor=page[-1].dagster_run.run_id)


def _forget(instance: dg.DagsterInstance, run_id: str) -> None:
    instance.delete_run(run_id)
    instance.compute_log_manager.delete_logs(prefix=[run_id])
    for file in event_files(instance, run_id):
        file.unlink(missing_ok=True)


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
