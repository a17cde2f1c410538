"""The `alerts` sensor: runs that failed and checks that did not pass, told to KLINES_ALERT_URL. Absent without it.

What was evaluated is read from runs that have ended, so one cursor serves runs and checks, on every storage. What is
said, and how often, stands in `domain.alerts`.
"""

import logging
from datetime import UTC, datetime, timedelta

import dagster as dg

from klines_pipeline.defs.failed import Ended, alerts_of
from klines_pipeline.domain.alerts import NEAR_SECONDS, REFUSALS, Told, compose
from klines_pipeline.domain.errors import RejectedRequestError, TransientError
from klines_pipeline.exchanges.webhook import post

LOG = logging.getLogger(__name__)

_ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
_RUNS = 100
"""Ended runs looked at in one tick, some 2 ms each; the next one goes on."""


def build_alerts(url: str) -> dg.SensorDefinition:
    """On from the start: who sets KLINES_ALERT_URL wants to be told."""

    @dg.sensor(
        name="alerts",
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Posts runs that failed and checks that did not pass to KLINES_ALERT_URL: one message a minute at "
        "most, the same thing after an hour and then ever more seldom, once a day at last. A receiver that is down is tried again, and nothing is lost.",
    )
    def alerts(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        origin = context.code_location_origin
        return tell(context.instance, url, context.cursor, datetime.now(UTC), origin.location_name if origin else None)

    return alerts


def tell(
    instance: dg.DagsterInstance, url: str, cursor: str | None, now: datetime, location: str | None = None
) -> dg.SensorResult:
    """One tick. Without a cursor it begins with what ends from `now` on."""
    told = Told.read(cursor)
    if told is None:
        begun = Told(until=now.timestamp())
        begun = begun.looked_at({run.run_id: at for run, at in _ended_since(instance, begun)})
        return _silent("Begins now: what failed before is not told.", begun)
    ended = [item for item in _ended_since(instance, told) if not told.knows(item.run.run_id, item.at)][:_RUNS]
    found = [alert for item in ended if _is_here(item.run, location) for alert in alerts_of(instance, item)]
    looked = told.looked_at({run.run_id: at for run, at in ended})
    message = compose(found, looked, now.timestamp())
    if message.payload is None:
        said = f"{len(found)} failure(s) told within the hour" if found else "nothing failed"
        return _silent(f"{len(ended)} run(s) ended, {said}.", message.after)
    try:
        post(url, message.payload)
    except TransientError as error:
        return dg.SensorResult(skip_reason=f"{error} {message.alerts} alert(s) wait for the next tick.", cursor=cursor)
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


def _ended_since(instance: dg.DagsterInstance, told: Told) -> list[Ended]:
    """Oldest first."""
    since = datetime.fromtimestamp(told.until, UTC) - timedelta(seconds=NEAR_SECONDS)
    records = instance.get_run_records(dg.RunsFilter(statuses=_ENDED, updated_after=since))
    ended = (Ended(record.dagster_run, record.end_time or record.create_timestamp.timestamp()) for record in records)
    return sorted(ended, key=lambda item: item.at)
