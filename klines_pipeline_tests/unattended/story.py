"""The unattended run itself: the clock goes on, things happen, the daemon does what is due, and nobody helps.

Three times somebody hurts it: all cursors are lost, later there is nonsense in their place, and one run is killed,
which the sensor of lost runs must find. What became of it is an `Outcome`; `verdicts` judges it.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import dagster as dg

from klines_pipeline.defs.automation.run_requests import KIND
from klines_pipeline.defs.build import build_definitions
from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.wanted import Kind
from klines_pipeline.settings import Settings
from klines_pipeline.simulator.happenings import Happenings, Plan
from klines_pipeline.simulator.revisions import Revision
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline_tests.unattended.killed_run import killed_in_the_middle
from klines_pipeline_tests.unattended.stepped_daemon import Ask, SteppedDaemon
from klines_pipeline_tests.unattended.world import BEGINS, Scale, klines_yaml, plan_of, symbols_of

STEP = timedelta(hours=1)
Tell = Callable[[str], None]


def open_instance(folder: str) -> dg.DagsterInstance:
    """Dagster's storage in a folder, SQLite as ever; its log says what went wrong and no more."""
    quiet = {"python_logs": {"python_log_level": "ERROR"}, "telemetry": {"enabled": False}}
    return dg.DagsterInstance.local_temp(folder, overrides=quiet)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is left when the last day is over."""

    scale: Scale
    symbols: list[str]
    plan: Plan
    settings: Settings
    definitions: dg.Definitions
    instance: dg.DagsterInstance
    daemon: SteppedDaemon
    requests_by_day: list[dict[str, int]]
    not_kept_when_killed: set[str]
    rewritten: dict[str, Revision]
    seconds: float

    @property
    def named(self) -> Dataset:
        """The dataset with every symbol that its filter ever means."""
        [dataset] = self.settings.datasets
        return replace(dataset, chosen=None, symbols=tuple(self.symbols))


@dataclass(slots=True)
class Story:
    """One telling of it in a folder of its own."""

    scale: Scale
    exchange: EmbeddedExchange
    folder: Path
    instance: dg.DagsterInstance
    tell: Tell
    plan: Plan = field(init=False)
    lost: set[str] = field(default_factory=set)
    killed: dg.DagsterRun | None = None

    def run(self) -> Outcome:
        """From the first moment to the last."""
        self.plan = plan_of(self.exchange, self.scale)
        settings = self._settings()
        definitions = build_definitions(settings)
        daemon = SteppedDaemon(definitions, self.instance, STEP, BEGINS, execute=self._execute)
        happenings = Happenings(self.exchange, self.plan)
        happenings.begin()
        began, by_day = time.monotonic(), list[dict[str, int]]()
        for moment in self._moments():
            self.exchange.set_clock(moment)
            for words in happenings.advance():
                self.tell(f"{moment:%m-%d %H:%M} {words}")
            self._hurt(daemon, moment)
            daemon.advance(moment)
            if moment.hour == 0 and moment.minute == 0:
                by_day.append(self._asked())
                self._tell_day(daemon, moment, time.monotonic() - began)
        by_day.append(self._asked())
        seconds = time.monotonic() - began
        return Outcome(
            scale=self.scale,
            symbols=symbols_of(self.exchange, self.scale),
            plan=self.plan,
            settings=settings,
            definitions=definitions,
            instance=self.instance,
            daemon=daemon,
            requests_by_day=_daily(by_day),
            not_kept_when_killed=self.lost,
            rewritten=happenings.rewritten,
            seconds=seconds,
        )

    def _settings(self) -> Settings:
        path = self.folder / "klines.yaml"
        path.write_text(klines_yaml(symbols_of(self.exchange, self.scale), self.scale), "utf-8")
        return Settings.from_env({"KLINES_CONFIG": str(path), **self.exchange.environment()})

    def _moments(self) -> list[datetime]:
        """Every hour, and each moment at which a service fails or is back."""
        hours = (self.scale.ends - BEGINS) // STEP
        edges = {edge for trouble in self.plan.troubles for edge in (trouble.start, trouble.end)}
        return sorted({BEGINS + STEP * number for number in range(hours + 1)} | edges)

    def _hurt(self, daemon: SteppedDaemon, moment: datetime) -> None:
        """Cursors lost at a third of the days, malformed at two thirds."""
        if moment == self.scale.at(self.scale.days // 3, 6):
            daemon.cursors.clear()
            self.tell(f"{moment:%m-%d %H:%M} all cursors are lost")
        if moment == self.scale.at(2 * self.scale.days // 3, 6):
            daemon.cursors = dict.fromkeys(daemon.cursors, '{"version": "nonsense')
            self.tell(f"{moment:%m-%d %H:%M} all cursors are malformed")

    def _execute(self, daemon: SteppedDaemon, ask: Ask) -> None:
        """Runs requests; the first one for archives that appeared after a quarter of the days is killed."""
        is_victim = ask.request.tags.get(KIND) == Kind.PUBLISHED and self.killed is None
        if not is_victim or self.exchange.now() < self.scale.at(self.scale.days // 4):
            daemon.run(ask)
            return
        if killing := killed_in_the_middle(self.exchange, self.folder, self.instance, ask):
            self.killed, self.lost = killing
            self.tell(f"{self.exchange.now():%m-%d %H:%M} a run is killed: {ask.request.run_key}")

    def _asked(self) -> dict[str, int]:
        counts = self.exchange.requests()
        rest = {f"rest {name}": number for name, number in counts["rest"].items()}
        return {name: counts[name] for name in ("listing", "archives", "checksums")} | rest

    def _tell_day(self, daemon: SteppedDaemon, moment: datetime, seconds: float) -> None:
        spent = {name: round(value) for name, value in daemon.seconds.items()}
        self.tell(f"{moment:%m-%d} {seconds:.0f} s, {spent}, {self.instance.get_runs_count()} runs, {self._asked()}")


def _daily(totals: list[dict[str, int]]) -> list[dict[str, int]]:
    before: dict[str, int] = {}
    days = []
    for total in totals:
        days.append({name: number - before.get(name, 0) for name, number in total.items()})
        before = total
    return days
