"""Archives of ended days as they appear: look at those that are due, and say which days should begin, and why."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import polars as pl

from klines_pipeline.domain.automation import Automation
from klines_pipeline.domain.wanted import Kind, Wanted
from klines_pipeline.exchanges.protocols import Listed
from klines_pipeline.klines.arrivals import Arrival, polite_wait, reason_to_begin, wait_between_looks
from klines_pipeline.stages.watching.news import listed_versions, news, told
from klines_pipeline.stages.watching.open_days import OpenDay
from klines_pipeline.stages.watching.tick_listing import TickListing
from klines_pipeline.stages.watching.watch_cursor import Look, WatchCursor

_TOLD = 3


@dataclass(frozen=True, slots=True)
class Policy:
    """How patient to be, and the exchange's time, UTC."""

    automation: Automation
    now: datetime

    def wait(self, day: OpenDay) -> timedelta:
        """Between two looks at a day."""
        return wait_between_looks(day.day, len(day.waiting), len(day.doubtful), self.now)

    def rests(self, day: OpenDay, last: Look) -> bool:
        """Whether it is too early for the next look. One that lies ahead is none: a clock or the cursor is wrong."""
        return last.at <= self.now < last.at + self.wait(day)

    def aged(self, day: OpenDay, look: Look) -> Look:
        """The look as if made so long ago that the next is due as soon as is polite."""
        return look._replace(at=self.now - self.wait(day) + polite_wait(len(day.waiting) + len(day.doubtful)))


@dataclass(slots=True)
class Appearing:
    """What became of the open days in one tick. `said`: a sentence a day that goes on waiting."""

    said: dict[date, str] = field(default_factory=dict)
    reasons: dict[date, str] = field(default_factory=dict)
    news: dict[date, str] = field(default_factory=dict)
    looked: dict[date, Look] = field(default_factory=dict)
    aged: dict[date, Look] = field(default_factory=dict)
    """WatchCursor at the days that should begin, to be remembered instead where they cannot."""
    after: str = ""
    trouble: str = ""

    def wanted(self) -> list[Wanted]:
        """The days that should begin, as one wish."""
        days = tuple(sorted(self.reasons))
        if not days:
            return []
        named = [f"{day}: {self.reasons[day]}" for day in days[-_TOLD:]]
        more = [f"and {len(days) - _TOLD} days before"] if len(days) > _TOLD else []
        return [Wanted(Kind.PUBLISHED, days, "; ".join([*named, *more]), {day: self.news[day] for day in days})]

    def words(self) -> str:
        """The newest days that wait, and what went wrong."""
        days = sorted(self.said, reverse=True)
        more = f"{len(days) - _TOLD} older days wait too." if len(days) > _TOLD else ""
        return " ".join(text for text in (*(self.said[day] for day in days[:_TOLD]), more, self.trouble) if text)


def look_at(
    days: Sequence[OpenDay],
    begun: Collection[date],
    held: pl.DataFrame,
    looks: WatchCursor,
    policy: Policy,
    listing: TickListing,
) -> Appearing:
    """Look at the open days that are due; `begun`: those of which a witness is published. `held`: their ledgers."""
    found, due = Appearing(after=looks.after), list[OpenDay]()
    for day in days:
        last = looks.days.get(day.day)
        if not (day.held or last or day.day in begun):
            found.said[day.day] = str(Arrival(day=day.day, held=0))
        elif last and policy.rests(day, last):
            found.said |= _as_last_seen(day, last)
        else:
            due.append(day)
    if due:
        wanted = looks.in_turn({name for day in due for name in day.waiting | day.doubtful})
        listed = listing.at(wanted, min(day.day for day in due), max(day.day for day in due))
        _decide(found, due, listed, held, policy)
        found.after = wanted[-len(listed.unasked) - 1] if 0 < len(listed.unasked) < len(wanted) else ""
    return found


def _as_last_seen(day: OpenDay, last: Look) -> Mapping[date, str]:
    if not day.waiting:
        return {}
    return {day.day: f"{day.day}: {last.published} of {last.seen} symbols published at {last.at:%H:%M} UTC."}


def _decide(found: Appearing, days: Sequence[OpenDay], listed: Listed, held: pl.DataFrame, policy: Policy) -> None:
    """Fill in what the listing says of each day."""
    fresh = news(listed_versions(listed), held)
    words = told(fresh)
    unseen = {*listed.failed, *listed.unasked}
    for day in days:
        arrival = _arrival(day, fresh.filter(pl.col("date") == day.day), unseen)
        found.looked[day.day] = Look(policy.now, arrival.published, arrival.seen)
        reason = reason_to_begin(arrival, policy.automation, policy.now)
        if reason is not None:
            found.reasons[day.day], found.news[day.day] = reason, words[day.day]
            found.aged[day.day] = policy.aged(day, found.looked[day.day])
        elif day.waiting:
            found.said[day.day] = str(arrival)
    if listed.failed:
        error = next(iter(listed.failed.values()))
        found.trouble = f"{len(listed.failed)} symbols could not be listed: {error}"


def _arrival(day: OpenDay, fresh: pl.DataFrame, unseen: Collection[str]) -> Arrival:
    new = frozenset(fresh["symbol"]) & (day.waiting | day.doubtful)
    seen = day.waiting - frozenset(unseen)
    times = fresh.filter(pl.col("symbol").is_in(list(new)))["last_modified"]
    return Arrival(
        day=day.day,
        held=len(day.held),
        fresh=len(new & seen),
        missing=len(seen - new),
        unseen=len(day.waiting - seen),
        renewed=len(new - day.waiting),
        oldest=min(times, default=None),
    )
