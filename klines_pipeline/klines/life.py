"""The life table: what each symbol of a market is, and from when to when archives of it exist.

A row is made from facts and archived days; where they come from, and where rows lie, is not known here.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

import polars as pl

from klines_pipeline.domain.lateness import LONGEST_ACCIDENT
from klines_pipeline.domain.universe import Contract, SymbolFacts
from klines_pipeline.klines.schema import UTC_TIME

SYMBOL_SCHEMA = pl.Schema({
    "symbol": pl.String(),
    "first_day": pl.Date(),
    "last_day": pl.Date(),
    "holes": pl.List(pl.Struct({"start": pl.Date(), "end": pl.Date()})),
    "reused": pl.Boolean(),
    "listed": pl.Boolean(),
    "base": pl.String(),
    "quote": pl.String(),
    "contract": pl.String(),
    "delivery": UTC_TIME,
    "contract_size": pl.Float64(),
    "status": pl.String(),
    "since": UTC_TIME,
    "leveraged": pl.Boolean(),
    "stablecoins": pl.Boolean(),
    "settled": pl.Boolean(),
    "checked_at": UTC_TIME,
})  # fmt: skip
"""`first_day`, `last_day`: UTC days of the first and last archive; null without any. `holes`: [start, end) without
archives between them. `listed`: whether it trades today; null where REST could not be asked. `checked_at`: when bucket
or REST last told of it; null for a row that only remembers a contract size."""

REUSED = timedelta(days=60)
"""After a hole this long the ticker may be another coin's."""
_ONE_DAY = timedelta(days=1)

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Runs:
    """Archived days as runs of (first, last), both included; missing files of a week or less do not end a run."""

    runs: tuple[tuple[date, date], ...] = ()

    @classmethod
    def of(cls, days: Iterable[date]) -> "Runs":
        """From days in any order."""
        return cls(tuple(_joined((day, day) for day in sorted(days))))

    @classmethod
    def of_row(cls, row: Row) -> "Runs":
        """As a row of the table has them."""
        if row["first_day"] is None:
            return cls()
        starts = [row["first_day"], *(hole["end"] for hole in row["holes"])]
        ends = [*(hole["start"] - _ONE_DAY for hole in row["holes"]), row["last_day"]]
        return cls(tuple(zip(starts, ends, strict=True)))

    def continued(self, days: Collection[date], since: date) -> "Runs":
        """These runs up to `since`, and from that day on the days given, which are all there are."""
        earlier = [(first, min(last, since - _ONE_DAY)) for first, last in self.runs if first < since]
        return Runs(tuple(_joined([*earlier, *((day, day) for day in sorted(days) if day >= since)])))

    @property
    def holes(self) -> list[dict[str, date]]:
        """[start, end) of the days between runs."""
        pairs = zip(self.runs, self.runs[1:], strict=False)
        return [{"start": before[1] + _ONE_DAY, "end": after[0]} for before, after in pairs]


def _joined(runs: Iterable[tuple[date, date]]) -> Iterator[tuple[date, date]]:
    """Runs in order, those no more than LONGEST_ACCIDENT apart made one."""
    held: tuple[date, date] | None = None
    for run in runs:
        if held is not None and run[0] - held[1] - _ONE_DAY > LONGEST_ACCIDENT:
            yield held
            held = run
        else:
            held = run if held is None else (held[0], max(held[1], run[1]))
    if held is not None:
        yield held


def symbol_row(facts: SymbolFacts, archived: Runs, *, listed: bool | None, checked_at: datetime | None) -> Row:
    """One row of the table; `checked_at` in UTC."""
    holes = archived.holes
    return {
        "symbol": facts.symbol,
        "first_day": archived.runs[0][0] if archived.runs else None,
        "last_day": archived.runs[-1][1] if archived.runs else None,
        "holes": holes,
        "reused": any(hole["end"] - hole["start"] >= REUSED for hole in holes),
        "listed": listed,
        "base": facts.base,
        "quote": facts.quote,
        "contract": facts.contract,
        "delivery": facts.delivery,
        "contract_size": facts.contract_size,
        "status": facts.status,
        "since": facts.since,
        "leveraged": facts.leveraged,
        "stablecoins": facts.stablecoins,
        "settled": facts.settled,
        "checked_at": checked_at,
    }


def facts_of(row: Row) -> SymbolFacts:
    """The facts a row was made from."""
    return SymbolFacts(
        symbol=row["symbol"],
        contract=Contract(row["contract"]) if row["contract"] else None,
        **{name: row[name] for name in ("base", "quote", "delivery", "contract_size", "status", "since")},
        **{name: row[name] for name in ("leveraged", "settled")},
    )


Named = Mapping[str, SymbolFacts] | None
"""Symbols as REST names them today; None where it could not be asked."""


def renewed(known: SymbolFacts | None, named: Named, told: SymbolFacts) -> SymbolFacts:
    """The best that is known: REST's word of today, else what REST said before, else what the name tells.

    A contract size once known stays, so that tables made with it come out the same.
    """
    if known is None or known.quote is None:
        return (named or {}).get(told.symbol, told)
    gone = known if named is None else replace(known, status=None)
    facts = (named or {}).get(told.symbol, gone)
    return replace(facts, contract_size=known.contract_size or facts.contract_size, since=facts.since or known.since)


def trades_today(named: Named, symbol: str) -> bool | None:
    """Whether REST names a symbol as one that trades; None where it could not be asked."""
    if named is None:
        return None
    facts = named.get(symbol)
    return facts is not None and not facts.pending and not facts.ended


def to_table(rows: Iterable[Row]) -> pl.DataFrame:
    """Rows as the table, by symbol."""
    return pl.DataFrame(list(rows), schema=SYMBOL_SCHEMA).sort("symbol")


def was_alive(row: Row, day: date) -> bool:
    """Whether a symbol was traded on a UTC day, as far as archives and REST tell; not in a hole of its archives.

    One that trades and has neither archives nor a beginning counts from the day the table was made.
    """
    begun = [moment for moment in (row["first_day"], _day(row["since"])) if moment is not None]
    first = min(begun, default=_day(row["checked_at"]))
    if first is None or day < first or day > _last_alive(row):
        return False
    return not any(hole["start"] <= day < hole["end"] for hole in row["holes"])


def _last_alive(row: Row) -> date:
    """Without REST's word, archives that are not there yet are given a week."""
    if row["listed"]:
        return date.max
    last_heard_of = _day(row["checked_at"]) if row["listed"] is False and row["status"] is None else None
    ended: date | None = row["last_day"] or _day(row["delivery"]) or last_heard_of
    if ended is None:
        return date.min
    return ended + LONGEST_ACCIDENT if row["listed"] is None else ended


def _day(moment: datetime | None) -> date | None:
    return None if moment is None else moment.date()
