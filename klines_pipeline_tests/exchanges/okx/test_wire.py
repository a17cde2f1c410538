"""OKX's rows: closed candles only, and in every market base volume as volume and quote volume as quote volume."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from klines_pipeline.exchanges.okx.markets import MARKETS
from klines_pipeline.exchanges.okx.wire import oldest_open_time, parse_rows
from klines_pipeline.klines.schema import WIRE_SCHEMA
from klines_pipeline_tests.exchanges.okx.bodies import START, candle, minutes

SPOT, SWAP = MARKETS["spot"], MARKETS["swap"]


def rows_of(root: Path, name: str) -> list[list[str]]:
    """The rows of a real answer."""
    rows: list[list[str]] = json.loads((root / "rest/okx/candles" / name).read_text())["data"]
    return rows


@pytest.mark.parametrize("market", MARKETS.values(), ids=list(MARKETS))
def test_rows_come_newest_first_and_leave_oldest_first(market: object) -> None:
    frame = parse_rows(market, "X-Y", [candle(time) for time in reversed(minutes(0, 5))])  # type: ignore[arg-type]

    assert frame.schema == WIRE_SCHEMA
    assert frame["open_time"].to_list() == minutes(0, 5)
    assert frame["close"].to_list() == [60_000.5, 60_001.5, 60_002.5, 60_003.5, 60_004.5]
    assert frame["symbol"].unique().to_list() == ["X-Y"]


def test_a_candle_that_still_forms_is_dropped_but_counts_for_how_far_the_rows_reach() -> None:
    rows = [candle(START + timedelta(minutes=1)), candle(START, confirm="0")]

    assert parse_rows(SPOT, "BTC-USDT", rows)["open_time"].to_list() == [START + timedelta(minutes=1)]
    assert oldest_open_time(rows) == START


@pytest.mark.parametrize(("market", "base", "quote"), [("spot", 300.0, 3.0), ("swap", 3.0, 6.0)])
def test_volumes_are_base_and_quote_and_never_contracts(market: str, base: float, quote: float) -> None:
    frame = parse_rows(MARKETS[market], "BTC-USDT", [candle(START)])

    assert frame.select("volume", "quote_volume").row(0) == (base, quote)


@pytest.mark.parametrize(("market", "base", "quote"), [("spot", 300.0, 3.0), ("swap", 3.0, None)])
def test_older_rows_of_seven_columns_have_no_quote_volume_of_swaps(market: str, base: float, quote: float) -> None:
    frame = parse_rows(MARKETS[market], "BTC-USDT", [candle(START)[:7]])

    assert frame.select("volume", "quote_volume").row(0) == (base, quote)


@pytest.mark.parametrize("market", MARKETS.values(), ids=list(MARKETS))
def test_what_okx_does_not_publish_is_null_and_may_be(market: object) -> None:
    frame = parse_rows(market, "X-Y", [candle(START)[:7]])  # type: ignore[arg-type]

    nulls = {name for name in frame.columns if frame[name].null_count()}
    assert nulls <= set(market.nullable)  # type: ignore[attr-defined]
    assert {"trades", "taker_buy_volume", "taker_buy_quote_volume"} <= nulls


def test_no_rows_are_an_empty_frame() -> None:
    assert_frame_equal(parse_rows(SPOT, "BTC-USDT", []), WIRE_SCHEMA.to_frame())
    assert oldest_open_time([]) is None


def test_a_time_beyond_the_calendar_is_none() -> None:
    far = ["999999999999999999", *candle(START)[1:]]

    assert parse_rows(SPOT, "BTC-USDT", [far, candle(START)])["open_time"].to_list() == [None, START]
    with pytest.raises(ValueError, match="none of them has an open time"):
        oldest_open_time([far])


@pytest.mark.parametrize(
    "rows",
    [
        [candle(START)[:8]],
        [candle(START), candle(START)[:7]],
        [[1.5] * 9],
        [7],
        [{}],
    ],
    ids=["8 columns", "7 and 9 columns", "numbers", "no row", "object"],
)
def test_what_are_no_candles_is_refused(rows: list[object]) -> None:
    with pytest.raises((pl.exceptions.PolarsError, TypeError, ValueError)):
        parse_rows(SPOT, "BTC-USDT", rows)


@pytest.mark.parametrize(("place", "column"), [(0, "open_time"), (1, "open"), (5, "volume"), (6, "quote_volume")])
def test_a_cell_that_is_no_number_is_null_and_costs_no_other_row(place: int, column: str) -> None:
    """OKX writes "" for what does not apply; whether the row can do without, the sieve decides."""
    bad = [*candle(START)]
    bad[place] = ""

    frame = parse_rows(SPOT, "BTC-USDT", [candle(START + timedelta(minutes=1)), bad])

    assert sorted(frame[column].is_null()) == [False, True]


def test_a_real_answer_of_spot_loses_its_open_candle(real_root: Path) -> None:
    frame = parse_rows(SPOT, "BTC-USDT", rows_of(real_root, "candles.json"))

    (row,) = frame.rows(named=True)
    assert row["open_time"] == datetime(2026, 7, 28, 16, tzinfo=UTC)
    assert (row["open"], row["high"], row["low"], row["close"]) == (63923.4, 64751.6, 63504.2, 63972.4)
    assert (row["volume"], row["quote_volume"]) == (4481.85464847, 287506892.157491959)


def test_a_real_answer_of_a_swap_has_coins_for_volume(real_root: Path) -> None:
    frame = parse_rows(SWAP, "BTC-USDT-SWAP", rows_of(real_root, "http_get_candlesticks_full.json"))

    assert frame["open_time"].to_list() == [datetime(2025, 5, 12, 23, minute, tzinfo=UTC) for minute in (53, 54)]
    assert frame.select("volume", "quote_volume").row(1) == (10.4037, 1069603.34883)
