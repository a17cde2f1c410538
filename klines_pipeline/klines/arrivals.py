"""When an ended day's archives are taken in: all at once if they come together, stragglers in as few runs as may be.

Pure: what was seen and the exchange's time in, a reason or none out. How often to look is decided here too.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from klines_pipeline.domain.automation import Automation
from klines_pipeline.domain.utc_day import day_end

_STRAGGLERS_WAIT = timedelta(hours=1)
"""For each other, once the day is in the lake without them."""
NOBODY_WAITS_LONGER = timedelta(days=1)
"""Since the first archive: of a few symbols, any share of them may be all."""
_ENOUGH = 50
"""Symbols looked at, of a bucket too slow for all of them, that speak for the others."""
_EACH_TICK, _HOURLY = timedelta(days=1), timedelta(days=3)
_PER_SYMBOL = timedelta(seconds=0.6)
"""Between two looks, for each symbol: a hundred requests a minute, so that 500 are looked at each five minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """How far a day's publication has come. Counts of symbols; delisted ones count nowhere."""

    day: date
    held: int
    """Archives the lake has."""
    fresh: int = 0
    """Waited for, and now listed."""
    missing: int = 0
    """Waited for, and not listed."""
    unseen: int = 0
    """Waited for, and not looked at: no time, or no answer."""
    renewed: int = 0
    """Listed, though nobody waited: another version, or a symbol taken for delisted."""
    oldest: datetime | None = None
    """When the first of what is new was published, UTC."""

    @property
    def published(self) -> int:
        """Archives there are, in the lake or not."""
        return self.held + self.fresh

    @property
    def seen(self) -> int:
        """Symbols of which it is known whether they are published."""
        return self.published + self.missing

    def __str__(self) -> str:
        """One sentence."""
        lacking = f" {self.unseen} could not be looked at." if self.unseen else ""
        if not self.published:
            return f"{self.day}: nothing is published yet.{lacking}"
        return f"{self.day}: {self.published} of {self.seen} symbols published.{lacking}"


def reason_to_begin(arrival: Arrival, automation: Automation, now: datetime) -> str | None:
    """Why the day should be taken in now; None to go on waiting. `now` is the exchange's time, UTC."""
    looked_at = arrival.fresh + arrival.missing
    if arrival.oldest is None or (arrival.unseen > looked_at < _ENOUGH):
        return None
    late = now - arrival.oldest
    if not arrival.missing or late >= NOBODY_WAITS_LONGER:
        return _said(arrival)
    patience = min(_STRAGGLERS_WAIT, automation.patience) if arrival.held else automation.patience
    if arrival.published >= automation.straggler_share * arrival.seen and late >= patience:
        return f"{_said(arrival)}, {arrival.missing} late"
    return None


def _said(arrival: Arrival) -> str:
    again = f"{arrival.renewed} published anew" if arrival.renewed else ""
    if arrival.held and not arrival.fresh:
        return again
    more = f"{arrival.fresh} more, " if arrival.held else ""
    unseen = f"{arrival.unseen} not looked at" if arrival.unseen else ""
    said = f"{more}{arrival.published} of {arrival.seen} symbols published"
    return ", ".join(text for text in (said, again, unseen) if text)


def wait_between_looks(day: date, waiting: int, doubtful: int, now: datetime) -> timedelta:
    """How long a look at a day lasts: the older the day, the fewer wait and the more are asked for, the longer."""
    age = now - day_end(day)
    wait = timedelta() if waiting and age < _EACH_TICK else timedelta(hours=1 if age < _HOURLY else 6)
    return max(wait, polite_wait(waiting + doubtful))


def polite_wait(symbols: int) -> timedelta:
    """Between two looks at so many symbols at least."""
    return _PER_SYMBOL * symbols
