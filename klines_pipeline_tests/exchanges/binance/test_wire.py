"""Binance's wire format: archives and REST give the same rows, whatever the file's dialect."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from klines_pipeline.exchanges.binance.wire import parse_rows, parse_texts
from klines_pipeline.klines.schema import WIRE_SCHEMA

START = datetime(2025, 3, 1, tzinfo=UTC)
HEADER = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore"
)
PRICES = st.decimals(0, 10**6, places=8).map(str)


def cells(minute: int, unit: int = 1000) -> list[object]:
    """A kline as REST gives it, its times in ms (unit 1000) or µs (unit 1)."""
    opened = (int(START.timestamp()) + 60 * minute) * 1_000_000
    opens, closes = opened // unit, (opened + 60_000_000) // unit - 1
    return [
        opens,
        "84373.01",
        "84400.00",
        "84300.5",
        "84399.99",
        "12.34567",
        closes,
        "1041664.1",
        321,
        "6.1",
        "5e5",
        "0",
    ]


def csv(rows: list[list[object]], *, header: bool = False, end: str = "\n") -> bytes:
    lines = [HEADER] * header + [",".join(map(str, row)) for row in rows]
    return (end.join(lines) + end).encode() if lines else b""


EXPECTED = parse_rows("BTCUSDT", [cells(minute) for minute in range(3)])


def test_rows_have_their_columns_in_the_right_places() -> None:
    assert EXPECTED.schema == WIRE_SCHEMA
    assert EXPECTED.row(1) == (
        "BTCUSDT",
        START + timedelta(minutes=1),
        *(84373.01, 84400.0, 84300.5, 84399.99, 12.34567, 1041664.1, 321, 6.1, 500000.0),
    )


@pytest.mark.parametrize("header", [False, True])
@pytest.mark.parametrize("unit", [1, 1000], ids=["µs", "ms"])
@pytest.mark.parametrize("cut", [0, 1], ids=["ended", "last line not ended"])
def test_every_dialect_gives_the_rows_that_rest_gives(header: bool, unit: int, cut: int) -> None:  # noqa: FBT001
    text = csv([cells(minute, unit) for minute in range(3)], header=header)

    parsed = parse_texts({"BTCUSDT": text[: len(text) - cut]})

    assert_frame_equal(parsed.frame, EXPECTED)
    assert parsed.corrupt == {}


def test_units_are_decided_for_each_value() -> None:
    text = csv([cells(0, 1000), cells(1, 1), cells(2, 1000)])

    assert_frame_equal(parse_texts({"BTCUSDT": text}).frame, EXPECTED)


def test_many_texts_at_once_keep_their_symbols_and_one_bad_one_spoils_none() -> None:
    texts = {f"S{number:03d}": csv([cells(number)], header=number % 2 == 0) for number in range(150)}
    texts |= {
        "S007": b"<html>\nJust a moment\n",
        "S100": csv([[*cells(1), "13th"]]),
        "S101": b"",
        "S102": csv([], header=True),
    }

    parsed = parse_texts(texts)

    assert set(parsed.corrupt) == {"S007", "S100"}
    assert all(problem.startswith("its text is not klines: ") for problem in parsed.corrupt.values())
    assert parsed.frame["symbol"].to_list() == [
        name for name in sorted(texts) if name not in ("S007", "S100", "S101", "S102")
    ]
    minutes = (parsed.frame["open_time"] - START).dt.total_minutes()
    assert minutes.to_list() == [int(name[1:]) for name in parsed.frame["symbol"]]


@pytest.mark.parametrize(
    "text",
    [
        b"<html>\nJust a moment\n",
        csv([cells(0)]).replace(b"84373.01", b"eighty"),
        csv([cells(0)]).replace(b"321", b"3.5"),
        csv([[*cells(0), "13th", "14th"]]),
        csv([cells(0)]) + b"\xff\xfe\x00\n",
    ],
    ids=["html", "a word", "half a trade", "too many columns", "binary"],
)
def test_a_text_that_is_not_klines_is_corrupt_with_a_reason(text: bytes) -> None:
    parsed = parse_texts({"BTCUSDT": text})

    assert list(parsed.corrupt) == ["BTCUSDT"]
    assert parsed.frame.height == 0


@pytest.mark.parametrize("text", [b"1709251200000,1,2\n", b"\n"], ids=["short", "blank"])
def test_a_short_line_is_a_row_with_nulls_for_the_sieve_to_reject(text: bytes) -> None:
    parsed = parse_texts({"BTCUSDT": csv([cells(0)]) + text})

    assert parsed.frame.height == 2
    assert parsed.frame["close"].null_count() == 1


def test_no_texts_and_no_rows_are_an_empty_frame() -> None:
    assert parse_texts({}).frame.schema == WIRE_SCHEMA
    assert parse_rows("BTCUSDT", []).schema == WIRE_SCHEMA


@given(st.lists(st.tuples(PRICES, PRICES, st.integers(0, 10**12)), min_size=1, max_size=10))
def test_archive_and_rest_agree_to_the_last_bit(values: list[tuple[str, str, int]]) -> None:
    rows = [cells(minute) for minute in range(len(values))]
    for row, (price, volume, trades) in zip(rows, values, strict=True):
        row[1], row[5], row[8] = price, volume, trades

    from_archive, from_rest = parse_texts({"A": csv(rows)}).frame, parse_rows("A", rows)

    assert_frame_equal(from_archive, from_rest, check_exact=True)
    assert from_archive["open"].to_list() == [float(price) for price, _, _ in values]


@pytest.mark.parametrize(
    "rows", [[[1, 2]], [cells(0)[:11]], [["x", *cells(0)[1:]]], [[*cells(0)[:5], "n/a", *cells(0)[6:]]]]
)
def test_rest_rows_that_are_not_klines_are_refused(rows: list[list[object]]) -> None:
    with pytest.raises((pl.exceptions.PolarsError, TypeError, ValueError)):
        parse_rows("BTCUSDT", rows)
