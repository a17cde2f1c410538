"""Two sources into one table, and what REST alone adds."""

from datetime import timedelta

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from klines_pipeline.funding.merge import disagreeing_symbols, merge_funding, row_changes
from klines_pipeline.funding.schema import (
    FUNDING_SCHEMA,
    REST,
    VISION,
    WIRE_SCHEMA,
    with_intervals,
)
from klines_pipeline.funding.sieve import sieve
from klines_pipeline_tests.funding.moments import at, rows


def test_an_archive_row_wins_and_keeps_the_mark_price_of_rest() -> None:
    merged = merge_funding(rows("BTCUSDT", [0, 8]), rows("BTCUSDT", [8, 16], source=REST))

    assert merged.table.schema == FUNDING_SCHEMA
    assert merged.table.select("funding_time", "source", "mark_price").rows() == [
        (at(0), "vision", None),
        (at(8), "vision", 2.5),
        (at(16), "rest", 2.5),
    ]
    assert merged.conflicts.is_empty()


def test_a_rate_on_which_both_disagree_is_listed_with_both_values() -> None:
    merged = merge_funding(rows("BTCUSDT", [0, 8]), rows("BTCUSDT", [0, 8], source=REST, rate=0.0002).tail(1))

    assert merged.table["funding_rate"].to_list() == [0.0001, 0.0001]
    assert merged.conflicts.select("funding_time", "funding_rate", "funding_rate_rest").rows() == [
        (at(8), 0.0001, 0.0002)
    ]


def test_archives_agree_with_rest_only_in_every_rate_and_settlement() -> None:
    archived = pl.concat([rows(name, [0, 8]) for name in ("AAA", "BBB", "CCC")])
    asked = [
        rows("AAA", [0, 8], source=REST),
        rows("BBB", [0, 8], source=REST, rate=0.1),
        rows("CCC", [0, 8, 16], source=REST),
    ]

    assert disagreeing_symbols(archived, pl.concat(asked)) == {"BBB", "CCC"}


def test_two_versions_differ_by_settlements_added_removed_and_changed() -> None:
    old = rows("BTCUSDT", [0, 8, 16])
    new = pl.concat([rows("BTCUSDT", [0]), rows("BTCUSDT", [8], rate=0.5), rows("BTCUSDT", [20, 22])])

    assert row_changes(old, new) == (2, 1, 1)
    assert row_changes(old.head(0), new) == (4, 0, 0)


def wire(*times: tuple[float, int]) -> pl.DataFrame:
    """(hour, ms after it) each."""
    return pl.DataFrame(
        [("BTCUSDT", at(hour) + timedelta(milliseconds=late), None, 0.0001, None) for hour, late in times],
        schema=WIRE_SCHEMA,
        orient="row",
    )


def settled(*times: tuple[float, int]) -> pl.DataFrame:
    """Settlements of such rows."""
    return sieve(wire(*times), VISION).rows


def test_a_settlement_stamped_just_before_its_minute_belongs_to_it() -> None:
    found = settled((0, -2), (8, -1000), (16, -1001))

    assert found["funding_time"].to_list() == [at(0), at(8), at(16) - timedelta(minutes=1)]


def intervals(*hours: float) -> list[int | None]:
    """Of settlements at these hours."""
    return with_intervals(settled(*((hour, 3) for hour in hours)))["interval_hours"].to_list()


def test_intervals_are_whole_hours_since_the_settlement_before() -> None:
    assert intervals(0, 8, 16, 20, 24, 25, 26) == [None, 8, 8, 4, 4, 1, 1]
    assert intervals(0, 4, 8, 16, 24) == [None, 4, 4, 8, 8]
    assert intervals(16, 24) == [None, 8]


@pytest.mark.parametrize(
    ("hours", "hole"),
    [
        ((0, 4, 8, 16, 20, 24), 3),
        ((0, 1, 2, 4, 5, 6), 3),
        ((0, 1, 2, 5, 6, 7), 3),
        ((0, 1, 2, 10, 11, 12), 3),
        ((0, 2, 4, 8, 10, 12), 3),
        ((0, 4, 8, 16), 3),
        ((8, 10, 11, 12), 1),
        ((0, 8, 24, 32), 2),
    ],
)
def test_a_longer_step_that_none_beside_it_confirms_is_a_hole(hours: tuple[int, ...], hole: int) -> None:
    found = intervals(*hours)

    assert [place for place, interval in enumerate(found) if interval is None] == [0, hole]


def test_two_holes_side_by_side_do_not_confirm_each_other_off_their_grid() -> None:
    assert intervals(6, 7, 9, 11, 12) == [None, 1, None, None, 1]


def test_a_regular_interval_may_lie_off_the_grid() -> None:
    assert intervals(2, 6, 10, 14, 18)[2:-1] == [4, 4]


def test_intervals_do_not_reach_from_one_symbol_to_the_next() -> None:
    other = wire((8, 0)).with_columns(pl.lit("ETHUSDT").alias("symbol"))

    found = with_intervals(sieve(pl.concat([wire((0, 0)), other]), VISION).rows)

    assert_frame_equal(
        found.select("interval_hours"),
        pl.DataFrame({"interval_hours": [None, None]}, schema={"interval_hours": pl.Int16}),
    )
