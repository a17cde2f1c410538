"""When open days were last looked at, and where a look that ran out of time goes on: a sensor's cursor, under 1 kB.

Politeness alone. What was taken in stands in the ledgers: without a cursor, or with a spoiled one, the same is found
with more requests.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import NamedTuple, Self

from klines_pipeline.domain.utc_day import EPOCH

_VERSION = 1
_MINUTE = timedelta(minutes=1)


class Look(NamedTuple):
    """The last look at a day: when (UTC, to the minute), and how many of how many symbols were published."""

    at: datetime
    published: int
    seen: int


@dataclass(frozen=True, slots=True)
class WatchCursor:
    """What is remembered between two ticks."""

    turn: int = 0
    """Whose turn it is to be looked at for all others."""
    days: Mapping[date, Look] = field(default_factory=dict)
    after: str = ""
    """The last symbol of a look that ran out of time."""

    @classmethod
    def parse(cls, cursor: str | None) -> Self:
        """Read a cursor; afresh from none, from another version's, or from a spoiled one."""
        try:
            said = json.loads(cursor or "")
            if said["v"] != _VERSION:
                return cls()
            days = {date.fromisoformat(day): _look(*entry) for day, entry in said["days"].items()}
            return cls(int(said["turn"]), days, str(said["after"]))
        except (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError):
            return cls()

    def __str__(self) -> str:
        """The cursor."""
        days = {
            str(day): [(look.at - EPOCH) // _MINUTE, look.published, look.seen]
            for day, look in sorted(self.days.items())
        }
        said = {"v": _VERSION, "turn": self.turn, "days": days, "after": self.after}
        return json.dumps(said, separators=(",", ":"), ensure_ascii=False)

    def with_days(self, looked: Mapping[date, Look], still_open: Sequence[date], after: str) -> Self:
        """The next tick's: days that are open no more are forgotten."""
        days = {day: look for day, look in {**self.days, **looked}.items() if day in still_open}
        return replace(self, turn=self.turn + 1, days=days, after=after)

    def in_turn(self, symbols: Collection[str]) -> list[str]:
        """Symbols in order, from where the last look ended."""
        ordered = sorted(symbols)
        return [name for name in ordered if name > self.after] + [name for name in ordered if name <= self.after]


def _look(minutes: int, published: int, seen: int) -> Look:
    return Look(EPOCH + int(minutes) * _MINUTE, int(published), int(seen))
