"""The sensor that goes after runs which failed on some of their days: Dagster makes nothing more in such a run. What it
was asked to make of the good days, and their checks, are asked for here, within a minute of its end.

A day that failed is not this sensor's: who wanted it asks for it again.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

import dagster as dg

from klines_pipeline.defs.automation.run_requests import DATASET, REASON, REQUESTED_AT, RunRequester, kind_of_run
from klines_pipeline.defs.automation.ticks import sensor_status
from klines_pipeline.domain.automation import Automation
from klines_pipeline.domain.utc_day import parse_day
from klines_pipeline.domain.wanted import Wanted

_SECONDS = 60
_LOOK_BACK = timedelta(hours=1)
"""Without a cursor, by this machine's clock: what failed before is the safety net's."""
_NEAR = timedelta(seconds=5)
"""Runs that end together are not recorded in order."""


_MADE, _TO_MAKE = dg.DagsterEventType.ASSET_MATERIALIZATION, dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED
_TO_CHECK = dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED
_TOLD = {_MADE, _TO_MAKE, _TO_CHECK}


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
    """One tick at `now` by this machine's clock, which says no more than how far back runs are looked at."""
    since = _time(cursor) or now - _LOOK_BACK
    failed = dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], updated_after=since - _NEAR)
    records = [record for record in instance.get_run_records(failed) if _ended(record) >= since - _NEAR]
    requests, seen = list[dg.RunRequest](), max([since, *map(_ended, records)])
    for run in (record.dagster_run for record in sorted(records, key=_ended)):
        if found := datasets.get(run.tags.get(DATASET, "")):
            requests += _of_run(instance, run, found)
    if requests:
        return dg.SensorResult(run_requests=requests, cursor=seen.isoformat())
    return dg.SensorResult(skip_reason="No run has left a good day behind.", cursor=seen.isoformat())


def _time(cursor: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(cursor or "").astimezone(UTC)
    except ValueError:
        return None


def _ended(record: dg.RunRecord) -> datetime:
    return datetime.fromtimestamp(record.end_time or record.create_timestamp.timestamp(), UTC)


class _Left(NamedTuple):
    """What a run planned and did not do, and the days of the table that it made."""

    good: Sequence[date]
    assets: Sequence[dg.AssetKey]
    checks: Sequence[dg.AssetCheckKey]


def _of_run(instance: dg.DagsterInstance, run: dg.DagsterRun, derived: Derived) -> Iterator[dg.RunRequest]:
    """Of the good days of one run, once, in its own kind: what it left out."""
    kind, left = kind_of_run(run), _left(instance, run, derived)
    if kind is None or REQUESTED_AT not in run.tags or not left.good or not (left.assets or left.checks):
        return
    wish = Wanted(
        kind,
        tuple(left.good),
        f"what the run {run.run_id[:8]} left behind: {run.tags.get(REASON, '')}",
        dict.fromkeys(left.good, run.run_id),
        once=True,
    )
    now, most = datetime.fromisoformat(run.tags[REQUESTED_AT]), len(left.good)
    asker = RunRequester(instance, run.tags[DATASET], left.assets, now, longest=most, most_runs=most)
    for request in asker.ask([wish]).runs:
        yield request.with_replaced_attrs(asset_check_keys=left.checks)


def _left(instance: dg.DagsterInstance, run: dg.DagsterRun, derived: Derived) -> _Left:
    """The run's own events tell: a run begun in one process names no selection."""
    good, planned, made = set[date](), set[dg.AssetKey | dg.AssetCheckKey](), set[dg.AssetKey | dg.AssetCheckKey]()
    for event in (entry.dagster_event for entry in instance.all_logs(run.run_id, of_type=_TOLD)):
        if event is None:
            continue
        if event.event_type is _MADE and event.asset_key:
            made.add(event.asset_key)
            good |= {parse_day(event.partition)} if event.asset_key == derived.table and event.partition else set()
        elif event.event_type is _TO_MAKE and event.asset_key:
            planned.add(event.asset_key)
        elif event.event_type is _TO_CHECK:
            planned.add(event.asset_check_planned_data.asset_check_key)
    left = planned - made
    return _Left(
        sorted(good), [key for key in derived.assets if key in left], [key for key in derived.checks if key in left]
    )
