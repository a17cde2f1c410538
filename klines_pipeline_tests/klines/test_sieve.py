"""Rows that cannot be klines of the day are named and kept aside; nothing disappears."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from klines_pipeline.klines.ledgers import REJECTED_SCHEMA
from klines_pipeline.klines.schema import CONTRACT_SCHEMA, VISION, WIRE_SCHEMA, with_contracts
from klines_pipeline.klines.sieve import sieve
from klines_pipeline_tests.klines.frames import DAY, at, frame, keys, kline, klines


def wire(*rows: dict[str, object]) -> pl.DataFrame:
    return frame(rows).select(WIRE_SCHEMA.names())


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"close": None}, "malformed"),
        ({"open_time": None}, "malformed"),
        ({"trades": None}, "malformed"),
        ({"high": float("nan")}, "non_finite"),
        ({"quote_volume": float("inf")}, "non_finite"),
        ({"volume": -1.0}, "negative"),
        ({"trades": -1}, "negative"),
        ({"low": -0.1}, "negative"),
        ({"high": 8.0}, "high_below_low"),
        ({"open_time": at(-1)}, "outside_day"),
        ({"open_time": at(1440)}, "outside_day"),
    ],
)
def test_a_row_that_cannot_be_is_rejected_with_its_reason(fields: dict[str, object], reason: str) -> None:
    sieved = sieve(wire(kline("BTCUSDT", 1), kline("BTCUSDT", 2, **fields)), DAY.date(), VISION)

    assert keys(sieved.kept) == [("BTCUSDT", at(1))]
    assert sieved.rejected.select("source", "reason").rows() == [(VISION, reason)]
    assert sieved.rejected.schema == REJECTED_SCHEMA


@pytest.mark.parametrize(
    "fields",
    [
        {"open_time": at(1.5)},
        {"volume": 0.0, "trades": 0, "quote_volume": 0.0, "taker_buy_volume": 0.0},
        {"open": 9.0, "high": 9.0, "low": 9.0, "close": 9.0},
        {"open_time": at(0)},
        {"open_time": at(1439)},
        {"open": 13.0},
    ],
    ids=["off the grid", "no trades", "no movement", "first minute", "last minute", "open above high"],
)
def test_a_strange_but_possible_row_is_kept(fields: dict[str, object]) -> None:
    sieved = sieve(wire(kline("BTCUSDT", 2, **fields)), DAY.date(), VISION)

    assert (sieved.kept.height, sieved.rejected.height) == (1, 0)


def test_columns_an_exchange_does_not_have_may_be_null() -> None:
    rows = wire(kline("BTCUSDT", 1, trades=None, taker_buy_volume=None, taker_buy_quote_volume=None))
    has_no = ("trades", "taker_buy_volume", "taker_buy_quote_volume")

    assert sieve(rows, DAY.date(), VISION, nullable=has_no).kept.height == 1
    assert sieve(rows, DAY.date(), VISION).kept.height == 0


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"taker_buy_volume": float("nan")}, "non_finite"),
        ({"taker_buy_quote_volume": float("inf")}, "non_finite"),
        ({"taker_buy_volume": -1.0}, "negative"),
        ({"trades": -3}, "negative"),
    ],
)
def test_what_stands_in_a_column_that_may_be_null_must_still_be_a_number(
    fields: dict[str, object], reason: str
) -> None:
    blank: dict[str, object] = dict.fromkeys(("trades", "taker_buy_volume", "taker_buy_quote_volume"))
    rows = wire(kline("BTCUSDT", 1, **blank), kline("BTCUSDT", 2, **blank | fields))

    sieved = sieve(rows, DAY.date(), VISION, nullable=tuple(blank))

    assert keys(sieved.kept) == [("BTCUSDT", at(1))]
    assert sieved.rejected["reason"].to_list() == [reason]


def counted(*contracts: tuple[int | None, int | None], minute: int | None = None) -> pl.DataFrame:
    """Rows of a market that counts in contracts, a minute each or all of one: traded, and bought by takers."""
    rows = wire(*(kline("BTCUSD_PERP", n if minute is None else minute) for n in range(len(contracts))))
    columns = dict(zip(CONTRACT_SCHEMA, zip(*contracts, strict=True), strict=True))
    whole = rows.with_columns(pl.Series(name, values, pl.Int64) for name, values in columns.items())
    return whole.select(with_contracts(WIRE_SCHEMA).names())


@pytest.mark.parametrize(
    ("contracts", "reason"),
    [((-1, 0), "negative"), ((5, -1), "negative"), ((None, 1), "malformed"), ((5, None), "malformed")],
)
def test_contracts_are_counts_and_there(contracts: tuple[int | None, int | None], reason: str) -> None:
    sieved = sieve(counted((5, 2), contracts), DAY.date(), VISION, nullable=("quote_volume", "taker_buy_quote_volume"))

    assert keys(sieved.kept) == [("BTCUSD_PERP", at(0))]
    assert sieved.rejected["reason"].to_list() == [reason]


def test_rows_that_differ_in_contracts_alone_are_no_repetition() -> None:
    sieved = sieve(counted((5, 2), (99, 2), minute=3), DAY.date(), VISION)

    assert sieved.kept["contracts"].to_list() == [99]
    assert sieved.rejected["reason"].to_list() == ["duplicate"]
    assert sieved.duplicates == 1


def test_of_rows_with_one_key_the_last_counts_and_the_others_are_counted() -> None:
    rows = wire(kline("B", 1, volume=1.0), kline("A", 1), kline("B", 1, volume=2.0), kline("B", 0))

    sieved = sieve(rows, DAY.date(), VISION)

    assert keys(sieved.kept) == [("A", at(1)), ("B", at(0)), ("B", at(1))]
    assert sieved.kept["volume"].to_list()[-1] == 2.0
    assert sieved.duplicates == 1


@given(
    st.lists(st.tuples(st.sampled_from("AB"), st.integers(-2, 1441), st.sampled_from([5.0, -1.0, None])), max_size=30)
)
def test_every_row_is_kept_rejected_or_counted_as_a_duplicate(rows: list[tuple[str, int, float | None]]) -> None:
    given_rows = wire(*(kline(symbol, minute, volume=volume) for symbol, minute, volume in rows))

    sieved = sieve(given_rows, DAY.date(), VISION)

    assert sieved.kept.height + sieved.rejected.height + sieved.duplicates == len(rows)
    assert keys(sieved.kept) == sorted(set(keys(sieved.kept)))


def test_a_clean_frame_comes_out_as_it_went_in() -> None:
    rows = klines("BTCUSDT", range(1440)).select(WIRE_SCHEMA.names())

    assert sieve(rows, DAY.date(), VISION).kept.equals(rows)
