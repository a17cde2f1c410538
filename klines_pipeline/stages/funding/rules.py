"""The truths of a finished day of funding, by name. What must be true of any table's archives and certificates is asked
of funding in the words klines use.
"""

import polars as pl

from klines_pipeline.funding.certificate import fingerprints
from klines_pipeline.klines.quality import archive_matches_checksum, klines_are_complete_or_explained
from klines_pipeline.klines.seal import BREACHES, unlike_certified
from klines_pipeline.klines.truths import DayTables, Rule, Severity, Truth, by_symbol, misplaced, outside, truth_of


def table_is_what_was_certified(tables: DayTables) -> pl.DataFrame:
    """Each symbol's rates are those its certificate was issued for, none more, none fewer, none changed, and both files
    are there as they were published. Remedy: materialize the day again; what is damaged is made anew from the archives
    and REST rates kept. A symbol that klines.yaml names no more has to be named again for that."""
    if not tables.certificates.columns:
        return BREACHES.to_frame()
    named = tables.klines.drop_nulls("symbol")
    return unlike_certified(named, fingerprints(named), tables.certificates)


def key_is_unique_and_sorted(tables: DayTables) -> pl.DataFrame:
    """Rows are sorted by (symbol, funding_time), and no key stands twice or is null. Remedy: materialize the day
    again."""
    return by_symbol(tables.klines, misplaced("funding_time"))


def rows_lie_in_their_day(tables: DayTables) -> pl.DataFrame:
    """Every funding time is of the UTC day that the file is of. Remedy: materialize the day again."""
    return by_symbol(tables.klines, outside(tables.day, "funding_time"))


def rates_are_finite_and_below_one(tables: DayTables) -> pl.DataFrame:
    """A rate is a number between -1 and 1: the share of a position that was paid, never a percentage. Remedy: compare
    the month's archive, or the day's file of REST rates, with what REST says now; the day stays red until the exchange
    publishes the archive anew, and a file of REST rates is asked for again once it is deleted."""
    rate = pl.col("funding_rate")
    return by_symbol(tables.klines, ~(rate.is_finite() & (rate.abs() < 1)).fill_null(value=False))


_COMPLETE = Truth(
    "funding_is_complete_or_explained",
    Severity.WARN,
    "Every expected settlement is there, or its absence is the exchange's own, by evidence. Remedy: `klines "
    "certificate` names the gaps and reasons; materialize the day again once the cause has passed.",
    "settlement missing without explanation",
)
_CHECKSUM = Truth(
    "archive_matches_checksum",
    Severity.WARN,
    "Every published archive was whole and equalled its .CHECKSUM. Remedy: see `state` in ledger/funding_archives; the "
    "archive is fetched again when the exchange rewrites it, and REST fills the month meanwhile.",
    "archive refused",
)
FUNDING_RULES = {
    found.truth.name: found
    for found in (
        Rule(
            truth_of(table_is_what_was_certified, Severity.ERROR, "rate not certified"),
            table_is_what_was_certified,
        ),
        Rule(
            truth_of(key_is_unique_and_sorted, Severity.ERROR, "row out of order or twice there"),
            key_is_unique_and_sorted,
        ),
        Rule(truth_of(rows_lie_in_their_day, Severity.ERROR, "row of another day"), rows_lie_in_their_day),
        Rule(
            truth_of(rates_are_finite_and_below_one, Severity.ERROR, "rate that cannot be"),
            rates_are_finite_and_below_one,
        ),
        Rule(_COMPLETE, klines_are_complete_or_explained),
        Rule(_CHECKSUM, archive_matches_checksum),
    )
}
