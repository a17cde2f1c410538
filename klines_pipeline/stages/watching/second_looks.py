"""Days of which another run would know more today, by what the ledgers say: ends of life that the bucket tells by now,
and damaged archives that are due for another try. No network.

How a listing is read is the exchange's affair; here the same is concluded from the archives that the lake holds, so
that a day is asked for when the answer has changed, and not before.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import polars as pl

from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.lateness import LONGEST_ACCIDENT, LONGEST_DELAY, OVERDUE
from klines_pipeline.domain.states import ArchiveState, Life, Reason
from klines_pipeline.domain.utc_day import days_between
from klines_pipeline.klines.ledgers import ARCHIVE_SCHEMA
from klines_pipeline.klines.schema import UTC_TIME
from klines_pipeline.stages.verdict import DAMAGED, FETCHED, is_due_again
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.layout import DayPaths
from klines_pipeline.storage.tables import read_legible, stored_days

_ONE_DAY = timedelta(days=1)
_NAMES = ("symbol", "state", "error", "first_seen_at", "fetched_at")
_COLUMNS = pl.Schema({name: ARCHIVE_SCHEMA[name] for name in _NAMES})
_PLACE = ["date", "symbol"]


@dataclass(frozen=True, slots=True)
class SecondLooks:
    """How many symbols of a day a second look is for."""

    ended: Mapping[date, int]
    """The bucket tells by now that their last archive was their last."""
    damaged: Mapping[date, int]
    """Their archive could not be read or verified, and has rested long enough."""


def second_looks(lake: Lake, dataset: Dataset, certificates: pl.DataFrame, today: date) -> SecondLooks:
    """What is to be found out. `certificates`: those of the symbols asked for; `today` is the exchange's."""
    suspects = _suspects(certificates, today)
    ledgers = _ledgers(lake, dataset, {*certificates["date"]}, {*suspects["date"]})
    damaged = ledgers.filter(pl.col("state").is_in(list(DAMAGED))).join(certificates, on=_PLACE, how="semi")
    due = (is_due_again(seen, at, today) for seen, at in damaged.select("first_seen_at", "fetched_at").iter_rows())
    return SecondLooks(
        ended=Counter(_ended(suspects.join(ledgers, on=_PLACE), _Held.of(ledgers))),
        damaged=Counter(damaged.filter(pl.Series(list(due), dtype=pl.Boolean))["date"]),
    )


def _suspects(certificates: pl.DataFrame, today: date) -> pl.DataFrame:
    """Symbol-days that lack their last klines for another reason, and are old enough for the bucket to tell; `whole`:
    they lack all.
    """
    gaps, midnight = pl.col("missing_ranges").list, pl.col("date").cast(UTC_TIME)
    first, last = gaps.first().struct.field("start"), gaps.last().struct.field("end")
    lacking = certificates.filter(last == midnight + _ONE_DAY, pl.col("reason") != Reason.DELISTED)
    old = lacking.filter(pl.col("date") < today - OVERDUE)
    return old.select(*_PLACE, whole=(gaps.len() == 1) & (first == midnight))


def _ledgers(lake: Lake, dataset: Dataset, days: Collection[date], suspected: Collection[date]) -> pl.DataFrame:
    """The archives ledgers of these days, and those around the suspected ones; what cannot be read is left out."""
    stored = stored_days(lake, "ledger/archives", *dataset.prefix, str(dataset.interval))
    around = {near for day in suspected for near in days_between(day - LONGEST_DELAY, day + LONGEST_ACCIDENT)}
    wanted = around.union(days)
    return read_legible(lake, [DayPaths.of(dataset, day).archives for day in stored if day in wanted], _COLUMNS)[0]


@dataclass(frozen=True, slots=True)
class _Held:
    """Days of which the lake has an archive, for better or worse: of each symbol, and of anybody."""

    days: Mapping[str, Collection[date]]
    anybody: Collection[date]

    @classmethod
    def of(cls, ledgers: pl.DataFrame) -> "_Held":
        rows = ledgers.filter(pl.col("state").is_in(list(FETCHED)))
        days = rows.group_by("symbol").agg("date").iter_rows()
        return cls({symbol: frozenset(held) for symbol, held in days}, frozenset(rows["date"]))

    def ends_on(self, symbol: str, day: date) -> bool:
        """Whether this archive is the last one before a hole too long for an accident."""
        coming = days_between(day + _ONE_DAY, day + LONGEST_ACCIDENT)
        return day + _ONE_DAY in self.anybody and not any(later in self.days[symbol] for later in coming)

    def ended_before(self, symbol: str, day: date) -> bool:
        """Whether the day lies in such a hole, or after all archives of the symbol."""
        held = self.days.get(symbol, ())
        last = max((known for known in held if day - LONGEST_DELAY <= known < day), default=None)
        following = min((known for known in held if known > day), default=date.max)
        return day in self.anybody and last is not None and following - last - _ONE_DAY > LONGEST_ACCIDENT


def _ended(suspects: pl.DataFrame, held: _Held) -> Iterator[date]:
    """The day of each suspect of which it can be told that a life ended on it, or before."""
    told = pl.col("error").str.split(": ").list.first().is_in([str(edge) for edge in Life]).fill_null(value=False)
    for row in suspects.filter(~told).iter_rows(named=True):
        day, symbol, state = row["date"], row["symbol"], row["state"]
        if row["whole"] and state == ArchiveState.NOT_PUBLISHED and held.ended_before(symbol, day):
            yield day
        if not row["whole"] and state in FETCHED and held.ends_on(symbol, day):
            yield day
