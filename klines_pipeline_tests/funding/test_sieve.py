"""What becomes of rows as they were sent: the key, one row a key, and where the others went."""

from datetime import date, timedelta

import polars as pl
import pytest

from klines_pipeline.funding.schema import REJECTED_SCHEMA, REST, SETTLEMENT_SCHEMA, VISION, WIRE_SCHEMA
from klines_pipeline.funding.sieve import sieve
from klines_pipeline_tests.funding.moments import at

MONTH = date(2025, 3, 1)


def wire(*rows: tuple[float, int, float]) -> pl.DataFrame:
    """(hour of 2025-03-02, ms after it, rate) each."""
    return pl.DataFrame(
        [("BTCUSDT", at(hour) + timedelta(milliseconds=late), None, rate, None) for hour, late, rate in rows],
        schema=WIRE_SCHEMA,
        orient="row",
    )


def test_the_key_is_the_nearest_minute_and_the_jitter_is_kept() -> None:
    found = sieve(wire((8, 9, 0.1), (0, 0, 0.1), (16, 1, 0.1)), REST).rows

    assert found.schema == SETTLEMENT_SCHEMA
    assert found["funding_time"].to_list() == [at(0), at(8), at(16)]
    assert (found["calc_time"] - found["funding_time"]).to_list() == [timedelta(milliseconds=ms) for ms in (0, 9, 1)]


def test_a_settlement_some_milliseconds_before_midnight_is_that_of_midnight() -> None:
    found = sieve(wire((24, -3, 0.1)), REST).rows

    assert found["funding_time"].to_list() == [at(24)]
    assert found["calc_time"].to_list() == [at(24) - timedelta(milliseconds=3)]


def test_of_rows_with_one_key_the_last_counts_and_the_others_are_named_with_their_values() -> None:
    found = sieve(wire((8, 5, 0.1), (8, 0, 0.2), (16, 0, 0.3), (8, 0, 0.4)), REST)

    assert found.rows.select("funding_time", "funding_rate").rows() == [(at(8), 0.4), (at(16), 0.3)]
    assert found.rejected.schema == REJECTED_SCHEMA
    assert found.rejected.select("source", "reason", "funding_time", "funding_rate").rows() == [
        ("rest", "duplicate", at(8), 0.1),
        ("rest", "duplicate", at(8), 0.2),
    ]
    assert found.repeated == 2


def test_a_row_sent_twice_is_no_disagreement() -> None:
    found = sieve(wire((8, 0, 0.1), (8, 0, 0.1)), REST)

    assert (found.rows.height, found.rejected.height, found.repeated) == (1, 0, 1)


@pytest.mark.parametrize(("late", "inside"), [(-3, True), (-30_001, False)])
def test_what_is_of_another_month_is_told_by_the_key(late: int, *, inside: bool) -> None:
    found = sieve(wire((-24, late, 0.1)), VISION, month=MONTH)  # about 2025-03-01 00:00

    assert found.rows.height == inside
    assert found.rejected["reason"].to_list() == ([] if inside else ["outside_month"])
    assert found.repeated == 0
