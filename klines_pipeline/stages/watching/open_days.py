"""Days whose publication is not over: which symbols are still waited for, by the ledgers. No network."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import date

import polars as pl

from klines_pipeline.domain.states import NEVER_ASKED, ArchiveState, Life
from klines_pipeline.domain.utc_day import day_end, day_start
from klines_pipeline.klines.grid import TimeRange, subtract
from klines_pipeline.klines.ledgers import SliceEntry
from klines_pipeline.klines.slices import answered_ranges
from klines_pipeline.stages.verdict import FETCHED

_LIFE = pl.col("error").str.split(": ").list.first()
_GONE = [*NEVER_ASKED, Life.PERHAPS_DELISTED]


@dataclass(frozen=True, slots=True)
class OpenDay:
    """Symbols of a day. Delisted ones and those not listed yet are in none of the sets."""

    day: date
    held: frozenset[str]
    """Their archive was fetched, for better or worse."""
    waiting: frozenset[str]
    """Their archive ought to come."""
    doubtful: frozenset[str]
    """Perhaps delisted, or held and not verified: looked for, not waited for."""

    @property
    def is_open(self) -> bool:
        """Whether anything may still come."""
        return bool(self.waiting or self.doubtful)

    def doubting(self, slices: Collection[SliceEntry]) -> "OpenDay":
        """The same day where nobody waits for symbols of which REST has no kline from midnight to midnight: perhaps
        delisted. Not if it says so of half of them, for then it is REST that lacks the day.
        """
        silent = self.waiting & _silent(slices, self.day)
        if 2 * len(silent) >= len(self.waiting | self.held):
            return self
        return replace(self, waiting=self.waiting - silent, doubtful=self.doubtful | silent)


def open_days(versions: pl.DataFrame, days: Iterable[date], named: Collection[str]) -> list[OpenDay]:
    """Days that have a ledger, with their symbols. `named`: those of klines.yaml; none where a filter chooses."""
    ledgers = {rows["date"][0]: rows for rows in versions.partition_by("date")}
    return [_of_ledger(day, ledgers.get(day, versions.clear()), frozenset(named)) for day in days]


def unlooked(day: date, known: Iterable[OpenDay]) -> OpenDay:
    """A day without a ledger: it has the symbols of the nearest one that has."""
    nearest = min(known, key=lambda other: abs(other.day - day))
    return OpenDay(day, frozenset(), nearest.held | nearest.waiting, frozenset())


def _silent(slices: Collection[SliceEntry], day: date) -> frozenset[str]:
    """Symbols of which REST, asked after the day's end, has answered for all of it, and with nothing."""
    asked = dict[str, list[SliceEntry]]()
    for entry in slices:
        asked.setdefault(entry.symbol, []).append(entry)
    whole = [TimeRange(day_start(day), day_end(day))]
    return frozenset(
        symbol
        for symbol, entries in asked.items()
        if not any(entry.rows for entry in entries) and not subtract(whole, answered_ranges(entries))
    )


def _of_ledger(day: date, rows: pl.DataFrame, named: frozenset[str]) -> OpenDay:
    fetched = pl.col("state").is_in(list(FETCHED))
    gone = _LIFE.is_in(_GONE).fill_null(value=False)
    perhaps = (_LIFE == Life.PERHAPS_DELISTED).fill_null(value=False)
    verified = (pl.col("state") == ArchiveState.OK) & pl.col("etag").is_not_null()

    def those(which: pl.Expr) -> frozenset[str]:
        found = frozenset(rows.filter(which)["symbol"])
        return found & named if named else found

    unmet = named - frozenset(rows["symbol"])
    doubtful = those((~fetched & perhaps) | (fetched & ~verified))
    return OpenDay(day, those(fetched), those(~fetched & ~gone) | unmet, doubtful)
