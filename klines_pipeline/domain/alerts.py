"""What people are told when something fails: what of it is news, how often it is said, and the words.

Nothing of Dagster, of HTTP or of a clock stands here. Times are those of the machine that tells; data never sees them.
"""

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from hashlib import blake2b
from typing import Any, NamedTuple

QUIET_SECONDS = 3600
"""How long the same thing is not said again; twice as long each time it was said again ..."""
QUIET_HOURS = 24
"""... up to so many hours. What has not failed for as long after its silence begins anew."""
SILENT_HOURS = 30
"""A dataset of which no run succeeded for so long is an outage: a day, and a quarter for those of one kline a day."""
NEAR_SECONDS = 60.0
"""Runs may be recorded so much later than they ended, out of order."""
LISTED = 20
"""Alerts in one message; the rest is counted."""
REFUSALS = 3
"""Times the receiver may refuse a message (4xx) before it is dropped."""
_REMEMBERED = 100  # things said and runs seen: with both full the cursor has 3.7 kB
_SHOWN_DAYS = 3


class AlertKind(StrEnum):
    """What failed."""

    RUN = "run_failed"
    CHECK = "check_failed"
    TICK = "tick_failed"
    DATASET = "nothing_succeeds"


_NOUNS = {AlertKind.RUN: "run", AlertKind.CHECK: "check", AlertKind.TICK: "tick", AlertKind.DATASET: "dataset"}


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
        """The same for the same failure seen again, in whatever run."""
        text = json.dumps([self.kind, self.dataset or self.asset, self.check, self.days])
        return _digest(text)

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


@dataclass(frozen=True, slots=True)
class Told:
    """What was looked at and said so far: a cursor of less than 4 kB with a dozen datasets."""

    until: float
    """End of the latest run looked at, seconds since 1970."""
    runs: tuple[str, ...] = ()
    """Beginnings of the ids of runs that ended near `until`."""
    said: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """When each thing was said, and how many hours it is not said again, by fingerprint."""
    withheld: int = 0
    """Repetitions since the last message."""
    refusals: int = 0
    """Times the message now due was refused."""
    dropped: int = 0
    """Alerts that no receiver would have, since the last message."""
    succeeded: Mapping[str, int] = field(default_factory=dict)
    """When a run of each dataset last succeeded, or that was last missed; by digest of its name."""

    def text(self) -> str:
        """As a cursor."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def read(cls, text: str | None) -> "Told | None":
        """From a cursor; None for one that is lost or malformed."""
        try:
            read = cls(**json.loads(text or ""))
            said = {str(name): (int(when), int(hours)) for name, (when, hours) in read.said.items()}
            counts = {"withheld": int(read.withheld), "refusals": int(read.refusals), "dropped": int(read.dropped)}
            done = {str(name): int(when) for name, when in read.succeeded.items()}
            runs = tuple(map(str, read.runs))
            return cls(until=float(read.until), runs=runs, said=said, succeeded=done, **counts)
        except (ValueError, TypeError, AttributeError):
            return None

    def knows(self, run_id: str, ended: float) -> bool:
        """Whether a run was looked at before, or ended before that began."""
        return ended <= self.until - NEAR_SECONDS or _short(run_id) in self.runs

    def looked_at(self, runs: Mapping[str, float]) -> "Told":
        """These runs too, by id, with the seconds since 1970 at which they ended."""
        until = max([self.until, *runs.values()])
        near = (_short(run_id) for run_id, ended in runs.items() if ended > until - NEAR_SECONDS)
        kept = (*self.runs, *near)[-_REMEMBERED:]
        return replace(self, until=until, runs=kept)

    def heard_of(self, succeeded: Mapping[str, float]) -> "Told":
        """Runs of these datasets succeeded, seconds since 1970."""
        return replace(self, succeeded={**self.succeeded, **{_digest(name): int(at) for name, at in succeeded.items()}})

    def missed(self, datasets: Collection[str], now: float) -> tuple[list[str], "Told"]:
        """Datasets of which nothing has succeeded for `SILENT_HOURS`, each once a day; one that is new begins now."""
        since = {name: self.succeeded.get(_digest(name), int(now)) for name in datasets}
        silent = [name for name, at in since.items() if now - at >= SILENT_HOURS * QUIET_SECONDS]
        again = int(now) - (SILENT_HOURS - QUIET_HOURS) * QUIET_SECONDS
        known = {_digest(name): again if name in silent else at for name, at in since.items()}
        return silent, replace(self, succeeded=known)

    def refused(self) -> "Told":
        """The message due was refused once more."""
        return replace(self, refusals=self.refusals + 1)

    def gave_up(self, alerts: int) -> "Told":
        """So many alerts will not be sent."""
        return replace(self, refusals=0, dropped=self.dropped + alerts)


def _digest(text: str) -> str:
    return blake2b(text.encode(), digest_size=4).hexdigest()


def _short(run_id: str) -> str:
    return run_id[:8]


class Message(NamedTuple):
    """What is due to be sent, if anything, of how many alerts, and what is remembered once it has arrived."""

    payload: dict[str, Any] | None
    alerts: int
    after: Told


def compose(alerts: Sequence[Alert], told: Told, now: float) -> Message:
    """What of the alerts is news at `now` (seconds since 1970) makes one message; repetitions are counted."""
    said = {name: one for name, one in told.said.items() if _is_silent(one, now, longer=QUIET_HOURS)}
    quiet = {name for name, one in said.items() if _is_silent(one, now)}
    fresh = dict[str, Alert]()
    for alert in alerts:
        if alert.fingerprint not in quiet:
            fresh.setdefault(alert.fingerprint, alert)
    news = sorted(fresh.values(), key=lambda alert: alert.at)
    withheld = told.withheld + len(alerts) - len(news)
    if not news:
        return Message(None, 0, replace(told, said=said, withheld=withheld))
    payload = {
        "text": _text(news, withheld, told.dropped),
        "alerts": [alert.as_json() for alert in news[:LISTED]],
        "not_listed": max(0, len(news) - LISTED),
        "not_repeated": withheld,
        "dropped": told.dropped,
    }
    again = {name: (int(now), min(2 * said[name][1], QUIET_HOURS) if name in said else 1) for name in fresh}
    newest = sorted({**said, **again}.items(), key=lambda pair: pair[1])[-_REMEMBERED:]
    return Message(payload, len(news), replace(told, said=dict(newest), withheld=0, refusals=0, dropped=0))


def _is_silent(one: tuple[int, int], now: float, longer: int = 0) -> bool:
    when, hours = one
    return 0 <= now - when < (hours + longer) * QUIET_SECONDS


def _text(news: Sequence[Alert], withheld: int, dropped: int) -> str:
    counts = Counter(_NOUNS[alert.kind] for alert in news)
    head = " and ".join(f"{count} {noun}{'s' * (count > 1)}" for noun, count in counts.items())
    rest = [
        f"{len(news) - LISTED} more" * (len(news) > LISTED),
        f"{withheld} said before and not repeated" * (withheld > 0),
        f"{dropped} lost, because this address refused them" * (dropped > 0),
    ]
    tail = ", ".join(filter(None, rest))
    lines = [f"klines_pipeline: {head} failed.", *(f"- {alert.line()}" for alert in news[:LISTED])]
    return "\n".join([*lines, f"{tail[0].upper()}{tail[1:]}."] if tail else lines)
