"""What befalls an exchange over days: archives that come late, archives rewritten, services that do not answer.

A plan is a value, the same for the same seed; `Happenings` carries it out as the exchange's clock goes on. How each
thing is done to an exchange is `server`'s affair.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from klines_pipeline.domain.utc_day import day_end
from klines_pipeline.simulator.hashing import stream_key, uniform
from klines_pipeline.simulator.keyspace import ArchiveKey
from klines_pipeline.simulator.revisions import Revision
from klines_pipeline.simulator.server import EmbeddedExchange

_SHORTEST_DELAY = 9.0
_DELAYS = 60.0
"""Hours: the longest delay is two days and 21 hours after the day's end."""
_PREFIX = "data/spot/daily/klines/"
_SETTLED = timedelta(days=2, hours=15)
"""After a day's end, when an archive that was never late may be rewritten."""


@dataclass(frozen=True, slots=True)
class Late:
    """A symbol-day whose archives appear at `until` (UTC)."""

    symbol: str
    day: date
    until: datetime


@dataclass(frozen=True, slots=True)
class Rewrite:
    """A spot archive published anew at an instant (UTC)."""

    at: datetime
    symbol: str
    day: date
    interval: str = "1m"

    @property
    def key(self) -> str:
        """Its key in the bucket."""
        return ArchiveKey(_PREFIX, self.symbol, self.interval, self.day).key


@dataclass(frozen=True, slots=True)
class Trouble:
    """A fault in force in [start, end), UTC; its fields are those of `faults.Fault`."""

    start: datetime
    end: datetime
    words: str
    fault: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Plan:
    """All that is going to happen."""

    late: Sequence[Late] = ()
    rewrites: Sequence[Rewrite] = ()
    troubles: Sequence[Trouble] = ()

    def moments(self) -> list[datetime]:
        """When something happens by the plan, ascending."""
        edges = [edge for trouble in self.troubles for edge in (trouble.start, trouble.end)]
        return sorted({*edges, *(rewrite.at for rewrite in self.rewrites), *(late.until for late in self.late)})


def late_archives(seed: int, symbols: Iterable[str], days: Sequence[date], share: float) -> list[Late]:
    """A share of all symbol-days, each nine hours to nearly three days late, most of them less than one."""
    names = sorted(symbols)
    struck = ((name, day) for day in days for name in names if uniform(seed, "late", name, day) < share)
    return [Late(name, day, day_end(day) + _delay(seed, name, day)) for name, day in struck]


def _delay(seed: int, symbol: str, day: date) -> timedelta:
    draw = uniform(seed, "delay", symbol, day)
    return timedelta(minutes=round(60 * (_SHORTEST_DELAY + _DELAYS * draw**3)))


def rewrites(seed: int, symbols: Iterable[str], days: Iterable[date], late: Iterable[Late]) -> list[Rewrite]:
    """One archive of each day, one that was not late, more than two days after the day's end."""
    names, spared = sorted(symbols), {(held.symbol, held.day) for held in late}
    chosen = list[Rewrite]()
    for day in days:
        free = [name for name in names if (name, day) not in spared]
        if free:
            name = free[stream_key(seed, "rewrite", day) % len(free)]
            chosen.append(Rewrite(day_end(day) + _SETTLED, name, day))
    return chosen


@dataclass(slots=True)
class Happenings:
    """A plan being carried out on an exchange. Call `advance` as often as the story should be true."""

    exchange: EmbeddedExchange
    plan: Plan
    told: datetime = field(init=False)
    rewritten: dict[str, Revision] = field(default_factory=dict)
    """What became of each key rewritten so far."""
    in_force: list[Trouble] = field(default_factory=list)

    def begin(self) -> None:
        """Hold back what is to come late."""
        self.told = self.exchange.now()
        for late in self.plan.late:
            self.exchange.hold_publication(late.symbol, late.day, until=late.until)

    def advance(self) -> list[str]:
        """Let happen what is due since the last call; each thing in words."""
        since, now = self.told, self.exchange.now()
        self.told = now
        words = [
            f"{late.symbol}'s archives of {late.day} appear at last"
            for late in self.plan.late
            if since < late.until <= now
        ]
        for rewrite in self.plan.rewrites:
            if since < rewrite.at <= now:
                self.rewritten[rewrite.key] = self.exchange.revise(rewrite.key)
                words.append(f"{rewrite.symbol}'s {rewrite.interval} archive of {rewrite.day} is rewritten")
        return words + self._trouble(now)

    def _trouble(self, now: datetime) -> list[str]:
        due = [trouble for trouble in self.plan.troubles if trouble.start <= now < trouble.end]
        words = [f"begins: {trouble.words}" for trouble in due if trouble not in self.in_force]
        words += [f"ends: {trouble.words}" for trouble in self.in_force if trouble not in due]
        if due != self.in_force:
            self.exchange.clear_faults()
            for trouble in due:
                self.exchange.add_fault(**trouble.fault)
            self.in_force = due
        return words
