"""What tests need of Dagster that it does not publish, each with why nothing public will do: as seen in 1.13.27. No
other test imports from `dagster._`; what the project itself needs stands in `klines_pipeline.defs.unpublished`.
"""

from datetime import datetime

import dagster as dg
from dagster._core.events import EngineEventData
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    SensorInstigatorData,
    TickData,
    TickStatus,
)
from dagster._utils.error import SerializableErrorInfo


def of_location(run: dg.DagsterRun, location: str) -> dg.DagsterRun:
    """The run as a daemon launches it from a code location; in one process runs have no origin."""
    origin = RemoteJobOrigin(RemoteRepositoryOrigin(RegisteredCodeLocationOrigin(location), "repository"), "job")
    return run.with_job_origin(origin)


def fail_tick(instance: dg.DagsterInstance, name: str, at: datetime, location: str = "here") -> None:
    """A tick of a sensor that raised, as the daemon writes it down: only it makes ticks."""
    origin = RemoteInstigatorOrigin(RemoteRepositoryOrigin(RegisteredCodeLocationOrigin(location), "repository"), name)
    state = InstigatorState(origin, InstigatorType.SENSOR, InstigatorStatus.DECLARED_IN_CODE, SensorInstigatorData())
    if instance.get_instigator_state(state.instigator_origin_id, state.selector_id) is None:
        instance.add_instigator_state(state)
    began = at.timestamp()
    cause = SerializableErrorInfo("PermissionError: the key has expired.\nmore", [], "PermissionError")
    error = SerializableErrorInfo("SensorExecutionError: in the evaluation", [], "SensorExecutionError", cause)
    tick = TickData(
        state.instigator_origin_id,
        name,
        InstigatorType.SENSOR,
        TickStatus.STARTED,
        began,
        selector_id=state.selector_id,
    )
    made = instance.create_tick(tick)
    instance.update_tick(made.with_status(TickStatus.FAILURE, error=error, end_timestamp=began + 1))


def report_error(instance: dg.DagsterInstance, run: dg.DagsterRun, message: str, error: str, cause: str) -> None:
    """An event of Dagster's engine with an error and its cause, as its own processes write it down."""
    came_of = SerializableErrorInfo(cause, [], None)
    instance.report_engine_event(message, run, EngineEventData(error=SerializableErrorInfo(error, [], None, came_of)))
