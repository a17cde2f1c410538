"""What the days with archives tell of a symbol's life."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klines_pipeline.domain.states import Life
from klines_pipeline.klines.archive_life import ArchiveHistory

TODAY = date(2025, 3, 31)


def days(*spans: tuple[str, str]) -> frozenset[date]:
    """Every day of each span of March 2025, both ends included."""
    found = set[date]()
    for first, last in spans:
        day = date.fromisoformat(f"2025-{first}")
        while day <= date.fromisoformat(f"2025-{last}"):
            found.add(day)
            day += timedelta(days=1)
    return frozenset(found)


VENUE = days(("02-01", "03-15"), ("03-17", "03-30"))
LIVES = [
    ("an ordinary day", days(("02-01", "03-30")), (False, False), "03-10", None),
    ("an ordinary day, more before and after", days(("03-01", "03-20")), (True, True), "03-10", None),
    ("before the first archive", days(("03-10", "03-30")), (False, False), "03-05", Life.NOT_LISTED),
    ("the first archive", days(("03-10", "03-30")), (False, False), "03-10", Life.FIRST_DAY),
    ("the second archive", days(("03-10", "03-30")), (False, False), "03-11", None),
    (
        "the first archive after a long hole",
        days(("02-01", "02-10"), ("03-10", "03-30")),
        (True, False),
        "03-10",
        Life.FIRST_DAY,
    ),
    ("inside a long hole", days(("02-01", "02-10"), ("03-10", "03-30")), (True, False), "02-20", Life.PERHAPS_DELISTED),
    ("early in a hole", days(("02-01", "02-10"), ("03-10", "03-30")), (True, False), "02-12", Life.PERHAPS_DELISTED),
    ("the eve of a new listing", days(("03-10", "03-30")), (True, False), "03-09", Life.PERHAPS_DELISTED),
    ("in eight lost days", days(("02-01", "03-01"), ("03-10", "03-30")), (True, True), "03-05", Life.PERHAPS_DELISTED),
    ("in seven lost days", days(("02-01", "03-02"), ("03-10", "03-30")), (True, True), "03-05", None),
    ("a lost archive", days(("02-01", "03-09"), ("03-11", "03-30")), (True, False), "03-10", None),
    ("after a lost archive", days(("02-01", "03-09"), ("03-11", "03-30")), (True, False), "03-11", None),
    ("the last archive", days(("02-01", "03-10")), (True, False), "03-10", Life.LAST_DAY),
    ("the last but one", days(("02-01", "03-10")), (True, False), "03-09", None),
    ("three weeks after the last archive", days(("02-01", "03-01")), (True, False), "03-09", Life.DELISTED),
    ("days after the last archive", days(("02-01", "03-10")), (True, False), "03-20", Life.PERHAPS_DELISTED),
    ("published so far, the newest day", days(("02-01", "03-30")), (True, False), "03-30", None),
    ("nothing at all", days(), (False, False), "03-10", None),
    ("only before, venue silent", days(("02-01", "03-10")), (True, False), "03-16", None),
    ("the day in progress", days(("02-01", "03-30")), (True, False), "03-31", None),
    ("the day in progress, long gone", days(("02-01", "03-01")), (True, False), "03-31", Life.PERHAPS_DELISTED),
    ("long gone, no day near", days(), (True, False), "03-01", Life.DELISTED),
    ("not yet, no day near", days(), (False, True), "03-01", Life.NOT_LISTED),
]


@pytest.mark.parametrize(("seen", "beyond", "day", "life"), [row[1:] for row in LIVES], ids=[row[0] for row in LIVES])
def test_the_days_published_tell_where_a_day_lies_in_a_life(
    seen: frozenset[date], beyond: tuple[bool, bool], day: str, life: Life | None
) -> None:
    history = ArchiveHistory(seen, any_before=beyond[0], any_after=beyond[1])

    assert history.life(date.fromisoformat(f"2025-{day}"), today=TODAY, venue_days=VENUE) == life


@given(st.sets(st.integers(0, 60)), st.tuples(st.booleans(), st.booleans()), st.integers(0, 60))
def test_no_day_with_an_archive_or_between_two_archives_is_ever_left_unasked(
    published: set[int], beyond: tuple[bool, bool], day: int
) -> None:
    before, after = beyond
    first = date(2025, 1, 15)
    history = ArchiveHistory(
        frozenset(first + timedelta(days=n) for n in published), any_before=before, any_after=after
    )

    life = history.life(first + timedelta(days=day), today=TODAY, venue_days=VENUE)

    lies_between = (before or min(published, default=99) <= day) and (after or max(published, default=-1) >= day)
    if lies_between:
        assert life not in (Life.NOT_LISTED, Life.DELISTED)
    if life in (Life.FIRST_DAY, Life.LAST_DAY):
        assert day in published


NEWEST = [
    ("long gone", ("02-01", "03-01"), Life.PERHAPS_DELISTED),
    ("gone for a week", ("02-01", "03-21"), Life.PERHAPS_DELISTED),
    ("gone a week ago, or late", ("02-01", "03-22"), None),
    ("there the day before", ("02-01", "03-29"), None),
]


@pytest.mark.parametrize(("seen", "life"), [row[1:] for row in NEWEST], ids=[row[0] for row in NEWEST])
def test_of_a_day_nobody_is_published_of_yet_those_who_were_gone_before_are_perhaps_gone(
    seen: tuple[str, str], life: Life | None
) -> None:
    history, venue = ArchiveHistory(days(seen), any_before=True, any_after=False), days(("02-01", "03-29"))

    assert history.life(date(2025, 3, 30), today=TODAY, venue_days=venue) == life


def test_a_venue_that_published_nothing_that_day_proves_no_delisting() -> None:
    history = ArchiveHistory(days(("02-01", "03-01")), any_before=True, any_after=False)

    assert history.life(date(2025, 3, 9), today=TODAY, venue_days=VENUE - {date(2025, 3, 9)}) is None
