"""The sensor that goes after runs which failed on some of their days: Dagster makes nothing more in such a run. What it
was asked to make of the good days, and their checks, are asked for here, within a minute of its end, or of the end of
the run that those days are in meanwhile.

A day that failed is not this sensor's: who wanted it asks for it again.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

import dagster as dg

from klines_pipeline.defs.automation.run_requests import (
    DATASET,
    REASON,
    REQUESTED_AT,
    Requested,
    RunRequester,
    days_of_run,
    kind_of_run,
)
from klines_pipeline.defs.automation.ticks import sensor_status
from klines_pipeline.domain.automation import Automation
from klines_pipeline.domain.phrases import some_of
from klines_pipeline.domain.utc_day import parse_day
from klines_pipeline.domain.wanted import Wanted

LEFT_BY = "klines/left_by"
"""Of a run asked for here, the run that left its days behind."""
_SECONDS = 60
_LOOK_BACK = timedelta(hours=1)
"""Without a cursor, by this machine's clock: what failed before is the safety net's."""
_NEAR = timedelta(seconds=5)
"""Runs that end together are not recorded in order."""
_NAMED = 5

_MADE, _TO_MAKE = dg.DagsterEventType.ASSET_MATERIALIZATION, dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED
_CHECKED, _TO_CHECK = dg.DagsterEventType.ASSET_CHECK_EVALUATION, dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED
_TOLD = {_MADE, _TO_MAKE, _CHECKED, _TO_CHECK}
_Key = dg.AssetKey | dg.AssetCheckKey


class Derived(NamedTuple):
    """What follows the table of a dataset: assets made from it, and the checks of all of them."""

    table: dg.AssetKey
    assets: Sequence[dg.AssetKey]
    checks: Collection[dg.AssetCheckKey]


def build_left_behind(datasets: Mapping[str, Derived], automation: Automation) -> list[dg.SensorDefinition]:
    """One sensor over all datasets, by name; none without any."""
    if not datasets:
        return []

    @dg.sensor(
        name="left_behind",
        target=dg.AssetSelection.assets(*(key for found in datasets.values() for key in [found.table, *found.assets])),
        minimum_interval_seconds=_SECONDS,
        default_status=sensor_status(automation),
        description="Where a run that was asked for failed on some of its days, Dagster leaves out what follows on the "
        "good ones: their resampled klines and checks. They are asked for here as soon as the run has ended.",
    )
    def left_behind(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        return follow(context.instance, context.cursor, datasets, datetime.now(UTC))

    return [left_behind]


def follow(
    instance: dg.DagsterInstance, cursor: str | None, datasets: Mapping[str, Derived], now: datetime
) -> dg.SensorResult:
    """One tick at `now` by this machine's clock, which says no more than how far back runs are looked at. The next one
    begins at the first run whose days had to wait.
    """
    since = _time(cursor) or now - _LOOK_BACK
    failed = dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], updated_after=since - _NEAR)
    records = [record for record in instance.get_run_records(failed) if _ended(record) >= since - _NEAR]
    requests, waiting, held_back = list[dg.RunRequest](), list[datetime](), list[str]()
    for record in sorted(records, key=_ended):
        if derived := datasets.get(record.dagster_run.tags.get(DATASET, "")):
            asked = _of_run(instance, record, derived)
            requests += asked.runs
            waiting += [_ended(record)] if asked.postponed else []
            held_back += [f"What the run {record.dagster_run.run_id[:8]} left: {why}" for why in asked.held_back]
    seen = min(waiting) if waiting else max([since, *map(_ended, records)])
    if requests:
        return dg.SensorResult(run_requests=requests, cursor=seen.isoformat())
    words = some_of(held_back, _NAMED, " ") or "No run has left a good day behind."
    return dg.SensorResult(skip_reason=words, cursor=seen.isoformat())


def _time(cursor: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(cursor or "").astimezone(UTC)
    except ValueError:
        return None


def _ended(record: dg.RunRecord) -> datetime:
    return datetime.fromtimestamp(record.end_time or record.create_timestamp.timestamp(), UTC)


def _of_run(instance: dg.DagsterInstance, record: dg.RunRecord, derived: Derived) -> Requested:
    """Of the good days of one run, in its own kind: what it left out."""
    run, did = record.dagster_run, _did(instance, record.dagster_run.run_id)
    assets = [key for key in derived.assets if key in did.left]
    checks = [key for key in derived.checks if key in did.left]
    kind, good = kind_of_run(run), did.days_of(derived.table)
    if kind is None or REQUESTED_AT not in run.tags or not good or not (assets or checks):
        return Requested([], [])
    days = sorted(good - _asked_for(instance, run) - _done_since(instance, record, good, {*assets, *checks}))
    reason = f"what the run {run.run_id[:8]} left behind: {run.tags.get(REASON, '')}"
    now = datetime.fromisoformat(run.tags[REQUESTED_AT])  # nothing is tried again here, so no wait is measured by it
    asker = RunRequester(instance, run.tags[DATASET], assets, now, longest=len(good), most_runs=len(good))
    asked = asker.ask([Wanted(kind, tuple(days), reason, dict.fromkeys(days, run.run_id))])
    return replace(asked, runs=[_narrowed(request, checks, run) for request in asked.runs])


def _narrowed(request: dg.RunRequest, checks: Sequence[dg.AssetCheckKey], run: dg.DagsterRun) -> dg.RunRequest:
    return request.with_replaced_attrs(asset_check_keys=checks, tags={**request.tags, LEFT_BY: run.run_id})


def _asked_for(instance: dg.DagsterInstance, run: dg.DagsterRun) -> set[date]:
    """Days that were asked for after this run: once, whatever became of it."""
    return {day for made in instance.get_runs(dg.RunsFilter(tags={LEFT_BY: run.run_id})) for day in days_of_run(made)}


def _done_since(
    instance: dg.DagsterInstance, record: dg.RunRecord, good: Collection[date], left: Collection[_Key]
) -> set[date]:
    """Those of the good days for which a later run has done all that this one left."""
    well = dg.RunsFilter(statuses=[dg.DagsterRunStatus.SUCCESS], created_after=record.create_timestamp)
    later = [run for run in instance.get_runs(well) if run.tags.get(DATASET) == record.dagster_run.tags[DATASET]]
    runs = [(run, days) for run in later if (days := {*days_of_run(run)} & {*good})]
    return {day for run, days in runs if _did(instance, run.run_id).done.issuperset(left) for day in days}


class _Did(NamedTuple):
    """What a run planned and what it did, as its own events tell: one begun in one process names no selection."""

    planned: Collection[_Key]
    done: frozenset[_Key]
    days: Collection[tuple[_Key, date]]

    @property
    def left(self) -> set[_Key]:
        """Nothing of it was begun, or nothing came of it."""
        return {*self.planned} - self.done

    def days_of(self, asset: dg.AssetKey) -> set[date]:
        """Those on which the asset was made."""
        return {day for made, day in self.days if made == asset}


def _did(instance: dg.DagsterInstance, run_id: str) -> _Did:
    planned, done, days = set[_Key](), set[_Key](), set[tuple[_Key, date]]()
    for event in (entry.dagster_event for entry in instance.all_logs(run_id, of_type=_TOLD)):
        if event is None:
            continue
        if event.event_type is _TO_CHECK:
            planned.add(event.asset_check_planned_data.asset_check_key)
        elif event.event_type is _CHECKED:
            done.add(event.asset_check_evaluation_data.asset_check_key)
        elif event.event_type is _TO_MAKE and event.asset_key:
            planned.add(event.asset_key)
        elif event.asset_key:
            done.add(event.asset_key)
            days |= {(event.asset_key, parse_day(event.partition))} if event.partition else set()
    return _Did(planned, frozenset(done), days)
