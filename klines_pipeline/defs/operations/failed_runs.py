"""What failed in a run that has ended, as alerts: its own failure in a few lines, and each check that did not pass."""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import dagster as dg

from klines_pipeline.defs.automation.run_requests import DATASET, REASON, days_of_run
from klines_pipeline.domain.alerts import Alert, AlertKind
from klines_pipeline.domain.phrases import some_of
from klines_pipeline.domain.telling import Happened

_FAILURES = {dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.RUN_FAILURE}
_READ = {*_FAILURES, dg.DagsterEventType.ENGINE_EVENT, dg.DagsterEventType.ASSET_CHECK_EVALUATION}
_WORDLESS = "This run has been marked as failed from outside the execution context."
"""What Dagster says where the engine event before says why: a process was killed, klines.yaml does not load."""
_DISK = re.compile(r"no space left on device|dis[ck] is full|disk quota exceeded", re.IGNORECASE)
_LINES, _LONGEST = 6, 600
_ASSETS = 3


class Ended(NamedTuple):
    """A run that has ended, and when (seconds since 1970)."""

    run: dg.DagsterRun
    at: float
    place: int = 0
    """In the order in which runs were asked for."""

    @property
    def happened(self) -> Happened:
        """As the alerts' cursor knows it."""
        return Happened(self.run.run_id, self.at, self.place)


def alerts_of(instance: dg.DagsterInstance, ended: Ended) -> Iterator[Alert]:
    """The run's own failure, then its checks that did not pass."""
    events = instance.all_logs(ended.run.run_id, of_type=_READ)
    found = [entry.dagster_event for entry in events if entry.dagster_event]
    if ended.run.status is dg.DagsterRunStatus.FAILURE:
        yield _run_failed(ended, found)
    for event in found:
        if event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            check = event.asset_check_evaluation_data
            if not check.passed:
                yield _check_failed(ended, check)


def _run_failed(ended: Ended, events: Sequence[dg.DagsterEvent]) -> Alert:
    run, steps = ended.run, [event for event in events if event.is_step_failure]
    told = [event.step_failure_data.user_failure_data for event in steps]
    named = {day for failure in told if failure for day in _texts(failure.metadata.get("failed_days"))}
    single = run.tags.get("dagster/partition")
    asked_for = [str(day) for day in days_of_run(run)] or ([single] if single else [])
    return Alert(
        AlertKind.RUN,
        severity="ERROR",
        message=_with_full_disk(_first_lines([_why(step) for step in steps] or _outside(events)), events),
        run_id=run.run_id,
        at=datetime.fromtimestamp(ended.at, UTC),
        dataset=run.tags.get(DATASET),
        asset=_assets(run),
        reason=run.tags.get(REASON),
        days=tuple(sorted(named) or asked_for),
    )


def _check_failed(ended: Ended, check: dg.AssetCheckEvaluation) -> Alert:
    remedy = check.metadata.get("remedy")
    found = [check.description or "It did not pass.", *([f"Remedy: {remedy.value}"] if remedy else [])]
    return Alert(
        AlertKind.CHECK,
        severity=check.severity.value,
        message=_first_lines(found),
        run_id=ended.run.run_id,
        at=datetime.fromtimestamp(ended.at, UTC),
        dataset=ended.run.tags.get(DATASET),
        asset=check.asset_key.to_user_string(),
        check=check.check_name,
        reason=ended.run.tags.get(REASON),
        days=tuple(_texts(check.metadata.get("bad_days"))),
    )


def _why(event: dg.DagsterEvent) -> str:
    """What a failed step says of itself; of a Failure its description, of another error its last cause."""
    data = event.step_failure_data
    if data.user_failure_data and data.user_failure_data.description:
        return data.user_failure_data.description
    return _last_cause(event) or event.message or "The step failed without a word."


def _outside(events: Sequence[dg.DagsterEvent]) -> list[str]:
    """Why a run failed of which no step did."""
    texts, before = list[str](), ""
    for event in events:
        if event.is_engine_event:
            before = _last_cause(event) or event.message or ""
        elif event.event_type is dg.DagsterEventType.RUN_FAILURE:
            own = event.message if event.message != _WORDLESS else None
            texts.append(own or before or "The run failed without a word.")
    return texts


def _with_full_disk(message: str, events: Sequence[dg.DagsterEvent]) -> str:
    """That the disk is full, if anything said so: what follows from it says other things."""
    is_full = any(_DISK.search(text) for event in events for text in _errors(event))
    return f"The disk is full.\n{message}" if is_full and not _DISK.search(message) else message


def _last_cause(event: dg.DagsterEvent) -> str | None:
    """The error an event carries, by the last of its causes."""
    error = getattr(event.event_specific_data, "error", None)
    while error and error.cause:
        error = error.cause
    return error.message if error else None


def _errors(event: dg.DagsterEvent) -> Iterator[str]:
    """What the error says that an event carries, and all that it came of or met."""
    waiting = [getattr(event.event_specific_data, "error", None)]
    while waiting:
        if error := waiting.pop():
            yield error.message
            waiting += [error.cause, error.context]
    if event.is_step_failure and event.step_failure_data.user_failure_data:
        yield event.step_failure_data.user_failure_data.description or ""


def _first_lines(texts: Sequence[str]) -> str:
    lines = [line for text in texts for line in text.strip().splitlines()] or ["The run failed without a word."]
    text = "\n".join([*lines[:_LINES], *(["..."] if len(lines) > _LINES else [])])
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST].rsplit(maxsplit=1)[0]} ..."


def _texts(value: object) -> list[str]:
    """A list of texts in metadata; none where it is something else."""
    listed = getattr(value, "value", None)
    return [str(item) for item in listed] if isinstance(listed, list) else []


def _assets(run: dg.DagsterRun) -> str | None:
    names = sorted(key.to_user_string() for key in run.asset_selection or ())
    return some_of(names, _ASSETS) or None
