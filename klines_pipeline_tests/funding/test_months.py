"""What monthly archives tell of a symbol's life; an edge needs the venue as its witness."""

from datetime import UTC, date, datetime

import pytest

from klines_pipeline.domain.states import Life
from klines_pipeline.funding.months import MonthHistory, days_of_month, is_awaited, life_of_day, month_after


@pytest.mark.parametrize(
    ("now", "archived", "awaited"),
    [((4, 21), True, True), ((4, 22), True, False), ((3, 23), False, True), ((3, 24), False, False)],
)
def test_an_archive_is_awaited_three_weeks_after_its_month_and_rest_alone_after_the_day(
    now: tuple[int, int], *, archived: bool, awaited: bool
) -> None:
    assert is_awaited(date(2025, 3, 2), datetime(2025, *now, 9, tzinfo=UTC), archived=archived) is awaited


def months(first: str, last: str) -> frozenset[date]:
    """Every month from the one to the other."""
    found, month = set[date](), date.fromisoformat(f"{first}-01")
    while month <= date.fromisoformat(f"{last}-01"):
        found.add(month)
        month = month_after(month)
    return frozenset(found)


VENUE = months("2020-01", "2025-02")
TODAY = date(2025, 3, 4)


@pytest.mark.parametrize(
    ("month", "lives"),
    [
        ("2019-12", (Life.FIRST_DAY,)),
        ("2021-03", (Life.NOT_LISTED,)),
        ("2021-04", (Life.FIRST_DAY,)),
        ("2021-05", (Life.FIRST_DAY,)),
        ("2021-06", ()),
        ("2022-06", (Life.LAST_DAY,)),
        ("2022-07", (Life.DELISTED,)),
        ("2025-02", (Life.DELISTED,)),
        ("2025-03", (Life.PERHAPS_DELISTED,)),
    ],
)
def test_a_life_within_the_venues(month: str, lives: tuple[Life, ...]) -> None:
    history = MonthHistory(months("2021-05", "2022-06"))

    assert history.life(date.fromisoformat(f"{month}-01"), today=TODAY, venue_months=VENUE) == lives


def test_a_month_just_missed_is_only_perhaps_a_delisting() -> None:
    history = MonthHistory(months("2021-05", "2025-01"))

    assert history.life(date(2025, 2, 1), today=TODAY, venue_months=VENUE) == (Life.PERHAPS_DELISTED,)


@pytest.mark.parametrize(
    ("last", "life"), [("2025-02", None), ("2025-01", Life.PERHAPS_DELISTED), ("2024-12", Life.DELISTED)]
)
def test_one_file_that_lacks_long_after_is_no_proof_and_two_are(last: str, life: Life | None) -> None:
    history = MonthHistory(months("2021-05", last))

    found = history.life(date(2025, 2, 1), today=date(2025, 6, 1), venue_months=VENUE)

    assert found == ((life,) if life else ())


def test_a_hole_between_two_lives_is_left_to_rest_to_confirm() -> None:
    history = MonthHistory(months("2021-05", "2022-06") | months("2023-03", "2025-02"))

    assert history.life(date(2022, 9, 1), today=TODAY, venue_months=VENUE) == (Life.PERHAPS_DELISTED,)
    assert history.life(date(2023, 3, 1), today=TODAY, venue_months=VENUE) == ()


def test_where_the_venue_itself_stopped_publishing_nobody_is_said_to_be_gone() -> None:
    history = MonthHistory(months("2021-05", "2025-02"))

    assert history.life(date(2025, 2, 1), today=date(2025, 6, 1), venue_months=VENUE) == ()
    assert history.life(date(2025, 3, 1), today=date(2025, 6, 1), venue_months=VENUE) == ()


def test_the_venues_own_beginning_is_no_listing() -> None:
    assert MonthHistory(VENUE).life(date(2020, 1, 1), today=TODAY, venue_months=VENUE) == ()


def test_a_symbol_without_any_archive_has_no_life_to_tell() -> None:
    assert MonthHistory(frozenset()).life(date(2025, 2, 1), today=TODAY, venue_months=VENUE) == ()


def test_edges_are_told_of_days_at_or_beyond_the_outermost_settlements() -> None:
    first, last = date(2021, 5, 10), date(2021, 5, 20)
    edges = (Life.FIRST_DAY, Life.LAST_DAY)

    told = [life_of_day(edges, day, first, last) for day in days_of_month(date(2021, 5, 1))]

    assert told == [Life.FIRST_DAY] * 10 + [None] * 9 + [Life.LAST_DAY] * 12
