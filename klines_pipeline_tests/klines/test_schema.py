"""The kline table's columns are a contract."""

import polars as pl

from klines_pipeline.funding.schema import FUNDING_COLUMNS
from klines_pipeline.klines.schema import (
    CONTRACT_COLUMNS,
    KLINE_COLUMNS,
    KLINE_SCHEMA,
    REST,
    WIRE_SCHEMA,
    with_provenance,
)
from klines_pipeline_tests.klines.frames import at, klines

CONTRACT = {
    "symbol": pl.String(),
    "open_time": pl.Datetime("us", "UTC"),
    "open": pl.Float64(),
    "high": pl.Float64(),
    "low": pl.Float64(),
    "close": pl.Float64(),
    "volume": pl.Float64(),
    "quote_volume": pl.Float64(),
    "trades": pl.Int64(),
    "taker_buy_volume": pl.Float64(),
    "taker_buy_quote_volume": pl.Float64(),
    "source": pl.String(),
    "revision": pl.Int16(),
    "ingested_at": pl.Datetime("us", "UTC"),
}


def test_columns_types_and_order_are_the_published_ones() -> None:
    assert list(KLINE_SCHEMA.items()) == list(CONTRACT.items())


def test_every_column_says_what_it_holds() -> None:
    assert all(column.meaning for column in KLINE_COLUMNS)


def test_what_may_be_null_says_so() -> None:
    columns = (*KLINE_COLUMNS, *CONTRACT_COLUMNS, *FUNDING_COLUMNS)

    assert [
        column.name
        for column in columns
        if column.nullable != ("null" in column.meaning or "likewise" in column.meaning)
    ] == []


def test_wire_rows_with_provenance_are_table_rows() -> None:
    wire = klines("BTCUSDT", [0, 1]).select(WIRE_SCHEMA.names())

    rows = with_provenance(wire, REST, pl.lit(0), pl.lit(at(5)))

    assert rows.schema == KLINE_SCHEMA
    assert rows.select("source", "revision", "ingested_at").unique().rows() == [(REST, 0, at(5))]
