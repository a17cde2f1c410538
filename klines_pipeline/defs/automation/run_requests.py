"""Days wanted as run requests: one a contiguous stretch, never for a day on its way, again only after a while.

Dagster remembers a run key for ever, failed or not, so a key carries the news and the attempt. What was tried is read
from the runs themselves; `tick_notes` saves asking them again and again.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import dagster as dg

from klines_pipeline.defs.automation.tick_notes import TickNotes, Waits, turn
from klines_pipeline.defs.partitions import newest_day
from klines_pipeline.defs.unpublished import open_pools
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
_DAILY = timedelta(hours=23, minutes=30)
"""A tick that comes once a day may come a little earlier than the day before."""
_ATTEMPTS = 8
"""5, 10, 20 ... minutes apart: half a day. After that once a day, for ever: what is wanted is never given up."""
_MOST_RUNS = 10
"""In one tick: Dagster takes 0.13 s to queue each. Years of history are queued within some ticks."""
_LOOKS_A_RUN = 5
"""How often the runs are asked what was tried, at most, for each run that a tick may request: 10 ms or so each. Years
of history that are held back are looked through within some ticks."""
_NAMED = 10


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
        return self.runs or dg.SkipReason(self._words(otherwise))

    def result(self, cursor: str | None = None, otherwise: str = "Nothing to do.") -> dg.SensorResult:
        """As a sensor's answer; without runs its skip reason is `otherwise` and what is held back."""
        if self.runs:
            return dg.SensorResult(run_requests=self.runs, cursor=cursor)
        return dg.SensorResult(skip_reason=self._words(otherwise), cursor=cursor)

    def _words(self, otherwise: str) -> str:
        more = len(self.held_back) - _NAMED
        return " ".join([otherwise, *self.held_back[:_NAMED], *([f"And {more} more."] if more > 0 else [])])


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
    pool: str | None = None
    """Of the REST host its runs ask."""
    most_runs: int = _MOST_RUNS
    """In one tick."""
    fresh_checks: Sequence[dg.AssetCheckKey] | None = None
    """The checks of freshness runs, which come every few minutes and must not overwrite what others found of whole
    days; None, as for the other kinds: all."""

    def ask(self, wanted: Iterable[Wanted]) -> Requested:
        """Run requests for days that are not on their way, each day once, whoever else asks at the same time."""
        with turn(self.dataset):
            notes = TickNotes.read(self.instance, self.dataset)  # before the runs: one may be queued in between
            asking = _Asking(self, notes, taken=notes.days() | self.on_their_way())
            asking.go_through(wanted)
            if asking.is_news:
                notes.write(self.instance, self.dataset, self.now)
        if asking.requested.runs and self.pool:
            open_pools(self.instance, [self.pool])
        return asking.requested

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

    def tried(self, news: str) -> Sequence[dg.DagsterRun]:
        """Runs of the same news.

        The rarer tag first: Dagster intersects in this order, 0.4 s or nothing among 60,000 runs.
        """
        return self.instance.get_runs(dg.RunsFilter(tags={NEWS: news, DATASET: self.dataset}))

    def request(self, wish: Wanted, stretch: Sequence[date], news: str, attempt: int) -> dg.RunRequest:
        """One run, with the reason and all that tells it from others."""
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
        return dg.RunRequest(run_key=key, asset_selection=[*assets], asset_check_keys=checks, tags=tags)


@dataclass(slots=True)
class _Asking:
    """One tick's way through what is wanted; `taken` are days that are on their way."""

    asker: RunRequester
    notes: TickNotes
    taken: set[date]
    requested: Requested = field(default_factory=lambda: Requested([], []))
    is_news: bool = False
    """Whether the notes have changed."""
    looks: int = 0

    def go_through(self, wanted: Iterable[Wanted]) -> None:
        """All wishes in order; a day that two of them name goes to the first."""
        requested, under_way, newest = self.requested, frozenset(self.taken), newest_day()
        wishes = [*wanted]
        if ahead := sorted({day for wish in wishes for day in wish.days if day > newest}):
            self._leave_out(ahead)
        for wish in wishes:
            wished = [day for day in wish.days if day <= newest]
            requested.postponed.extend(day for day in wished if day in under_way)
            free = [day for day in wished if day not in self.taken]
            if len(free) < len(wished):
                requested.held_back.append(f"{len(wished) - len(free)} day(s) {wish.kind} are on their way.")
            for stretch in stretches(free, self.asker.longest):
                self._look_at(wish, stretch)

    def _leave_out(self, days: Sequence[date]) -> None:
        """Days for which Dagster has no partition yet, since this machine's clock is behind the exchange's."""
        there = f"on the exchange it is {self.asker.now:%Y-%m-%d %H:%M} UTC"
        why = f"{there}; by this machine's clock that day has not begun. Set the machine's clock."
        LOG.warning("%s: %s: %s", self.asker.dataset, ", ".join(map(str, days)), why)
        self._hold_back(days, why, is_soon=True)

    def _look_at(self, wish: Wanted, stretch: Sequence[date]) -> None:
        """Ask for it, or say why not now."""
        news, most = wish.digest(stretch), self.asker.most_runs
        wait = self.notes.waits.get(news)
        if wait is None or wait.until <= self.asker.now:
            if len(self.requested.runs) >= most or self.looks >= most * _LOOKS_A_RUN:
                self._hold_back(stretch, "in the next tick.", is_soon=True)
                return
            self.looks += 1
            before = self.asker.tried(news)
            if wish.once and any(run.status is dg.DagsterRunStatus.SUCCESS for run in before):
                return
            wait = _waits(before)
        if wait is None or wait.until <= self.asker.now:
            self._ask_for(wish, stretch, news, attempt=wait.attempts + 1 if wait else 1)
            return
        self.is_news = self.is_news or self.notes.waits.get(news) != wait
        self.notes.waits[news] = wait
        due = f"the next is due at {wait.until:%Y-%m-%d %H:%M} UTC."
        soon = wait.attempts < _ATTEMPTS
        self._hold_back(stretch, f"attempt {wait.attempts} did not settle it; {due}", is_soon=soon)

    def _ask_for(self, wish: Wanted, stretch: Sequence[date], news: str, attempt: int) -> None:
        request = self.asker.request(wish, stretch, news, attempt)
        self.requested.runs.append(request)
        self.taken |= {*stretch}
        self.notes.ask(str(request.run_key), stretch[0], stretch[-1])
        self.is_news = True

    def _hold_back(self, stretch: Sequence[date], why: str, *, is_soon: bool) -> None:
        name = f"{stretch[0]}" if len(stretch) == 1 else f"{stretch[0]} to {stretch[-1]}"
        self.requested.held_back.append(f"{name}: {why}")
        self.requested.postponed.extend(stretch if is_soon else ())


def _waits(before: Sequence[dg.DagsterRun]) -> Waits | None:
    """Until when news wait that were tried before."""
    if not before:
        return None
    last = max(datetime.fromisoformat(run.tags[REQUESTED_AT]) for run in before)
    stubborn = len(before) >= _ATTEMPTS
    pause = _DAILY if stubborn else min(_FIRST_WAIT * 2 ** (len(before) - 1), _LONGEST_WAIT)
    return Waits(len(before), last + pause)


def days_of_run(run: dg.DagsterRun) -> list[date]:
    """The range a run was requested for; nothing for a run without one."""
    if FIRST not in run.tags or LAST not in run.tags:
        return []
    return list(days_between(parse_day(run.tags[FIRST]), parse_day(run.tags[LAST])))


def kind_of_run(run: dg.DagsterRun) -> Kind | None:
    """Why a run was requested; None for one that a person began."""
    return Kind(run.tags[KIND]) if run.tags.get(KIND) in set(Kind) else None
