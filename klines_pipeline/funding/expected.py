"""Which settlements a day must have. There is no fixed grid: each settlement's interval reaches back to the one before.

Intervals change (8 to 4 hours, 1 hour at the cap), so what is expected follows from the settlements themselves, those
just before and after the day included where they are known.
"""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

from klines_pipeline.domain.utc_day import day_end, day_start

USUAL_HOURS = 8
HOUR = timedelta(hours=1)
SETTLING = timedelta(minutes=5)
"""An answer given sooner after a settlement was due is no proof of its absence."""


class Settlement(NamedTuple):
    """When funding was settled (on the minute), and the hours since the settlement before, where they are known."""

    time: datetime
    hours: int | None = None


class Gap(NamedTuple):
    """`[start, end)`, UTC: from the first settlement missing to the next one that is there, or to the day's end."""

    start: datetime
    end: datetime
    last: datetime
    """Time of the last settlement missing."""


def due_times(
    held: Sequence[Settlement],
    day: date,
    *,
    now: datetime,
    before: Settlement | None = None,
    after: Settlement | None = None,
    answered_until: datetime | None = None,
) -> list[datetime]:
    """Times of the day's settlements that are held or should be by `now`, ascending. `held` is ascending too.

    `answered_until`: REST has said what it has before this instant, and all of it is held.
    """
    start, until = day_start(day), min(day_end(day), now - SETTLING)
    chain = _told([known for known in (before, *held, after) if known is not None])
    times = {known.time for known in held}
    if not chain:
        times.update(_steps(start, until, USUAL_HOURS * HOUR))
    for earlier, later in pairwise(chain):
        times.update(_between(earlier, later, answered_until))
    if before is None and chain:
        times.update(_back_from(chain[0].time, _step_of(chain[0]), start))
    if after is None and chain:
        step = _step_of(chain[-1])
        times.update(_steps(chain[-1].time + step, until, step))
    due = {time for time in times if start <= time < until}
    return sorted(due | {known.time for known in held})


def _told(chain: Sequence[Settlement]) -> list[Settlement]:
    """Each with an interval: its own, else that of the settlement before it, else the first that any has."""
    told = list[Settlement]()
    hours = next((known.hours for known in chain if _is_told(known)), USUAL_HOURS)
    for known in chain:
        hours = known.hours if _is_told(known) else hours
        told.append(known._replace(hours=hours))
    return told


def _is_told(known: Settlement) -> bool:
    return known.hours is not None and known.hours > 0


def _step_of(known: Settlement) -> timedelta:
    return (known.hours or USUAL_HOURS) * HOUR


def _between(earlier: Settlement, later: Settlement, answered_until: datetime | None) -> Iterator[datetime]:
    """What lacks between two neighbours. A distance that the earlier interval explains is a switch once REST has told
    that nothing lies there.
    """
    distance, step = later.time - earlier.time, _step_of(later)
    if distance <= step:
        return
    told = answered_until if distance <= _step_of(earlier) else None
    for time in _back_from(later.time, step, earlier.time):
        if time > earlier.time and (told is None or time >= told):
            yield time


def _back_from(time: datetime, step: timedelta, first: datetime) -> Iterator[datetime]:
    """Steps back to `first`, and `first` itself: a day opens with a settlement."""
    while (time := time - step) > first:
        yield time
    yield first


def _steps(time: datetime, until: datetime, step: timedelta) -> Iterator[datetime]:
    while time < until:
        yield time
        time += step


def gaps_of(due: Sequence[datetime], held: Sequence[Settlement], day: date) -> list[Gap]:
    """The runs of due times that are not held."""
    present = {known.time for known in held}
    gaps, missing = list[Gap](), list[datetime]()
    for time in (*due, day_end(day)):
        if time in present or time == day_end(day):
            gaps += [Gap(missing[0], time, missing[-1])] if missing else []
            missing = []
        else:
            missing.append(time)
    return gaps
