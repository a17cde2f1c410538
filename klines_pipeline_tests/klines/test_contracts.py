"""Quote volume of markets that count in contracts: contracts times size, or nothing."""

import polars as pl

from klines_pipeline.klines.contracts import with_quote_volume
from klines_pipeline_tests.klines.frames import frame, kline


def of_contracts(*rows: tuple[str, int | None, int | None]) -> pl.DataFrame:
    """A kline a row: its symbol, contracts traded, and bought by takers."""
    blank = {"quote_volume": None, "taker_buy_quote_volume": None}
    klines = frame(kline(symbol, minute, **blank) for minute, (symbol, _, _) in enumerate(rows))
    return klines.with_columns(
        pl.Series("contracts", [row[1] for row in rows], pl.Int64),
        pl.Series("taker_buy_contracts", [row[2] for row in rows], pl.Int64),
    )


def test_quote_volume_is_contracts_times_the_symbols_own_size() -> None:
    valued = with_quote_volume(
        of_contracts(("BTCUSD_PERP", 7, 3), ("ETHUSD_PERP", 5, 0)), {"BTCUSD_PERP": 100.0, "ETHUSD_PERP": 10.0}
    )

    assert valued.select("quote_volume", "taker_buy_quote_volume").rows() == [(700.0, 300.0), (50.0, 0.0)]


def test_where_the_size_is_unknown_there_is_no_quote_volume() -> None:
    """No number at all: contracts are no quote asset, whatever their number."""
    valued = with_quote_volume(of_contracts(("BTCUSD_PERP", 7, 3), ("XMRUSD_PERP", 5, 2)), {"BTCUSD_PERP": 100.0})

    assert valued["quote_volume"].to_list() == [700.0, None]
    assert valued["taker_buy_quote_volume"].to_list() == [300.0, None]


def test_without_any_size_no_row_has_a_quote_volume() -> None:
    assert with_quote_volume(of_contracts(("XMRUSD_PERP", 5, 2)), {})["quote_volume"].to_list() == [None]


def test_markets_that_count_in_coins_keep_their_own_quote_volume() -> None:
    rows = frame([kline("BTCUSDT", 0, quote_volume=42.0)])

    assert with_quote_volume(rows, {"BTCUSDT": 100.0}).equals(rows)
