"""Months as their first day, and what a symbol's monthly archives tell of its life. No I/O."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from klines_pipeline.domain.lateness import LONGEST_DELAY
from klines_pipeline.domain.states import NEVER_ASKED, Life

_PROOF = 2
"""Months published without a symbol before it counts as gone; a single archive has been late or lost alone."""


def month_of(day: date) -> date:
    """The first day of its month."""
    return day.replace(day=1)


def month_after(month: date) -> date:
    """The first day of the next month."""
    return (month.replace(day=28) + timedelta(days=4)).replace(day=1)


def month_before(month: date) -> date:
    """The first day of the month before."""
    return month_of(month - timedelta(days=1))


def days_of_month(month: date) -> Iterator[date]:
    """Each of its days."""
    for offset in range((month_after(month) - month).days):
        yield month + timedelta(days=offset)


def is_awaited(day: date, now: datetime, *, archived: bool) -> bool:
    """Whether the archive that covers the day may still come; without archives, whether the day is as young."""
    over = month_after(day) if archived else day + timedelta(days=1)
    return now.date() - over < LONGEST_DELAY


@dataclass(frozen=True, slots=True)
class MonthHistory:
    """Months for which a symbol has an archive: all of them, or all from one before those asked about on."""

    months: frozenset[date]

    def life(self, month: date, *, today: date, venue_months: Collection[date]) -> tuple[Life, ...]:
        """Where a month lies in the symbol's life; `venue_months`: those with an archive of the venue's bellwether.

        An edge needs that witness: where the venue itself began or stopped publishing, no symbol is said to. What lies
        before both is left to REST; FIRST_DAY means at or before the first day. One file that lacks is no proof: the
        month before the first is left to REST too, and only from the second month on that lacks one is DELISTED said.
        """
        if not self.months:
            return ()
        first, last = min(self.months), max(self.months)
        if month in self.months:
            begins = month == first and any(known < month for known in venue_months)
            ends = month == last and month_after(month) in venue_months
            return (*((Life.FIRST_DAY,) if begins else ()), *((Life.LAST_DAY,) if ends else ()))
        if month < first:
            unlisted = month in venue_months and month_after(month) < first
            return (Life.NOT_LISTED if unlisted else Life.FIRST_DAY,)
        before = max((known for known in self.months if known < month), default=first)
        witness = min((known for known in venue_months if before < known <= month), default=None)
        if witness is None:
            return ()
        old = today - month_after(witness) > LONGEST_DELAY
        lacking = sum(known > last for known in venue_months)
        gone = old and lacking >= _PROOF and month > last and month in venue_months
        return (Life.DELISTED if gone else Life.PERHAPS_DELISTED,)


def life_of_day(lives: Collection[Life], day: date, first: date | None, last: date | None) -> Life | None:
    """The edge of life a day lies at; `first` and `last` are the days of a verified archive's outermost settlements."""
    for life in lives:
        if life in NEVER_ASKED or life is Life.PERHAPS_DELISTED:
            return life
        if life is Life.FIRST_DAY and (first is None or day <= first):
            return life
        if life is Life.LAST_DAY and last is not None and day >= last:
            return life
    return None
