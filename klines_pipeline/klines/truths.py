"""What checks are made of: a truth, how grave it is when it does not hold, a rule that counts where it does not.

The rules themselves stand in `quality`; truths that take a second source in `agreement`.
"""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from enum import StrEnum
from typing import NamedTuple

import polars as pl

from klines_pipeline.domain.phrases import some_of
from klines_pipeline.domain.utc_day import day_end, day_start

CLOSES = pl.Schema({"symbol": pl.String(), "last_close": pl.Float64()})
"""How each symbol ended a day."""
_NAMED = 5


class DayTables(NamedTuple):
    """What rules may look at: one day's rows, archives ledger and certificates, and how the day before ended."""

    day: date
    klines: pl.DataFrame
    archives: pl.DataFrame = pl.DataFrame()
    certificates: pl.DataFrame = pl.DataFrame()
    """Without columns where the rows have not been certified yet."""
    closes_before: pl.DataFrame = CLOSES.to_frame()
    """In CLOSES; without symbols that have no kline on the day before."""
    due: datetime | None = None
    """Open time that every symbol must have reached, UTC; None once the day is over."""
    owed: int = 0
    """Klines that each certificate must speak of; 0 while the day may be in progress."""


class Severity(StrEnum):
    """ERROR: the data is wrong. WARN: people should look."""

    ERROR = "ERROR"
    WARN = "WARN"


class Truth(NamedTuple):
    """What a check says in its name, how grave it is when it does not hold, and what to do then."""

    name: str
    severity: Severity
    description: str
    breach: str = "breach"
    """What is counted where it does not hold, in the singular, noun first: `row out of order`."""

    @property
    def blocking(self) -> bool:
        """Whether nothing may be made from data for which it does not hold."""
        return self.severity is Severity.ERROR

    @property
    def remedy(self) -> str:
        """The end of the description."""
        return self.description.partition("Remedy: ")[2]


class Rule(NamedTuple):
    """A truth of one day, and the function that returns one row (symbol, breaches) for each symbol that breaks it."""

    truth: Truth
    breaches: Callable[[DayTables], pl.DataFrame]


def truth_of(function: Callable[..., object], severity: Severity, breach: str) -> Truth:
    """The function's name and docstring; `breach` as in Truth."""
    return Truth(function.__name__, severity, " ".join((function.__doc__ or "").split()), breach)


def by_symbol(frame: pl.DataFrame, breach: pl.Expr) -> pl.DataFrame:
    """Rows of each symbol for which `breach` is true."""
    return frame.filter(breach).group_by("symbol").agg(pl.len().alias("breaches")).sort("symbol")


def misplaced(time: str) -> pl.Expr:
    """Whether a row has no key, or does not follow the row before it in order of (symbol, `time`)."""
    symbol, moment = pl.col("symbol"), pl.col(time)
    early = (symbol < symbol.shift(1)) | ((symbol == symbol.shift(1)) & (moment <= moment.shift(1)))
    return early.fill_null(value=False) | symbol.is_null() | moment.is_null()


def outside(day: date, time: str) -> pl.Expr:
    """Whether a row's `time` is of another UTC day."""
    return ~pl.col(time).is_between(day_start(day), day_end(day), closed="left")


def what_is_wrong(tables: DayTables, rules: Mapping[str, Rule]) -> str | None:
    """Why nothing may be made from the day's rows: each blocking rule they break, the symbols, the remedy. None if they
    break none. Of the tables, `day` and `klines` are enough.
    """
    found = [(rule.truth, rule.breaches(tables)) for rule in rules.values() if rule.truth.blocking]
    return " ".join(_sentence(truth, breaches) for truth, breaches in found if breaches.height) or None


def _sentence(truth: Truth, breaches: pl.DataFrame) -> str:
    named = some_of((f"{symbol} ({count} rows)" for symbol, count in breaches.iter_rows()), _NAMED)
    return f"{truth.name} does not hold for {named}. Remedy: {truth.remedy}"
