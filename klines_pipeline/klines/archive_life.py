"""What the days on which a symbol has daily archives tell of its life: one rule, whether the bucket lists them or the
lake holds them. No I/O.
"""

from collections.abc import Collection
from datetime import date, timedelta
from typing import NamedTuple

from klines_pipeline.domain.lateness import LONGEST_ACCIDENT, LONGEST_DELAY, OVERDUE
from klines_pipeline.domain.states import Life

_ONE_DAY = timedelta(days=1)
HORIZON = LONGEST_ACCIDENT
"""How far beyond a day one looks: a longer hole is a delisting, one up to it a late or lost archive."""
LOOK_BACK = LONGEST_DELAY + _ONE_DAY
"""How far before the days in question one begins, so that a symbol gone for long is known to be."""


class ArchiveHistory(NamedTuple):
    """One symbol: the days with an archive around the days asked, and whether others lie before or after."""

    days: frozenset[date]
    any_before: bool = False
    any_after: bool = False

    def life(self, day: date, *, today: date, venue_days: Collection[date]) -> Life | None:
        """Where a day lies in the symbol's life. `venue_days`: those with an archive of anybody.

        Of a day in progress nothing is published, and of one that just ended perhaps nothing yet: a symbol that was
        gone the day before is perhaps gone.
        """
        if day >= today:
            return self._as_before(day, today, venue_days)
        before, after = self._lies(day)
        past = (day - HORIZON, day - _ONE_DAY)
        if day in self.days:
            if not self._near(*past) and (not before or _any_within(venue_days, *past)):
                return Life.FIRST_DAY
            return Life.LAST_DAY if self.ends_on(day, today=today, venue_days=venue_days) else None
        if after and not before:
            return Life.NOT_LISTED
        if before and not after:
            if day in venue_days:
                return self._gone(day, today)
            return self._as_before(day, today, venue_days) if today - day <= OVERDUE else None
        return Life.PERHAPS_DELISTED if before and day in venue_days and self._in_hole(day) else None

    def ends_on(self, day: date, *, today: date, venue_days: Collection[date]) -> bool:
        """Whether the archive of a day is the last one before a hole too long for an accident."""
        over = day + _ONE_DAY in venue_days and today - day > OVERDUE
        return over and not self._near(day + _ONE_DAY, day + HORIZON)

    def _as_before(self, day: date, today: date, venue_days: Collection[date]) -> Life | None:
        """What is to be thought of a day of which nobody's archives are there yet."""
        life = self.life(day - _ONE_DAY, today=today, venue_days=venue_days)
        return Life.PERHAPS_DELISTED if life in (Life.DELISTED, Life.PERHAPS_DELISTED) else None

    def _in_hole(self, day: date) -> bool:
        """Whether more archives in a row are missing around the day than get lost."""
        last = max((known for known in self.days if known < day), default=day - LOOK_BACK)
        following = min((known for known in self.days if known > day), default=day + HORIZON + _ONE_DAY)
        return following - last - _ONE_DAY > LONGEST_ACCIDENT

    def _gone(self, day: date, today: date) -> Life | None:
        """After the last archive. Until it is clear that this one is not merely late, nothing is said of it."""
        if today - day > LONGEST_DELAY:
            return Life.DELISTED
        fresh = today - day <= OVERDUE
        if self._near(day - LONGEST_DELAY, day - _ONE_DAY):
            return None if fresh and self._near(day - HORIZON, day - _ONE_DAY) else Life.PERHAPS_DELISTED
        return Life.PERHAPS_DELISTED if fresh else Life.DELISTED

    @property
    def is_empty(self) -> bool:
        """No archive at any time."""
        return not (self.days or self.any_before or self.any_after)

    def _near(self, first: date, last: date) -> bool:
        return _any_within(self.days, first, last)

    def _lies(self, day: date) -> tuple[bool, bool]:
        before = self.any_before or any(known < day for known in self.days)
        return before, self.any_after or any(known > day for known in self.days)


def _any_within(days: Collection[date], first: date, last: date) -> bool:
    return any(first <= day <= last for day in days)
