"""Where the comparison of held archives with the bucket stands: a daily pass over the last weeks, a weekly one over all
history, both in slices. A sensor's cursor, under 200 bytes; a lost or spoiled one begins anew.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import NamedTuple, Self

_VERSION = 1
_WINDOW_DAYS = 450
"""One listing page holds 490 days of a symbol."""
PAUSE = timedelta(days=7)
"""From the end of one comparison of all history to the beginning of the next."""


class Slice(NamedTuple):
    """Days to compare now, of symbols after `after`; `window`: the first day of the stretch, where it is of history."""

    days: Sequence[date]
    after: str
    window: date | None = None
    stalled: bool = False
    """Whether the tick before got no further than this."""


@dataclass(frozen=True, slots=True)
class ComparisonCursor:
    """Days are the exchange's. `passed`: when the last weeks were last gone through; `swept`: all history likewise."""

    passed: date | None = None
    after: str = ""
    """The last symbol the pass under way has seen."""
    swept: date | None = None
    window: date | None = None
    """The stretch of history at which the sweep under way stands."""
    beyond: str = ""
    """The last symbol it has seen there."""
    stalled: bool = False
    """Whether the last tick got no further."""

    @classmethod
    def parse(cls, cursor: str | None) -> Self:
        """Read a cursor; afresh from none, from another version's, or from a spoiled one."""
        try:
            said = json.loads(cursor or "")
            if said["v"] != _VERSION:
                return cls()
            days = {name: _day(said[name]) for name in ("passed", "swept", "window")}
            return cls(
                **days, after=_text(said["after"]), beyond=_text(said["beyond"]), stalled=said["stalled"] is True
            )
        except (ValueError, TypeError, LookupError, RecursionError):
            return cls()

    def __str__(self) -> str:
        """The cursor."""
        days = {"passed": self.passed, "swept": self.swept, "window": self.window}
        said = {"v": _VERSION, **{name: str(day) if day else None for name, day in days.items()}}
        return json.dumps(
            {**said, "after": self.after, "beyond": self.beyond, "stalled": self.stalled},
            separators=(",", ":"),
            ensure_ascii=False,
        )

    def due(self, stored: Sequence[date], today: date, revisit_days: int) -> Slice | None:
        """What to compare now, of the stored days before today; None while both rest."""
        recent = today - timedelta(days=revisit_days)
        if self.passed != today:
            return Slice([day for day in stored if recent <= day < today], self.after, stalled=self.stalled)
        if self.window is None and self.swept is not None and timedelta(0) <= today - self.swept < PAUSE:
            return None
        old = [day for day in stored if day < recent and _window(day) >= (self.window or date.min)]
        window = _window(old[0]) if old else None
        beyond = self.beyond if window == self.window else ""
        return Slice([day for day in old if _window(day) == window], beyond, window or today, self.stalled)

    def gone(self, past: Slice, reached: str | None, today: date) -> Self:
        """After a slice that saw its symbols up to `reached`; None is all of them."""
        stalled = reached == past.after
        if past.window is None:
            passed = {"after": "", "passed": today} if reached is None else {"after": reached}
            return replace(self, **passed, stalled=stalled)
        if reached is not None:
            return replace(self, window=past.window, beyond=reached, stalled=stalled)
        if not past.days:
            return replace(self, window=None, beyond="", swept=today, stalled=False)
        return replace(self, window=past.window + timedelta(days=_WINDOW_DAYS), beyond="", stalled=False)


def _window(day: date) -> date:
    """First day of the stretch of the calendar in which a day lies, whatever the lake begins with."""
    return date.fromordinal(max(day.toordinal() // _WINDOW_DAYS * _WINDOW_DAYS, 1))


def _day(text: object) -> date | None:
    return None if text is None else date.fromisoformat(_text(text))


def _text(said: object) -> str:
    if not isinstance(said, str):
        raise TypeError(said)
    return said
