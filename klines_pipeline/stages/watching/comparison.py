"""Comparing a slice, some symbols over some days, with what the bucket lists: what is news, what gone, how far it got.

Which slice is due is the affair of `rounds`, what follows from the news that of `rewritten`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import takewhile

import polars as pl

from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.lateness import LONGEST_DELAY
from klines_pipeline.domain.states import ArchiveState
from klines_pipeline.exchanges.protocols import Listed
from klines_pipeline.stages.symbols.life_table import remembered_symbols
from klines_pipeline.stages.watching.comparison_cursor import Slice
from klines_pipeline.stages.watching.held_versions import read_versions, unlike, withdrawn
from klines_pipeline.stages.watching.news import NEWS_SCHEMA, held_versions, listed_versions, news
from klines_pipeline.stages.watching.open_days import open_days
from klines_pipeline.stages.watching.tick_listing import TickListing
from klines_pipeline.storage.lake import Lake

_BATCH = 64
"""Symbols whose listings are in memory at a time."""
_PLACE = ["date", "symbol"]


@dataclass(slots=True)
class Compared:
    """What a slice has told. `reached`: the last symbol up to which all were seen; None once that is everybody."""

    reached: str | None
    fresh: list[pl.DataFrame] = field(default_factory=list)
    gone: list[pl.DataFrame] = field(default_factory=list)
    seen: int = 0
    trouble: str = ""
    damaged: Sequence[str] = ()
    """Ledgers that cannot be read, each with the remedy: their days are not compared."""

    def news(self) -> pl.DataFrame:
        """In NEWS_SCHEMA."""
        return pl.concat([NEWS_SCHEMA.to_frame(), *self.fresh])

    def withdrawn(self) -> list[tuple[date, str]]:
        """What is held and no longer listed."""
        return [row for part in self.gone for row in part.select(_PLACE).rows()]


def compare(lake: Lake, dataset: Dataset, listing: TickListing, past: Slice, today: date) -> Compared:
    """Compare as many symbols as there is time for."""
    compared = Compared(past.after)
    if past.days:
        marks, damaged = read_versions(lake, dataset, past.days)
        compared.damaged = [str(error) for error in damaged.values()]
        past = past._replace(days=[day for day in past.days if day not in damaged])
    if past.days:
        comparison = _Comparison(lake, dataset, listing, past, marks, _watched_elsewhere(marks, today, dataset))
        names = [name for name in comparison.names() if name > past.after]
        for start in range(0, len(names), _BATCH):
            batch = names[start : start + _BATCH]
            comparison.go_on(batch, compared)
            if compared.reached != batch[-1]:
                return compared
    compared.reached = None
    return compared


@dataclass(frozen=True, slots=True)
class _Comparison:
    lake: Lake
    dataset: Dataset
    listing: TickListing
    past: Slice
    marks: pl.DataFrame
    watched: pl.DataFrame

    def names(self) -> list[str]:
        """Symbols a run of these days would take in: by filter, those met then that still satisfy it."""
        chosen, market = self.dataset.chosen, self.listing.market
        if chosen is None:
            return sorted(self.dataset.symbols)
        facts, met = remembered_symbols(self.lake, market, self.dataset), sorted(set(self.marks["symbol"]))
        return [name for name in met if chosen.selects(facts.get(name) or market.describe(name))]

    def go_on(self, names: Sequence[str], compared: Compared) -> None:
        """Compare those of these symbols that can be listed."""
        listing = self.listing.at(names, self.past.days[0], self.past.days[-1])
        blind = {*listing.failed, *listing.unasked}
        seen = [name for name in names if name not in blind]
        mine = pl.col("symbol").is_in(seen)
        listed = listed_versions(listing).filter(mine, pl.col("date").is_in([*self.past.days]))
        held = self.marks.filter(mine)
        compared.fresh.append(
            self._fresh(unlike(listed, held, ArchiveState.OK).join(self.watched, on=_PLACE, how="anti"))
        )
        compared.gone.append(withdrawn(listed, held))
        compared.seen += len(seen)
        if listing.failed:
            error = next(iter(listing.failed.values()))
            compared.trouble = f"{len(listing.failed)} symbols could not be listed: {error}"
        if seen and self.past.stalled and compared.reached == self.past.after:
            blind -= _unlistable(names, listing)
        compared.reached = max(takewhile(lambda name: name not in blind, names), default=compared.reached)

    def _fresh(self, suspects: pl.DataFrame) -> pl.DataFrame:
        """News among the few versions that are not held; the whole ledger of their days says which."""
        days = sorted(set(suspects["date"]))
        return news(suspects, held_versions(self.lake, self.dataset, days)) if days else NEWS_SCHEMA.to_frame()


def _unlistable(names: Sequence[str], listing: Listed) -> set[str]:
    """Symbols at which the comparison stands for the second time, while others answer: they keep nobody waiting."""
    return {*takewhile(listing.failed.__contains__, names)}


def _watched_elsewhere(marks: pl.DataFrame, today: date, dataset: Dataset) -> pl.DataFrame:
    """Symbol-days whose archive is still waited for, by those who watch what is published."""
    young = [day for day in sorted(set(marks["date"])) if today - day <= LONGEST_DELAY]
    opened = open_days(marks.filter(pl.col("date").is_in(young)), young, dataset.symbols)
    pairs = [(day.day, name) for day in opened for name in day.waiting | day.doubtful]
    return pl.DataFrame(pairs, schema={"date": pl.Date, "symbol": pl.String}, orient="row")
