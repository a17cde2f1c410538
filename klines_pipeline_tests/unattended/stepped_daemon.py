"""Dagster's daemon on a clock that is set by hand: every sensor, schedule and automation condition when it is due.

The real definitions, a real instance, the real evaluation of each tick. What is imitated is little: cursors and run
keys are kept as the daemon keeps them; requests wait as runs not started until all ticks of a moment are evaluated,
then run in this process, the highest priority first.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import dagster as dg

from klines_pipeline.defs.automation.run_requests import FIRST, LAST

RUN_KEY, PRIORITY = "dagster/run_key", "dagster/priority"
ASKER, ASKED_AT = "unattended/asker", "unattended/asked_at"
_MINUTE = timedelta(minutes=1)
_CONDITIONS = "automation conditions"


def is_due(cron: str, moment: datetime) -> bool:
    """Whether a cron string of `*`, `*/n`, numbers, ranges and lists means this minute (UTC)."""
    values = (moment.minute, moment.hour, moment.day, moment.month, moment.isoweekday() % 7)
    return all(_meant(words, value) for words, value in zip(cron.split(), values, strict=True))


def _meant(words: str, value: int) -> bool:
    for word in words.split(","):
        span, _, step = word.partition("/")
        first, _, last = span.partition("-")
        low, high = (0, 59) if span == "*" else (int(first), int(last or (59 if step else first)))
        if low <= value <= high and not (value - low) % int(step or 1):
            return True
    return False


class Ask(NamedTuple):
    """A run request, who made it, and the run that stands for it until it is begun."""

    request: dg.RunRequest
    asker: str
    job: str | None
    placeholder: str


class Tick(NamedTuple):
    """One evaluation and what came of it; `seconds` are real ones."""

    at: datetime
    name: str
    requests: int
    skipped: str | None
    seconds: float


@dataclass(slots=True)
class SteppedDaemon:
    """Sensors look at most every `pause`, schedules keep their cron. `ticks` and `repeated_keys` tell what happened."""

    definitions: dg.Definitions
    instance: dg.DagsterInstance
    pause: timedelta
    begun: datetime
    execute: Callable[["SteppedDaemon", Ask], None] | None = None
    """Runs a request instead of this process."""
    cursors: dict[str, str | None] = field(default_factory=dict)
    keys: Counter[tuple[str, str]] = field(default_factory=Counter)
    ticks: list[Tick] = field(default_factory=list)
    seconds: Counter[str] = field(default_factory=Counter)
    _queue: list[Ask] = field(default_factory=list)
    _looked: dict[str, datetime] = field(default_factory=dict)
    _conditions: Any = None

    @property
    def repeated_keys(self) -> list[str]:
        """Run keys asked for more than once by the same sensor or schedule."""
        return [key for (_, key), times in self.keys.items() if times > 1]

    def advance(self, now: datetime) -> None:
        """Everything that became due since the last call, then the runs asked for."""
        repository = self.definitions.get_repository_def()
        for schedule in sorted(repository.schedule_defs, key=lambda found: found.name):
            for moment in self._due(schedule, now):
                self._schedule_tick(schedule, moment)
        self.begun = now
        for sensor in sorted(repository.sensor_defs, key=lambda found: found.name):
            if isinstance(sensor, dg.AutomationConditionSensorDefinition) or not self._is_time(sensor, now):
                continue
            self._sensor_tick(sensor, now)
        self._conditions_tick(now)
        self._work_off()

    def _due(self, schedule: dg.ScheduleDefinition, now: datetime) -> Iterator[datetime]:
        if schedule.default_status is not dg.DefaultScheduleStatus.RUNNING:
            return
        crons = [schedule.cron_schedule] if isinstance(schedule.cron_schedule, str) else [*schedule.cron_schedule]
        moment = self.begun
        while (moment := moment + _MINUTE) <= now:
            if any(is_due(cron, moment) for cron in crons):
                yield moment

    def _is_time(self, sensor: dg.SensorDefinition, now: datetime) -> bool:
        if sensor.default_status is not dg.DefaultSensorStatus.RUNNING:
            return False
        pause = max(self.pause, timedelta(seconds=sensor.minimum_interval_seconds or 30))
        is_time = now - self._looked.get(sensor.name, datetime.min.replace(tzinfo=now.tzinfo)) >= pause
        if is_time:
            self._looked[sensor.name] = now
        return is_time

    def _schedule_tick(self, schedule: dg.ScheduleDefinition, moment: datetime) -> None:
        began = time.monotonic()
        context = dg.build_schedule_context(
            instance=self.instance,
            scheduled_execution_time=moment,
            resources=self.definitions.resources,
            repository_def=self.definitions.get_repository_def(),
        )
        data = schedule.evaluate_tick(context)
        self._note(moment, schedule.name, data.run_requests or [], data.skip_message, schedule.job_name, began)

    def _sensor_tick(self, sensor: dg.SensorDefinition, now: datetime) -> None:
        began = time.monotonic()
        context = dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursors.get(sensor.name),
            sensor_name=sensor.name,
            resources=self.definitions.resources,
            repository_def=self.definitions.get_repository_def(),
        )
        data = sensor.evaluate_tick(context)
        self.cursors[sensor.name] = data.cursor
        self._note(now, sensor.name, data.run_requests or [], data.skip_message, None, began)

    def _conditions_tick(self, now: datetime) -> None:
        """Assets whose conditions hold: those that want the same partitions together."""
        specs = self.definitions.resolve_all_asset_specs()
        keys = [spec.key for spec in specs if spec.automation_condition]
        if not keys:
            return
        began = time.monotonic()
        result = dg.evaluate_automation_conditions(
            self.definitions,
            self.instance,
            asset_selection=dg.AssetSelection.assets(*keys),
            evaluation_time=now,
            cursor=self._conditions,
        )
        self._conditions = result.cursor
        wanted = dict[frozenset[str | None], list[dg.AssetKey]]()
        for key in keys:
            if partitions := frozenset(result.get_requested_partitions(key)):
                wanted.setdefault(partitions, []).append(key)
        requests = [
            dg.RunRequest(asset_selection=together, tags=_range(partitions)) for partitions, together in wanted.items()
        ]
        self._note(now, _CONDITIONS, requests, None, None, began)

    def _note(
        self,
        moment: datetime,
        name: str,
        requests: list[dg.RunRequest],
        skipped: str | None,
        job: str | None,
        began: float,
    ) -> None:
        asked = 0
        for request in requests:
            if request.run_key:
                self.keys[name, request.run_key] += 1
                if self.keys[name, request.run_key] > 1:
                    continue
            asked += 1
            self._queue.append(self._queued(request, name, moment, job))
        seconds = time.monotonic() - began
        self.seconds["ticks"] += seconds
        self.ticks.append(Tick(moment, name, asked, skipped, seconds))

    def _queued(self, request: dg.RunRequest, name: str, moment: datetime, job: str | None) -> Ask:
        key = {RUN_KEY: request.run_key} if request.run_key else {}
        tags = {**request.tags, **key, ASKER: name, ASKED_AT: moment.isoformat()}
        run = dg.DagsterRun(job_name=job or "assets", tags=tags, status=dg.DagsterRunStatus.NOT_STARTED)
        self.instance.add_run(run)
        return Ask(request.with_replaced_attrs(tags=tags), name, request.job_name or job, run.run_id)

    def _work_off(self) -> None:
        for ask in sorted(self._queue, key=lambda found: -int(found.request.tags.get(PRIORITY, "0"))):
            self.instance.delete_run(ask.placeholder)
            began = time.monotonic()
            (self.execute or SteppedDaemon.run)(self, ask)
            self.seconds["runs"] += time.monotonic() - began
        self._queue.clear()

    def run(self, ask: Ask) -> None:
        """The requested run, in this process, to its end."""
        if ask.request.asset_selection is None:
            job = self.definitions.resolve_job_def(ask.job or "")
        else:
            job = subset_of(self.definitions, ask.request)
        job.execute_in_process(instance=self.instance, tags=dict(ask.request.tags), raise_on_error=False)


def subset_of(definitions: dg.Definitions, request: dg.RunRequest) -> dg.JobDefinition:
    """The job that a request for assets asks for: with the checks it names, or all of those assets'."""
    checks = request.asset_check_keys
    return definitions.resolve_implicit_global_asset_job_def().get_subset(
        asset_selection={*(request.asset_selection or ())},
        asset_check_selection=None if checks is None else {*checks},
    )


def _range(partitions: frozenset[str | None]) -> dict[str, str]:
    days = sorted(day for day in partitions if day)
    return {FIRST: days[0], LAST: days[-1]} if days else {}
