"""Certificates of many days as a grid of symbols and days: where klines are missing, at a glance. Not drawn here."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import IntEnum

import polars as pl

from klines_pipeline.domain.utc_day import days_between
from klines_pipeline.klines.certificate import is_explained


class Cell(IntEnum):
    """One symbol-day."""

    NOTHING = 0
    """No certificate: not wanted that day, never run, or failed."""
    COMPLETE = 1
    EXPLAINED = 2
    """Klines are missing, and the exchange itself never had them."""
    MISSING = 3
    """Klines are missing, and nobody has explained why."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Rows are symbols, the one that lacks most first; columns are all the days, gaps between them included."""

    days: tuple[date, ...]
    symbols: tuple[str, ...]
    cells: tuple[tuple[Cell, ...], ...]
    left_out: int = 0
    """Symbols that lack no more than those shown."""


def completeness(certificates: pl.DataFrame, first: date, last: date, *, symbols: int) -> Grid:
    """Days `first` to `last` of at most so many `symbols`; `certificates` have a column `date`."""
    columns = tuple(days_between(first, last))
    shown = certificates.filter(pl.col("date").is_between(first, last))
    known = {(row["symbol"], row["date"]): _cell(row) for row in shown.iter_rows(named=True)}
    ranks = _lacking(shown)
    worst = sorted(ranks, key=lambda symbol: (*(-lack for lack in ranks[symbol]), symbol))
    rows = tuple(worst[:symbols])
    cells = tuple(tuple(known.get((symbol, day), Cell.NOTHING) for day in columns) for symbol in rows)
    return Grid(columns, rows, cells, len(worst) - len(rows))


def _cell(row: Mapping[str, object]) -> Cell:
    if not row["missing"]:
        return Cell.COMPLETE
    return Cell.EXPLAINED if is_explained(str(row["reason"])) else Cell.MISSING


def _lacking(certificates: pl.DataFrame) -> dict[str, tuple[int, int]]:
    """Klines that a symbol lacks without a reason of the exchange's, and in all."""
    lacking = dict[str, tuple[int, int]]()
    for symbol, missing, reason in certificates.select("symbol", "missing", "reason").iter_rows():
        unexplained, total = lacking.get(symbol, (0, 0))
        lacking[symbol] = (unexplained + (0 if is_explained(reason) else missing), total + missing)
    return lacking
