"""A symbol's life: runs of archived days, holes between them, and whether it was traded on a day."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klines_pipeline.domain.universe import Contract, SymbolFacts
from klines_pipeline.klines.life import (
    SYMBOL_SCHEMA,
    Row,
    Runs,
    facts_of,
    renewed,
    symbol_row,
    to_table,
    trades_today,
    was_alive,
)

FIRST = date(2024, 1, 1)
NOW = datetime(2025, 3, 4, 9, tzinfo=UTC)
FACTS = SymbolFacts(
    symbol="BTCUSDT_250328",
    base="BTC",
    quote="USDT",
    contract=Contract.DELIVERY,
    delivery=datetime(2025, 3, 28, 8, tzinfo=UTC),
    status="TRADING",
    since=datetime(2024, 9, 26, 8, tzinfo=UTC),
)


def days(*spans: tuple[int, int]) -> list[date]:
    """Days of 2024 by number from 0, both ends of each span included."""
    return [FIRST + timedelta(n) for first, last in spans for n in range(first, last + 1)]


def row_of(archived: Iterable[date], *, listed: bool | None = False, facts: SymbolFacts | None = None) -> Row:
    """A row as the table gives it back."""
    row = symbol_row(facts or SymbolFacts(symbol="X"), Runs.of(archived), listed=listed, checked_at=NOW)
    return to_table([row]).row(0, named=True)


@pytest.mark.parametrize(
    ("archived", "holes", "reused"),
    [
        (days((0, 30)), [], False),
        (days((0, 30), (38, 60)), [], False),
        (days((0, 30), (39, 60)), [(31, 39)], False),
        (days((0, 30), (90, 120)), [(31, 90)], False),
        (days((0, 30), (91, 120)), [(31, 91)], True),
        (days((5, 5), (20, 20), (100, 100)), [(6, 20), (21, 100)], True),
    ],
    ids=["none", "a week", "8 days", "59 days", "60 days", "two"],
)
def test_archives_missing_for_more_than_a_week_are_a_hole_and_for_60_days_perhaps_another_coin(
    archived: list[date],
    holes: list[tuple[int, int]],
    reused: bool,  # noqa: FBT001
) -> None:
    row = row_of(archived)

    assert (row["first_day"], row["last_day"]) == (archived[0], archived[-1])
    assert row["holes"] == [{"start": FIRST + timedelta(a), "end": FIRST + timedelta(b)} for a, b in holes]
    assert row["reused"] is reused


def test_a_symbol_without_archives_has_no_days() -> None:
    row = row_of([])

    assert (row["first_day"], row["last_day"], row["holes"], row["reused"]) == (None, None, [], False)
    assert Runs.of_row(row) == Runs()


@given(st.sets(st.integers(0, 200), min_size=1), st.integers(0, 220))
def test_looking_at_the_newest_days_alone_gives_the_holes_that_looking_at_all_gives(seen: set[int], since: int) -> None:
    archived = days(*((n, n) for n in seen))
    start = FIRST + timedelta(since)
    known = Runs.of_row(row_of(archived))

    continued = known.continued([day for day in archived if day >= start], start)

    assert continued == Runs.of(archived)


def test_a_hole_that_is_filled_later_is_no_hole_any_more() -> None:
    known = Runs.of(days((0, 30), (41, 45)))
    assert known.holes

    assert Runs.of_row(row_of(days((0, 30), (41, 45)))).continued(days((25, 60)), days((25, 25))[0]).holes == []


@pytest.mark.parametrize(
    ("archived", "listed", "day", "alive"),
    [
        (days((0, 30)), False, -1, False),
        (days((0, 30)), False, 0, True),
        (days((0, 30)), False, 30, True),
        (days((0, 30)), False, 31, False),
        (days((0, 30)), True, 31, True),
        (days((0, 30)), None, 37, True),
        (days((0, 30)), None, 38, False),
        (days((0, 30), (50, 60)), False, 40, False),
        (days((0, 30), (50, 60)), False, 50, True),
        ([], True, 0, False),
        ([], True, 428, True),
        ([], False, 428, True),
        ([], False, 429, False),
    ],
)
def test_a_symbol_is_alive_from_its_first_to_its_last_archive_but_in_holes(
    archived: list[date],
    listed: bool | None,  # noqa: FBT001
    day: int,
    alive: bool,  # noqa: FBT001
) -> None:
    assert was_alive(row_of(archived, listed=listed), FIRST + timedelta(day)) is alive


def test_without_archives_a_contract_lives_as_long_as_rest_says() -> None:
    row = row_of([], facts=FACTS)

    lives = [was_alive(row, date(2024, 9, 26) + timedelta(n)) for n in (-1, 0, 183, 184)]

    assert lives == [False, True, True, False]


def test_what_rest_alone_told_of_lives_until_it_was_last_told_of() -> None:
    since = datetime(2025, 1, 1, tzinfo=UTC)
    row = row_of([], facts=SymbolFacts(symbol="BTC-USDT", since=since))

    assert [was_alive(row, date(2025, 3, day)) for day in (3, 4, 5)] == [True, True, False]


def test_a_row_gives_its_facts_back() -> None:
    assert facts_of(row_of([], facts=FACTS)) == FACTS
    assert list(row_of([], facts=FACTS)) == SYMBOL_SCHEMA.names()


def test_what_rest_said_once_is_kept_when_it_names_a_symbol_no_more() -> None:
    told = SymbolFacts(symbol=FACTS.symbol, base="BTCUSD", quote="T")

    assert renewed(None, {}, told) == told
    assert renewed(None, {FACTS.symbol: FACTS}, told) == FACTS
    gone = renewed(FACTS, {}, told)
    assert (gone.base, gone.status, gone.since) == ("BTC", None, FACTS.since)
    assert renewed(FACTS, None, told) == FACTS


def test_a_contract_size_once_known_stays() -> None:
    known = SymbolFacts(symbol="BTCUSD_PERP", quote="USD", contract_size=100.0)
    named = SymbolFacts(symbol="BTCUSD_PERP", quote="USD", contract_size=10.0)

    assert renewed(known, {"BTCUSD_PERP": named}, named).contract_size == 100.0


def test_what_has_ended_or_not_begun_does_not_trade_and_without_rest_nobody_knows() -> None:
    named = {
        "A": SymbolFacts(symbol="A"),
        "B": SymbolFacts(symbol="B", ended=True),
        "C": SymbolFacts(symbol="C", pending=True),
    }

    assert [trades_today(named, symbol) for symbol in "ABCD"] == [True, False, False, False]
    assert trades_today(None, "A") is None
