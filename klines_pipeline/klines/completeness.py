"""Certificates of many days as a grid of symbols and days: where klines are missing, at a listing. Not drawn here."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import IntEnum

import polars as pl

from klines_pipeline.domain.utc_day import days_between
from klines_pipeline.klines.certificate import is_explained

_UNCERTIFIED = "uncertified"
"""Klines of a day that is over, of which its certificate does not speak."""


class Cell(IntEnum):
    """One symbol-day."""

    NOTHING = 0
    """No certificate: not wanted that day, never run, or failed."""
    COMPLETE = 1
    EXPLAINED = 2
    """Klines are missing, and the exchange itself never had them."""
    MISSING = 3
    """Klines are missing, and nobody has explained why; or the day is over and was certified in part only."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Rows are symbols, the one that lacks most first; columns are all the days, gaps between them included."""

    days: tuple[date, ...]
    symbols: tuple[str, ...]
    cells: tuple[tuple[Cell, ...], ...]
    left_out: int = 0
    """Symbols that lack no more than those shown."""


def completeness(
    certificates: pl.DataFrame, first: date, last: date, *, symbols: int, bars_per_day: int, newest: date
) -> Grid:
    """Days `first` to `last` of at most so many `symbols`; `certificates` have a column `date`. Days before `newest`
    are over and owe `bars_per_day` klines.
    """
    columns = tuple(days_between(first, last))
    uncertified = (bars_per_day - pl.col("expected")).clip(0)
    shown = certificates.filter(pl.col("date").is_between(first, last)).with_columns(
        pl.when(pl.col("date") < newest).then(uncertified).otherwise(0).alias(_UNCERTIFIED)
    )
    known = {(row["symbol"], row["date"]): _cell(row) for row in shown.iter_rows(named=True)}
    ranks = _lacking(shown)
    worst = sorted(ranks, key=lambda symbol: (*(-lack for lack in ranks[symbol]), symbol))
    rows = tuple(worst[:symbols])
    cells = tuple(tuple(known.get((symbol, day), Cell.NOTHING) for day in columns) for symbol in rows)
    return Grid(columns, rows, cells, len(worst) - len(rows))


def _cell(row: Mapping[str, object]) -> Cell:
    if row[_UNCERTIFIED]:
        return Cell.MISSING
    if not row["missing"]:
        return Cell.COMPLETE
    return Cell.EXPLAINED if is_explained(str(row["reason"])) else Cell.MISSING


def _lacking(certificates: pl.DataFrame) -> dict[str, tuple[int, int]]:
    """Klines that a symbol lacks without a reason of the exchange's, and in all."""
    lacking = dict[str, tuple[int, int]]()
    columns = certificates.select("symbol", "missing", "reason", _UNCERTIFIED)
    for symbol, missing, reason, uncertified in columns.iter_rows():
        unexplained, total = lacking.get(symbol, (0, 0))
        unknown = uncertified + (0 if is_explained(reason) else missing)
        lacking[symbol] = (unexplained + unknown, total + missing + uncertified)
    return lacking
