"""The `alerts` sensor: what failed, told to KLINES_ALERT_URL. Absent without it.

What was evaluated is read from runs that have ended, so one cursor serves runs, checks and ticks, on every storage.
What is said, and how often, stands in `domain.telling`.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime

import dagster as dg

from klines_pipeline.defs.automation.run_requests import DATASET
from klines_pipeline.defs.operations.failed_runs import Ended, alerts_of
from klines_pipeline.defs.operations.outages import FailedTick, dataset_alerts, failed_ticks, tick_alert
from klines_pipeline.domain.alerts import Alert
from klines_pipeline.domain.errors import RejectedRequestError, TransientError
from klines_pipeline.domain.telling import LOOK_BACK_SECONDS, NEAR_SECONDS, REFUSALS, SILENT_HOURS, Told, compose
from klines_pipeline.exchanges.webhook import post

LOG = logging.getLogger(__name__)

_ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
_ITEMS = 100
"""Ended runs and failed ticks looked at in one tick, some 2 ms each; the next one goes on."""
_LONGEST_TICK = 600
"""Seconds a tick may take to fail: it is found by its beginning."""


def build_alerts(url: str, datasets: Mapping[str, date]) -> dg.SensorDefinition:
    """On from the start: who sets KLINES_ALERT_URL wants to be told. `datasets` are those that automation keeps, with
    the day each begins.
    """

    @dg.sensor(
        name="alerts",
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Posts to KLINES_ALERT_URL: runs that failed, checks that did not pass, ticks that raised, and "
        f"datasets of which no run has succeeded for {SILENT_HOURS} hours. One message a minute at most, the "
        "same thing after an hour and then ever more seldom, once a day at last. A receiver that is down is tried "
        f"again, and nothing is lost; with a spoiled cursor, {LOOK_BACK_SECONDS // 3600} hours are looked at again.",
    )
    def alerts(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        origin, now = context.code_location_origin, datetime.now(UTC)
        location = origin.location_name if origin else None
        kept = [name for name, start in datasets.items() if start <= now.date()]
        return tell(context.instance, url, context.cursor, now, location, kept)

    return alerts


def tell(
    instance: dg.DagsterInstance,
    url: str,
    cursor: str | None,
    now: datetime,
    location: str | None = None,
    datasets: Sequence[str] = (),
) -> dg.SensorResult:
    """One tick. Without a cursor it begins with what ends from `now` on, with one that cannot be read a day before."""
    clock = now.timestamp()
    if not cursor:
        begun = _begun(instance, clock)
        begun = begun.looked_at([item.happened for item in _happened_since(instance, begun, location)], clock)
        return _silent("Begins now: what failed before is not told.", begun.missed(datasets, clock)[1])
    told = Told.read(cursor)
    if told is None:
        LOG.warning("The cursor of alerts cannot be read. Failures of the last day are told, perhaps once more.")
        told = _begun(instance, clock - LOOK_BACK_SECONDS)
    told = told.by(clock)
    happened = _happened_since(instance, told, location)
    items = [item for item in happened if not told.knows(item.happened, clock)][:_ITEMS]
    looked = told.looked_at([item.happened for item in items], clock).heard_of(_succeeded(items, clock))
    silent, looked = looked.missed(datasets, clock)
    found = [*(alert for item in items for alert in _alerts(instance, item)), *dataset_alerts(silent, now)]
    message = compose(found, looked, clock)
    if message.payload is None:
        said = f"{len(found)} failure(s) told before" if found else "nothing failed"
        return _silent(f"{sum(isinstance(item, Ended) for item in items)} run(s) ended, {said}.", message.after)
    try:
        post(url, message.payload)
    except TransientError as error:
        LOG.warning("%s %d alert(s) wait.", error, message.alerts)
        return dg.SensorResult(
            skip_reason=f"{error} {message.alerts} alert(s) wait for the next tick.", cursor=told.text()
        )
    except RejectedRequestError as error:
        return _refused(str(error), told, looked, message.alerts)
    return _silent(f"Told {message.alerts} failure(s).", message.after)


def _silent(why: str, told: Told) -> dg.SensorResult:
    return dg.SensorResult(skip_reason=why, cursor=told.text())


def _refused(error: str, told: Told, looked: Told, alerts: int) -> dg.SensorResult:
    """Kept for the next tick, or dropped and counted if it was refused too often."""
    LOG.warning("%s", error)
    if told.refusals + 1 < REFUSALS:
        return _silent(f"{error} {alerts} alert(s) wait.", told.refused())
    return _silent(f"{error} {alerts} alert(s) are dropped after {REFUSALS} tries.", looked.gave_up(alerts))


def _is_here(run: dg.DagsterRun, location: str | None) -> bool:
    """Whether a run is of this code location; one that a command line began names none."""
    origin = run.remote_job_origin
    return location is None or origin is None or origin.location_name == location


def _happened_since(instance: dg.DagsterInstance, told: Told, location: str | None) -> list[Ended | FailedTick]:
    """Runs that ended and ticks that failed here, oldest first. Runs asked for since count too, whenever they say they
    ended: no tick sees them while sensors wait for a clock that was ahead.
    """
    since = told.until - NEAR_SECONDS
    lately = dg.RunsFilter(statuses=_ENDED, updated_after=datetime.fromtimestamp(since, UTC))
    new = instance.get_run_records(dg.RunsFilter(statuses=_ENDED), limit=_ITEMS)
    records = [*instance.get_run_records(lately), *(record for record in new if record.storage_id > told.newest)]
    runs = {record.storage_id: _ended(record) for record in records}
    ticks = failed_ticks(instance, since - _LONGEST_TICK, location)
    here = (item for item in runs.values() if _is_here(item.run, location))
    return sorted([*here, *ticks], key=lambda item: item.at)


def _begun(instance: dg.DagsterInstance, until: float) -> Told:
    """Who looks at nothing before a time."""
    latest = instance.get_run_records(limit=1)
    return Told(until=until, newest=max((record.storage_id for record in latest), default=0))


def _ended(record: dg.RunRecord) -> Ended:
    return Ended(record.dagster_run, record.end_time or record.create_timestamp.timestamp(), record.storage_id)


def _alerts(instance: dg.DagsterInstance, item: Ended | FailedTick) -> Iterable[Alert]:
    return alerts_of(instance, item) if isinstance(item, Ended) else [tick_alert(item)]


def _succeeded(items: Iterable[Ended | FailedTick], now: float) -> dict[str, float]:
    """By dataset, when a run of it that was asked for succeeded last, not after `now`."""
    runs = (item for item in items if isinstance(item, Ended) and item.run.status is dg.DagsterRunStatus.SUCCESS)
    return {item.run.tags[DATASET]: min(item.at, now) for item in runs if DATASET in item.run.tags}
