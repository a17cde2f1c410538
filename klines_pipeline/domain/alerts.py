"""What failed, in words, and when two failures are the same. What of it is told, and how often, stands in `telling`.

Nothing of Dagster, of HTTP or of a clock stands here. Times are those of the machine that tells; data never sees them.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import blake2b
from typing import Any

_SHOWN_DAYS = 3
_WORD = re.compile(r"[A-Za-z]*[a-z][A-Za-z]*")
"""A word of prose. Symbols are capitals; numbers, times and ids stand between them."""
_CHANGING = re.compile(r"\S*\d\S*")


class AlertKind(StrEnum):
    """What failed."""

    RUN = "run_failed"
    CHECK = "check_failed"
    TICK = "tick_failed"
    DATASET = "nothing_succeeds"


@dataclass(frozen=True, slots=True)
class Alert:
    """One thing that failed. `dataset` or `asset` may be unknown; of a tick, `asset` is its sensor or schedule. `days`
    are those that are bad, as far as known.
    """

    kind: AlertKind
    severity: str
    message: str
    run_id: str | None
    at: datetime
    dataset: str | None = None
    asset: str | None = None
    check: str | None = None
    reason: str | None = None
    """Why the run was requested."""
    days: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:
        """The same for the same failure seen again, in whatever run. A check is its own cause; other failures have the
        words of their message, without symbols, times, numbers and ids.
        """
        cause = [] if self.kind is AlertKind.CHECK else sorted({*_WORD.findall(_CHANGING.sub(" ", self.message))})
        return digest(json.dumps([self.kind, self.dataset or self.asset, self.check, self.days, cause]))

    def line(self) -> str:
        """As a person reads it."""
        subject = self.dataset or self.asset or "a run"
        what = {
            AlertKind.RUN: f"Run of {subject}",
            AlertKind.CHECK: f"{self.check} ({self.severity}) on {subject}",
            AlertKind.TICK: f"Tick of {self.asset}",
            AlertKind.DATASET: subject,
        }[self.kind]
        days = f", {_days_in_words(self.days)}" if self.days else ""
        asked = f" ({self.reason})" if self.reason else ""
        failed = " failed" if self.kind in (AlertKind.RUN, AlertKind.TICK) else ""
        run = f" [run {self.run_id[:8]}]" if self.run_id else ""
        return f"{what}{days}{failed}{asked}: {self.message}{run}"

    def as_json(self) -> dict[str, Any]:
        """As a program reads it."""
        return {**asdict(self), "days": [*self.days], "at": self.at.isoformat()}


def _days_in_words(days: Sequence[str]) -> str:
    if len(days) <= _SHOWN_DAYS:
        return ", ".join(days)
    return f"{len(days)} days from {days[0]} to {days[-1]}"


def digest(text: str) -> str:
    """Eight characters for a text."""
    return blake2b(text.encode(), digest_size=4).hexdigest()
