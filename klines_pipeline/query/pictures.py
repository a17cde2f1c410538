"""The lake in two pictures, read and drawn: how complete a month is, and what traded. Needs the extra `charts`."""

from datetime import date, timedelta
from math import ceil
from typing import NamedTuple

import polars as pl

from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.klines.candles import candles
from klines_pipeline.klines.completeness import completeness
from klines_pipeline.klines.schema import KLINE_SCHEMA
from klines_pipeline.query.certificates import certificates
from klines_pipeline.query.chart import small_candlestick, small_heat_map
from klines_pipeline.query.tables import scan_days
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.tables import stored_days

_TABLE = "klines"
_DAYS, _ROWS, _CANDLES = 30, 60, 96


class Picture(NamedTuple):
    """A PNG and what it shows."""

    caption: str
    png: bytes


def heat_map(lake: Lake, dataset: Dataset, last: date) -> Picture:
    """Completeness of each symbol in the 30 days up to `last`: the 60 symbols that lack most."""
    first = max(dataset.start, last - timedelta(days=_DAYS - 1))
    grid = completeness(
        certificates(lake, dataset, first=first, last=last),
        first,
        last,
        symbols=_ROWS,
        bars_per_day=dataset.interval.bars_per_day,
        newest=stored_days(lake, "ledger/certificates", *dataset.prefix, str(dataset.interval))[-1],
    )
    shown = f"{len(grid.symbols)} symbols"
    if grid.left_out:
        shown = f"the {len(grid.symbols)} of {len(grid.symbols) + grid.left_out} symbols that lack most"
    title = f"{dataset}, {first} to {last}"
    return Picture(f"Completeness by day: {shown}.", small_heat_map(grid, title=title))


def candlestick(lake: Lake, dataset: Dataset, last: date) -> Picture | None:
    """The most traded symbol of `last`: that day, or as many before it as fill the picture; None without a kline."""
    where = (dataset.exchange, dataset.market, str(dataset.interval))
    wanted = ceil(_CANDLES * dataset.interval.duration / timedelta(days=1))
    days = [day for day in stored_days(lake, _TABLE, *where) if last - timedelta(days=wanted) < day <= last]
    rows = scan_days(lake, _TABLE, *where, days=days, schema=KLINE_SCHEMA)
    traded = rows.filter(pl.col("date") == last).group_by("symbol").agg(pl.col("quote_volume").sum()).collect()
    if traded.is_empty():
        return None
    symbol = traded.sort("quote_volume", "symbol", descending=[True, False], nulls_last=True)["symbol"][0]
    drawn = candles(rows.filter(pl.col("symbol") == symbol).collect(), dataset.interval.duration, most=_CANDLES)
    span = f"{last}" if days[0] == last else f"{days[0]} to {last}"
    title = f"{symbol}, {span} (UTC)"
    return Picture(f"{symbol}, the symbol most traded on {last}.", small_candlestick(drawn, title=title))
