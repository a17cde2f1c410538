"""Rules a finished day must pass. Each is one function over the day's tables; registering it makes its check appear.

A rule's name states a truth; its docstring is what people read beside the check, and ends with the remedy.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple

import polars as pl

from klines_pipeline.domain.states import UNUSABLE
from klines_pipeline.klines.certificate import is_explained
from klines_pipeline.klines.ledgers import NEWER_VERSION


class DayTables(NamedTuple):
    """What rules may look at: the day's klines, archives ledger and certificates."""

    klines: pl.DataFrame
    archives: pl.DataFrame
    certificates: pl.DataFrame


class Severity(StrEnum):
    """ERROR: the data is wrong. WARN: people should look."""

    ERROR = "ERROR"
    WARN = "WARN"


class Rule(NamedTuple):
    """A truth, how grave its breach is, and the function that counts breaches by symbol."""

    name: str
    severity: Severity
    description: str
    breaches: Callable[[DayTables], pl.DataFrame]


RULES: dict[str, Rule] = {}
_TOLERANCE = 1e-3  # of 79,000 real klines with trades, spot, um and cm, none is off by more than 5e-7
_LAST_BASE_DIGIT = 1e-8
_LAST_QUOTE_DIGIT = 1e-5  # USD-M prints 5 decimals


def rule(severity: Severity) -> Callable[[Callable[[DayTables], pl.DataFrame]], Callable[[DayTables], pl.DataFrame]]:
    """Register a function that returns one row (symbol, breaches) for each symbol that breaks the truth."""

    def register(function: Callable[[DayTables], pl.DataFrame]) -> Callable[[DayTables], pl.DataFrame]:
        description = " ".join((function.__doc__ or "").split())
        RULES[function.__name__] = Rule(function.__name__, severity, description, function)
        return function

    return register


def _by_symbol(frame: pl.DataFrame, breach: pl.Expr) -> pl.DataFrame:
    return frame.filter(breach).group_by("symbol").agg(pl.len().alias("breaches")).sort("symbol")


@rule(Severity.ERROR)
def key_is_unique_and_sorted(tables: DayTables) -> pl.DataFrame:
    """Rows are sorted by (symbol, open_time) and no key stands twice. Remedy: materialize the day again."""
    previous = (pl.col("symbol").shift(1), pl.col("open_time").shift(1))
    out_of_order = (pl.col("symbol") < previous[0]) | (
        (pl.col("symbol") == previous[0]) & (pl.col("open_time") <= previous[1])
    )
    return _by_symbol(tables.klines, out_of_order)


@rule(Severity.ERROR)
def high_and_low_bound_open_and_close(tables: DayTables) -> pl.DataFrame:
    """No open or close lies above high or below low. Remedy: compare the archive with REST for the day named."""
    highest, lowest = pl.max_horizontal("open", "close"), pl.min_horizontal("open", "close")
    return _by_symbol(tables.klines, (highest > pl.col("high")) | (lowest < pl.col("low")))


@rule(Severity.WARN)
def average_price_lies_between_low_and_high(tables: DayTables) -> pl.DataFrame:
    """Quote volume over base volume is a price between low and high, within 0.1 % and the last printed digit: contracts
    pass for coins nowhere. Remedy: look at the rows; for `cm`, at `contract_size` in ledger/symbols."""
    least = pl.col("low") * (pl.col("volume") - _LAST_BASE_DIGIT) * (1 - _TOLERANCE) - _LAST_QUOTE_DIGIT
    most = pl.col("high") * (pl.col("volume") + _LAST_BASE_DIGIT) * (1 + _TOLERANCE) + _LAST_QUOTE_DIGIT
    return _by_symbol(tables.klines, (pl.col("quote_volume") < least) | (pl.col("quote_volume") > most))


@rule(Severity.WARN)
def archive_matches_checksum(tables: DayTables) -> pl.DataFrame:
    """Every published archive was whole and equalled its .CHECKSUM. Remedy: see `state` in the archives ledger; the
    archive is fetched again when the exchange rewrites it, and REST fills the day meanwhile."""
    newer = pl.col("error").fill_null("").str.contains(NEWER_VERSION, literal=True)
    return _by_symbol(tables.archives, pl.col("state").is_in(list(UNUSABLE)) | newer)


@rule(Severity.WARN)
def klines_are_complete_or_explained(tables: DayTables) -> pl.DataFrame:
    """Every expected kline is there, or its absence is the exchange's own, by evidence. Remedy: `klines certificate`
    names the gaps and reasons; materialize the day again once the cause has passed."""
    unexplained = [
        {"symbol": row["symbol"], "breaches": row["missing"]}
        for row in tables.certificates.iter_rows(named=True)
        if row["missing"] and not is_explained(row["reason"])
    ]
    return pl.DataFrame(unexplained, schema={"symbol": pl.String, "breaches": pl.UInt32})


def examine(tables: DayTables) -> dict[str, pl.DataFrame]:
    """Breaches of every registered rule, by rule name."""
    return {name: known.breaches(tables) for name, known in RULES.items()}
