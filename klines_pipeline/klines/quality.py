"""Rules a finished day must pass. Each is one function over the day's tables; registering it makes its check appear.

A rule's name states a truth; its docstring is what people read beside the check, and ends with the remedy. What needs
a second source to compare with stands in `agreement`.
"""

from collections.abc import Callable
from datetime import date, datetime, timedelta

import polars as pl

from klines_pipeline.domain.interval import Interval
from klines_pipeline.domain.states import UNUSABLE
from klines_pipeline.domain.utc_day import day_start
from klines_pipeline.klines.certificate import is_explained
from klines_pipeline.klines.fingerprint import fingerprints
from klines_pipeline.klines.ledgers import NEWER_VERSION
from klines_pipeline.klines.seal import BREACHES, unlike_certified
from klines_pipeline.klines.truths import DayTables, Rule, Severity, by_symbol, misplaced, outside, truth_of

RULES: dict[str, Rule] = {}
_LARGEST_JUMP = 0.1
_TOLERANCE = 1e-3  # of 79,000 real klines with trades, spot, um and cm, none is off by more than 5e-7
_PRICES = ("open", "high", "low", "close")
_LAST_BASE_DIGIT = 1e-8
_LAST_QUOTE_DIGIT = 1e-5  # USD-M prints 5 decimals


Breaches = Callable[[DayTables], pl.DataFrame]


def rule(severity: Severity, breach: str) -> Callable[[Breaches], Breaches]:
    """Register a function that returns one row (symbol, breaches) for each symbol that breaks the truth.

    `breach` is what it counts, in the singular, noun first.
    """

    def register(function: Breaches) -> Breaches:
        truth = truth_of(function, severity, breach)
        RULES[truth.name] = Rule(truth, function)
        return function

    return register


@rule(Severity.ERROR, "row not certified")
def table_is_what_was_certified(tables: DayTables) -> pl.DataFrame:
    """Each symbol's rows are those its certificate was issued for, none more, none fewer, none changed, and both files
    are there as they were published. Remedy: materialize the day again; what is damaged is made anew from the archives
    and REST rows kept. A symbol that klines.yaml names no more has to be named again for that."""
    if not tables.certificates.columns:
        return BREACHES.to_frame()
    named = tables.klines.drop_nulls("symbol")
    return unlike_certified(named, fingerprints(named), tables.certificates)


@rule(Severity.ERROR, "row out of order or twice there")
def key_is_unique_and_sorted(tables: DayTables) -> pl.DataFrame:
    """Rows are sorted by (symbol, open_time), and no key stands twice or is null. Remedy: materialize the day again."""
    return by_symbol(tables.klines, misplaced("open_time"))


@rule(Severity.ERROR, "row of another day")
def rows_lie_in_their_day(tables: DayTables) -> pl.DataFrame:
    """Every open time is of the UTC day that the file is of. Remedy: materialize the day again."""
    return by_symbol(tables.klines, outside(tables.day, "open_time"))


@rule(Severity.ERROR, "row without a price above zero")
def prices_are_finite_and_positive(tables: DayTables) -> pl.DataFrame:
    """Open, high, low and close are numbers above zero. Remedy: compare the day's archive, or its file of REST rows,
    with what REST says now; the day stays red until the exchange publishes the archive anew, and a file of REST rows is
    asked for again once it is deleted."""
    sound = [(pl.col(name).is_finite() & (pl.col(name) > 0)).fill_null(value=False) for name in _PRICES]
    return by_symbol(tables.klines, ~pl.all_horizontal(sound))


@rule(Severity.ERROR, "row with open or close beyond high or low")
def high_and_low_bound_open_and_close(tables: DayTables) -> pl.DataFrame:
    """No open or close lies above high or below low. Remedy: compare the day's archive, or its file of REST rows, with
    what REST says now; the day stays red until the exchange publishes the archive anew, and a file of REST rows is
    asked for again once it is deleted."""
    highest, lowest = pl.max_horizontal("open", "close"), pl.min_horizontal("open", "close")
    return by_symbol(tables.klines, (highest > pl.col("high")) | (lowest < pl.col("low")))


@rule(Severity.WARN, "row with an average price beyond high or low")
def average_price_lies_between_low_and_high(tables: DayTables) -> pl.DataFrame:
    """Quote volume over base volume is a price between low and high, within 0.1 % and the last printed digit: contracts
    pass for coins nowhere. Remedy: look at the rows; for `cm`, at `contract_size` in ledger/symbols."""
    least = pl.col("low") * (pl.col("volume") - _LAST_BASE_DIGIT) * (1 - _TOLERANCE) - _LAST_QUOTE_DIGIT
    most = pl.col("high") * (pl.col("volume") + _LAST_BASE_DIGIT) * (1 + _TOLERANCE) + _LAST_QUOTE_DIGIT
    return by_symbol(tables.klines, (pl.col("quote_volume") < least) | (pl.col("quote_volume") > most))


@rule(Severity.WARN, "archive refused")
def archive_matches_checksum(tables: DayTables) -> pl.DataFrame:
    """Every published archive was whole and equalled its .CHECKSUM, and a lake on a disk still holds those bytes: 256
    MB a check are looked at. Remedy: see `state` in the archives ledger; the archive is fetched again when the
    exchange rewrites it, and REST fills the day meanwhile. If the ledger says `ok`, delete the archive under vision/
    and materialize the day again: it is downloaded anew."""
    newer = pl.col("error").fill_null("").str.contains(NEWER_VERSION, literal=True)
    return by_symbol(tables.archives, pl.col("state").is_in(list(UNUSABLE)) | newer)


@rule(Severity.WARN, "kline missing without explanation")
def klines_are_complete_or_explained(tables: DayTables) -> pl.DataFrame:
    """Every kline of a day that is over is there, and of a day in progress every one closed when it was last looked at,
    or its absence is the exchange's own, by evidence. Remedy: `klines certificate` names the gaps and reasons;
    materialize the day again once the cause has passed."""
    lacking = [
        {"symbol": symbol, "breaches": (0 if is_explained(reason) else missing) + max(tables.owed - expected, 0)}
        for symbol, expected, missing, reason in tables.certificates.select(
            "symbol", "expected", "missing", "reason"
        ).iter_rows()
    ]
    found = pl.DataFrame(lacking, schema={"symbol": pl.String, "breaches": pl.UInt32})
    return found.filter(pl.col("breaches") > 0)


@rule(Severity.WARN, "jump of more than 10 %")
def price_continues_across_days(tables: DayTables) -> pl.DataFrame:
    """A symbol opens within 10 % of its last close of the day before; one that had no kline then is not judged. Of
    88,000 real klines of spot, um and cm, halts and the first week of spot included, none opens more than 7.2 % off the
    close before it, and at midnight none more than 0.5 %. Remedy: look at both days; unless the coin really jumped, one
    of them holds another symbol's rows or another unit's."""
    opens = tables.klines.group_by("symbol").agg(pl.col("open").first())
    jump = (pl.col("open") / pl.col("last_close") - 1).abs()
    return by_symbol(opens.join(tables.closes_before, on="symbol"), jump > _LARGEST_JUMP)


@rule(Severity.WARN, "symbol lagging")
def klines_are_fresh(tables: DayTables) -> pl.DataFrame:
    """In a day in progress every symbol that trades reaches to within the freshness cadence of the moment the exchange
    was last heard; a day that is over is fresh. Remedy: `klines certificate` says why the symbols named lag; if all of
    them do, REST was not reached."""
    if tables.due is None:
        return by_symbol(tables.klines, pl.lit(value=False))
    asked = tables.certificates.filter(pl.col("expected") == pl.col("expected").max())
    explained = [missing > 0 and is_explained(reason) for missing, reason in asked.select("missing", "reason").rows()]
    alive = asked.filter(~pl.Series(explained, dtype=pl.Boolean))
    reached = tables.klines.group_by("symbol").agg(pl.col("open_time").max())
    lagging = (pl.col("open_time") < tables.due).fill_null(value=True)
    return by_symbol(alive.select("symbol").join(reached, on="symbol", how="left"), lagging)


def due_time(day: date, certificates: pl.DataFrame, interval: Interval, cadence: timedelta) -> datetime | None:
    """Open time that symbols must have reached when the day was last certified, `cadence` behind at most; None once
    the day is over, or before it owes anything."""
    expected = max(certificates["expected"], default=0)
    due = day_start(day) + (expected - 1) * interval.duration - cadence
    return due if expected < interval.bars_per_day and due >= day_start(day) else None


def last_closes(klines: pl.DataFrame) -> pl.DataFrame:
    """How each symbol ends a day, in CLOSES; `klines` in order of time."""
    return klines.group_by("symbol", maintain_order=True).agg(pl.col("close").last().alias("last_close"))


def examine(tables: DayTables) -> dict[str, pl.DataFrame]:
    """Breaches of every registered rule, by rule name."""
    return {name: known.breaches(tables) for name, known in RULES.items()}
