"""What ticks of a dataset leave for each other in Dagster's own storage: runs asked for that are not queued yet, and
when news that were tried are due again.

Its ticks run side by side, and the daemon queues what one asked for after it has ended. Lost, the notes cost queries
and nothing else, for what was tried the runs themselves tell.
"""

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from threading import Lock
from typing import NamedTuple

import dagster as dg

from klines_pipeline.defs.unpublished import remember, remembered
from klines_pipeline.domain.utc_day import days_between

_TURNS = dict[str, Lock]()
RUN_KEY = "dagster/run_key"
"""Of a run that was queued, the key of the request."""
_LONGEST = timedelta(minutes=3)
"""Until a request counts as dropped that no run stands for. A hundred take 13 s to queue on an idle machine."""


class Asked(NamedTuple):
    """A request's days, and when it was made by this machine's clock: it is about the daemon, not about data."""

    first: date
    last: date
    at: datetime

    @classmethod
    def read(cls, first: str, last: str, at: str) -> "Asked":
        """ValueError for what is no day or no time with an offset."""
        return cls(date.fromisoformat(first), date.fromisoformat(last), _time(at))

    @property
    def days(self) -> Iterable[date]:
        """All of them."""
        return days_between(self.first, self.last)

    def is_dropped(self, now: datetime) -> bool:
        """Whether the daemon cannot be expected to queue it any more."""
        return abs(now - self.at) > _LONGEST


class Waits(NamedTuple):
    """After how many attempts news wait, and until when by the exchange's clock."""

    attempts: int
    until: datetime

    @classmethod
    def read(cls, attempts: int, until: str) -> "Waits":
        """ValueError for what is no number or no time with an offset."""
        return cls(int(attempts), _time(until))


@dataclass(slots=True)
class TickNotes:
    """Requests by run key, waiting news by digest."""

    asked: dict[str, Asked] = field(default_factory=dict)
    waits: dict[str, Waits] = field(default_factory=dict)

    @classmethod
    def read(cls, instance: dg.DagsterInstance, dataset: str) -> "TickNotes":
        """Those left, without requests that a run stands for; nothing of notes in another form."""
        notes = cls._parsed(remembered(instance, _place(dataset)) or "{}")
        notes._forget(_queued(instance, notes.asked))
        return notes

    @classmethod
    def _parsed(cls, kept: str) -> "TickNotes":
        try:
            found = json.loads(kept)
            return cls(
                {key: Asked.read(*words) for key, words in found.get("asked", {}).items()},
                {news: Waits.read(*words) for news, words in found.get("waits", {}).items()},
            )
        except (ValueError, TypeError, AttributeError, OverflowError):
            return cls()

    def days(self) -> set[date]:
        """Those asked for."""
        return {day for asked in self.asked.values() for day in asked.days}

    def ask(self, key: str, first: date, last: date) -> None:
        """Note a request made now."""
        self.asked[key] = Asked(first, last, datetime.now(UTC))

    def write(self, instance: dg.DagsterInstance, dataset: str, now: datetime) -> None:
        """Leave them; `now` is the exchange's time, and what is due by then is left out."""
        waiting = {news: wait for news, wait in self.waits.items() if wait.until > now}
        notes = json.dumps({"asked": self.asked, "waits": waiting}, default=str)
        remember(instance, _place(dataset), notes)

    def _forget(self, queued: Collection[str]) -> None:
        now = datetime.now(UTC)
        self.asked = {
            key: asked for key, asked in self.asked.items() if key not in queued and not asked.is_dropped(now)
        }


def turn(dataset: str) -> Lock:
    """Held from reading a dataset's notes to writing them: all ticks are evaluated by one code server."""
    return _TURNS.setdefault(dataset, Lock())


def _time(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(text)
    return found


def _queued(instance: dg.DagsterInstance, keys: Collection[str]) -> set[str]:
    """Those of the run keys that a run has, whatever became of it."""
    found = instance.get_runs(dg.RunsFilter(tags={RUN_KEY: [*keys]})) if keys else ()
    return {run.tags[RUN_KEY] for run in found}


def _place(dataset: str) -> str:
    return f"klines/ticks/{dataset}"
