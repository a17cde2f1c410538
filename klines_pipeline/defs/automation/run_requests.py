"""Days wanted as run requests: one a contiguous stretch, never for a day on its way, again only after a while.

Dagster remembers a run key for ever, failed or not, so a key carries the news and the attempt. What was tried is read
from the runs themselves: there is no second memory to lose.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import dagster as dg

from klines_pipeline.defs.partitions import newest_day
from klines_pipeline.domain.utc_day import days_between, parse_day
from klines_pipeline.domain.wanted import PRIORITY, Kind, Wanted, stretches

LOG = logging.getLogger(__name__)

DATASET, KIND, REASON = "klines/dataset", "klines/kind", "klines/reason"
NEWS, REQUESTED_AT = "klines/news", "klines/requested_at"
FIRST, LAST = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
_PRIORITY, _LONGEST = "dagster/priority", "dagster/max_runtime"
_FRESHNESS_SECONDS = 3600
"""A top-up takes a minute; one that hangs must not keep its REST host from the next ones for long."""

_UNFINISHED = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
_FIRST_WAIT = timedelta(minutes=5)
_LONGEST_WAIT = timedelta(hours=6)
_ONE_DAY = timedelta(days=1)
_ATTEMPTS = 8
"""5, 10, 20 ... minutes apart: half a day. After that once a day, for ever: what is wanted is never given up."""
_MOST_RUNS = 10
"""In one tick: Dagster takes 0.13 s to queue each. Years of history are queued within some ticks."""


@dataclass(frozen=True, slots=True)
class Requested:
    """What is asked of Dagster now, and in words what is wanted but held back."""

    runs: list[dg.RunRequest]
    held_back: list[str]
    postponed: list[date] = field(default_factory=list)
    """Days that are wanted, but on their way for something else, not due again yet, or too many for this tick: those
    who forget what they found must look again. Of a day tried often this is not said: nobody stands still for it.
    """

    def tick(self, otherwise: str = "Nothing to do.") -> list[dg.RunRequest] | dg.SkipReason:
        """As a schedule's answer, likewise."""
        return self.runs or dg.SkipReason(" ".join([otherwise, *self.held_back]))

    def result(self, cursor: str | None = None, otherwise: str = "Nothing to do.") -> dg.SensorResult:
        """As a sensor's answer; without runs its skip reason is `otherwise` and what is held back."""
        if self.runs:
            return dg.SensorResult(run_requests=self.runs, cursor=cursor)
        return dg.SensorResult(skip_reason=" ".join([otherwise, *self.held_back]), cursor=cursor)


@dataclass(frozen=True, slots=True)
class RunRequester:
    """Asks for runs of one dataset. `now` is the exchange's time; `longest` the days of one run."""

    instance: dg.DagsterInstance
    dataset: str
    assets: Sequence[dg.AssetKey]
    now: datetime
    longest: int
    without_archives: Sequence[dg.AssetKey] = ()
    """The assets for days that are wanted without a look at the bucket."""
    most_runs: int = _MOST_RUNS
    """In one tick."""
    fresh_checks: Sequence[dg.AssetCheckKey] | None = None
    """The checks of freshness runs, which come every few minutes and must not overwrite what others found of whole
    days; None, as for the other kinds: all."""

    def ask(self, wanted: Iterable[Wanted]) -> Requested:
        """Run requests for days that are not on their way, each day once; of those for which Dagster has no partition,
        since this machine's clock is behind the exchange's, none.
        """
        requested, under_way, newest = Requested([], []), self.on_their_way(), newest_day()
        taken, wishes = set(under_way), [*wanted]
        ahead = sorted({day for wish in wishes for day in wish.days if day > newest})
        if ahead:
            self._leave_out(ahead, requested)
        for wish in wishes:
            wished = [day for day in wish.days if day <= newest]
            requested.postponed.extend(day for day in wished if day in under_way)
            free = [day for day in wished if day not in taken]
            if len(free) < len(wished):
                requested.held_back.append(f"{len(wished) - len(free)} day(s) {wish.kind} are on their way.")
            for stretch in stretches(free, self.longest):
                if len(requested.runs) >= self.most_runs:
                    requested.held_back.append(f"{stretch[0]} to {stretch[-1]}: in the next tick.")
                    requested.postponed.extend(stretch)
                elif self._ask_stretch(wish, stretch, requested):
                    taken |= set(stretch)
        return requested

    def _leave_out(self, ahead: Sequence[date], requested: Requested) -> None:
        """Days that have begun where the exchange is and not here."""
        days = str(ahead[0]) if len(ahead) == 1 else f"{ahead[0]} to {ahead[-1]}"
        text = (
            f"{days}: on the exchange it is {self.now:%Y-%m-%d %H:%M} UTC; by this machine's clock that day has not begun. Set "
            "the machine's clock."
        )
        LOG.warning("%s: %s", self.dataset, text)
        requested.held_back.append(text)
        requested.postponed.extend(ahead)

    def on_their_way(self) -> set[date]:
        """Days of this dataset in runs that have not ended."""
        return {day for run in self._unfinished() for day in days_of_run(run)}

    def is_under_way(self, kind: Kind) -> bool:
        """Whether a run of that kind has not ended."""
        return any(kind_of_run(run) is kind for run in self._unfinished())

    def _unfinished(self) -> list[dg.DagsterRun]:
        """Found by status alone: among 100,000 runs a tag that all of them carry takes most of a second."""
        unfinished = self.instance.get_runs(dg.RunsFilter(statuses=_UNFINISHED))
        return [run for run in unfinished if run.tags.get(DATASET) == self.dataset]

    def _ask_stretch(self, wish: Wanted, stretch: Sequence[date], requested: Requested) -> bool:
        """Whether it is asked for."""
        news = wish.digest(stretch)
        # The rarer tag first: Dagster intersects in this order, 0.4 s or nothing among 60,000 runs.
        before = self.instance.get_runs(dg.RunsFilter(tags={NEWS: news, DATASET: self.dataset}))
        if wish.once and any(run.status is dg.DagsterRunStatus.SUCCESS for run in before):
            return False
        attempt, held = self._next_attempt(before)
        name = f"{stretch[0]}" if len(stretch) == 1 else f"{stretch[0]} to {stretch[-1]}"
        if held:
            requested.held_back.append(f"{name}: {held}")
            requested.postponed.extend(stretch if len(before) < _ATTEMPTS else ())
            return False
        again = f" (attempt {attempt})" if attempt > 1 else ""
        tags = {
            FIRST: str(stretch[0]),
            LAST: str(stretch[-1]),
            DATASET: self.dataset,
            KIND: wish.kind.value,
            REASON: wish.reason + again,
            NEWS: news,
            REQUESTED_AT: self.now.isoformat(),
            _PRIORITY: str(PRIORITY[wish.kind]),
            **({_LONGEST: str(_FRESHNESS_SECONDS)} if wish.kind is Kind.FRESHNESS else {}),
        }
        key = f"{self.dataset}:{wish.kind}:{stretch[0]}:{stretch[-1]}:{news}:{attempt}"
        assets = self.assets if wish.with_archives else self.without_archives
        checks = self.fresh_checks if wish.kind is Kind.FRESHNESS else None
        asked = dg.RunRequest(run_key=key, asset_selection=[*assets], asset_check_keys=checks, tags=tags)
        requested.runs.append(asked)
        return True

    def _next_attempt(self, before: Sequence[dg.DagsterRun]) -> tuple[int, str | None]:
        """The number of the next attempt at the same news, or why it has to wait."""
        if not before:
            return 1, None
        last = max(datetime.fromisoformat(run.tags[REQUESTED_AT]) for run in before)
        stubborn = len(before) >= _ATTEMPTS
        due = last + (_ONE_DAY if stubborn else min(_FIRST_WAIT * 2 ** (len(before) - 1), _LONGEST_WAIT))
        if self.now < due:
            return 0, f"attempt {len(before)} did not settle it; the next is due at {due:%Y-%m-%d %H:%M} UTC."
        return len(before) + 1, None


def days_of_run(run: dg.DagsterRun) -> list[date]:
    """The range a run was requested for; nothing for a run without one."""
    if FIRST not in run.tags or LAST not in run.tags:
        return []
    return list(days_between(parse_day(run.tags[FIRST]), parse_day(run.tags[LAST])))


def kind_of_run(run: dg.DagsterRun) -> Kind | None:
    """Why a run was requested; None for one that a person began."""
    return Kind(run.tags[KIND]) if run.tags.get(KIND) in set(Kind) else None
