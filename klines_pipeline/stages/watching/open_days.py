"""Days whose publication is not over: which symbols are still waited for, by the ledgers. No network."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date

import polars as pl

from klines_pipeline.domain.states import NEVER_ASKED, ArchiveState, Life
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


def open_days(versions: pl.DataFrame, days: Iterable[date], named: Collection[str]) -> list[OpenDay]:
    """Days that have a ledger, with their symbols. `named`: those of klines.yaml; none where a filter chooses."""
    ledgers = {rows["date"][0]: rows for rows in versions.partition_by("date")}
    return [_of_ledger(day, ledgers.get(day, versions.clear()), frozenset(named)) for day in days]


def unlooked(day: date, known: Iterable[OpenDay]) -> OpenDay:
    """A day without a ledger: it has the symbols of the nearest one that has."""
    nearest = min(known, key=lambda other: abs(other.day - day))
    return OpenDay(day, frozenset(), nearest.held | nearest.waiting, frozenset())


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
