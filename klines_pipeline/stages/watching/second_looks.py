"""Days of which another run would know more today, by what the ledgers say: ends of life that the bucket tells by now,
and damaged archives that are due for another try. No network.

The rule by which a run concludes from the bucket is applied to the archives that the lake holds, so that a day is asked
for when the answer has changed, and not before. The two may differ: the bucket loses archives, and cannot always be
asked. So each look has a name, which is another one only after twice as long.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import polars as pl

from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.lateness import LONGEST_ACCIDENT, LONGEST_DELAY, OVERDUE
from klines_pipeline.domain.states import ArchiveState, Life, Reason
from klines_pipeline.domain.utc_day import days_between
from klines_pipeline.klines.archive_life import ArchiveHistory
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
    """What a second look at a day is for: by day, a name each symbol, `SOLUSDT:3`. The number grows when the look has
    been due for twice as long, so that one that told nothing is repeated ever more seldom.
    """

    ended: Mapping[date, Sequence[str]]
    """The archives of others tell by now that their last archive was their last."""
    damaged: Mapping[date, Sequence[str]]
    """Their archive could not be read or verified, and has rested long enough."""


def second_looks(lake: Lake, dataset: Dataset, certificates: pl.DataFrame, today: date) -> SecondLooks:
    """What is to be found out. `certificates`: those of the symbols asked for; `today` is the exchange's."""
    suspects = _suspects(certificates, today)
    ledgers = _ledgers(lake, dataset, {*certificates["date"]}, {*suspects["date"]})
    damaged = ledgers.filter(pl.col("state").is_in(list(DAMAGED))).join(certificates, on=_PLACE, how="semi")
    return SecondLooks(
        ended=_by_day(_ended(suspects.join(ledgers, on=_PLACE), _Held.of(ledgers), today), today),
        damaged=_by_day(_damaged(damaged, today), today),
    )


def _by_day(looks: Iterable[tuple[date, str, date]], today: date) -> dict[date, list[str]]:
    """Names of the looks at each day; they come as day, symbol, and since when more may be known."""
    named = dict[date, list[str]]()
    for day, symbol, since in sorted(looks):
        named.setdefault(day, []).append(f"{symbol}:{(today - since).days.bit_length()}")
    return named


def _damaged(ledgers: pl.DataFrame, today: date) -> Iterator[tuple[date, str, date]]:
    for day, symbol, seen, at in ledgers.select(*_PLACE, "first_seen_at", "fetched_at").iter_rows():
        if is_due_again(seen, at, today):
            yield day, symbol, at.date() if at else day


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

    histories: Mapping[str, ArchiveHistory]
    anybody: Collection[date]

    @classmethod
    def of(cls, ledgers: pl.DataFrame) -> "_Held":
        rows = ledgers.filter(pl.col("state").is_in(list(FETCHED)))
        days = rows.group_by("symbol").agg("date").iter_rows()
        return cls({symbol: ArchiveHistory(frozenset(held)) for symbol, held in days}, frozenset(rows["date"]))

    def ends_on(self, symbol: str, day: date, today: date) -> bool:
        """Whether this archive is the symbol's last one."""
        return self.histories[symbol].ends_on(day, today=today, venue_days=self.anybody)

    def ended_before(self, symbol: str, day: date, today: date) -> bool:
        """Whether the day lies in a hole between lives, or after all archives of the symbol."""
        known = self.histories.get(symbol, ArchiveHistory(frozenset()))
        return known.life(day, today=today, venue_days=self.anybody) in (Life.DELISTED, Life.PERHAPS_DELISTED)


def _ended(suspects: pl.DataFrame, held: _Held, today: date) -> Iterator[tuple[date, str, date]]:
    """The suspects of which it can be told that a life ended on their day, or before."""
    told = pl.col("error").str.split(": ").list.first().is_in([str(edge) for edge in Life]).fill_null(value=False)
    for row in suspects.filter(~told).iter_rows(named=True):
        day, symbol, state = row["date"], row["symbol"], row["state"]
        if row["whole"] and state == ArchiveState.NOT_PUBLISHED and held.ended_before(symbol, day, today):
            yield day, symbol, day
        if not row["whole"] and state in FETCHED and held.ends_on(symbol, day, today):
            yield day, symbol, day
