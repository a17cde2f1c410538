"""A period vouches for a symbol from its first day to its last, or from the listing to the delisting."""

from collections.abc import Mapping
from datetime import date, timedelta

import polars as pl
import pytest

from klines_pipeline.domain.interval import LongInterval
from klines_pipeline.domain.states import Life
from klines_pipeline.klines.periods import incomplete_symbols

MONDAY = date(2024, 2, 26)
WEEK = LongInterval("1w").period_of(MONDAY)


def certificates(
    days: range, *, reasons: Mapping[int, str] | None = None, expected: int = 1
) -> dict[date, pl.DataFrame]:
    """BTCUSDT's certificates of some days of the week, Monday being 0; ETHUSDT has the whole week."""
    given = reasons or {}
    rows = {
        day: [("ETHUSDT", 1, None), *([("BTCUSDT", expected, given.get(day))] if day in days else [])]
        for day in range(7)
    }
    schema = {"symbol": pl.String, "expected": pl.Int64, "reason": pl.String}
    return {MONDAY + timedelta(day): pl.DataFrame(found, schema, orient="row") for day, found in rows.items()}


def incomplete(proofs: Mapping[date, pl.DataFrame], **lives: int) -> set[str]:
    """BTCUSDT's edges of life by their day of the week."""
    known = {("BTCUSDT", MONDAY + timedelta(day)): Life(life) for life, day in lives.items()}
    return incomplete_symbols(WEEK, proofs, known, bars_per_day=1)


def test_a_week_of_complete_days_is_complete() -> None:
    assert incomplete(certificates(range(7))) == set()


@pytest.mark.parametrize("reason", ["exchange_halt", "not_listed", "delisted", "not_listed+exchange_halt"])
def test_days_that_the_exchange_itself_lacks_are_no_obstacle(reason: str) -> None:
    assert incomplete(certificates(range(7), reasons={0: reason, 3: reason})) == set()


@pytest.mark.parametrize("reason", ["not_published", "blocked", "no_data", "exchange_halt+unavailable"])
def test_a_day_missing_without_a_reason_of_the_exchange_is_one(reason: str) -> None:
    assert incomplete(certificates(range(7), reasons={3: reason})) == {"BTCUSDT"}


def test_a_day_that_was_not_over_when_it_was_certified_is_one() -> None:
    assert incomplete(certificates(range(7), expected=0)) == {"BTCUSDT"}


@pytest.mark.parametrize(
    ("days", "lives"),
    [
        (range(2, 7), {}),
        (range(5), {}),
        (range(2, 7), {"first_day": 3}),
        (range(5), {"last_day": 3}),
        (range(2, 7), {"last_day": 2}),
        (range(5), {"first_day": 4}),
        (range(5), {"perhaps_delisted": 4}),
    ],
)
def test_days_at_the_edge_that_nobody_looked_at_are_one(days: range, lives: dict[str, int]) -> None:
    assert incomplete(certificates(days), **lives) == {"BTCUSDT"}


@pytest.mark.parametrize(
    ("days", "lives"),
    [
        (range(2, 7), {"first_day": 2}),
        (range(1, 7), {"not_listed": 1}),
        (range(5), {"last_day": 4}),
        (range(6), {"delisted": 5}),
    ],
)
def test_days_before_the_listing_and_after_the_delisting_need_no_certificate(
    days: range, lives: dict[str, int]
) -> None:
    assert incomplete(certificates(days), **lives) == set()


def test_a_hole_between_two_days_is_one_whatever_the_edges() -> None:
    proofs = certificates(range(7))
    whole = proofs.pop(MONDAY + timedelta(3))

    assert incomplete(proofs) == {"BTCUSDT", "ETHUSDT"}
    assert incomplete({**proofs, MONDAY + timedelta(3): whole}) == set()
