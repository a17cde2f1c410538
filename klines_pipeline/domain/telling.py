"""What of the failures is news, how often it is said, and what is remembered of it: a cursor.

Nothing of Dagster, of HTTP or of a clock stands here. Times are those of the machine that tells. A remembered time that
lies ahead of it was written by a clock since put right, and counts as now.
"""

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, NamedTuple

from klines_pipeline.domain.alerts import Alert, AlertKind, digest

QUIET_SECONDS = 3600
"""How long the same thing is not said again; twice as long each time it was said again ..."""
QUIET_HOURS = 24
"""... up to so many hours. What has not failed for as long after its silence begins anew."""
SILENT_HOURS = 30
"""A dataset of which no run succeeded for so long is an outage: a day, and a quarter for those of one kline a day."""
NEAR_SECONDS = 60.0
"""Runs may be recorded so much later than they ended, out of order."""
LOOK_BACK_SECONDS = 86_400
"""How far back failures are looked for where it is not known since when nobody looked."""
LISTED = 20
"""Alerts in one message; the rest is counted."""
REFUSALS = 3
"""Times the receiver may refuse a message (4xx) before it is dropped."""
_REMEMBERED = 100  # things said and runs seen: with both full the cursor has 3.7 kB
_NOUNS = {AlertKind.RUN: "run", AlertKind.CHECK: "check", AlertKind.TICK: "tick", AlertKind.DATASET: "dataset"}


class Happened(NamedTuple):
    """A run or a tick that has ended, as far as it matters here."""

    name: str
    at: float
    """Its end, seconds since 1970."""
    place: int = 0
    """Among the runs, in the order in which they were asked for; a tick has none."""


@dataclass(frozen=True, slots=True)
class Told:
    """What was looked at and said so far: a cursor of less than 4 kB with a dozen datasets."""

    until: float
    """End of the latest run looked at, seconds since 1970."""
    runs: tuple[str, ...] = ()
    """Beginnings of the ids of runs that ended near `until`."""
    newest: int = 0
    """Place of the latest run looked at in the order in which runs were asked for, which no clock can change."""
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
            runs, newest = tuple(map(str, read.runs)), int(read.newest)
            return cls(until=float(read.until), runs=runs, newest=newest, said=said, succeeded=done, **counts)
        except (ValueError, TypeError, AttributeError):
            return None

    def by(self, now: float) -> "Told":
        """As it counts at `now`. Written by a clock that was ahead, it cannot tell what happened since that was put
        right: what the last day held is looked at again.
        """
        until = self.until if self.until <= now + NEAR_SECONDS else now - LOOK_BACK_SECONDS
        said = {name: (min(when, int(now)), hours) for name, (when, hours) in self.said.items()}
        done = {name: min(when, int(now)) for name, when in self.succeeded.items()}
        return replace(self, until=until, said=said, succeeded=done)

    def knows(self, happened: Happened, now: float) -> bool:
        """Whether it was looked at before, or ended before that began. One that a clock ahead of `now` has written, or
        wrote before it was put right, is known by its place.
        """
        if happened.place > self.newest:
            return False
        ended, begin, end = happened.at, self.until - NEAR_SECONDS, now + NEAR_SECONDS
        return not begin < ended <= end or _short(happened.name) in self.runs

    def looked_at(self, happened: Sequence[Happened], now: float) -> "Told":
        """These too."""
        until = max([self.until, *(min(one.at, now) for one in happened)])
        near = (_short(one.name) for one in happened if one.at > until - NEAR_SECONDS)
        kept = (*self.runs, *near)[-_REMEMBERED:]
        return replace(self, until=until, runs=kept, newest=max([self.newest, *(one.place for one in happened)]))

    def heard_of(self, succeeded: Mapping[str, float]) -> "Told":
        """Runs of these datasets succeeded, seconds since 1970."""
        return replace(self, succeeded={**self.succeeded, **{digest(name): int(at) for name, at in succeeded.items()}})

    def missed(self, datasets: Collection[str], now: float) -> tuple[list[str], "Told"]:
        """Datasets of which nothing has succeeded for `SILENT_HOURS`, each once a day; one that is new begins now."""
        since = {name: self.succeeded.get(digest(name), int(now)) for name in datasets}
        silent = [name for name, at in since.items() if now - at >= SILENT_HOURS * QUIET_SECONDS]
        again = int(now) - (SILENT_HOURS - QUIET_HOURS) * QUIET_SECONDS
        known = {digest(name): again if name in silent else at for name, at in since.items()}
        return silent, replace(self, succeeded=known)

    def refused(self) -> "Told":
        """The message due was refused once more."""
        return replace(self, refusals=self.refusals + 1)

    def gave_up(self, alerts: int) -> "Told":
        """So many alerts will not be sent."""
        return replace(self, refusals=0, dropped=self.dropped + alerts)


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
