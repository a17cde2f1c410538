"""Which days should be taken in because archives appeared, or because they were never merged: one tick of watching.

One listing request tells the time and whether a day has begun to appear; only then are all its symbols looked at. What
was taken in stands in the ledgers; the cursor carries politeness alone.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import partial

import polars as pl

from klines_pipeline.domain.automation import Automation, symbol_day_seconds
from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.errors import DamagedFileError
from klines_pipeline.domain.lateness import LONGEST_DELAY
from klines_pipeline.domain.utc_day import days_between
from klines_pipeline.domain.wanted import Kind, Wanted, newest_first
from klines_pipeline.exchanges.protocols import Listed, Market
from klines_pipeline.stages.symbols.life_table import remembered_symbols
from klines_pipeline.stages.symbols.spelling import check_spelling
from klines_pipeline.stages.symbols.universe import Universe
from klines_pipeline.stages.topup import load_slices
from klines_pipeline.stages.watching.appearing import Appearing, Policy, look_at
from klines_pipeline.stages.watching.news import readable_versions
from klines_pipeline.stages.watching.open_days import OpenDay, open_days, unlooked
from klines_pipeline.stages.watching.tick import Tick, silent
from klines_pipeline.stages.watching.tick_listing import TickListing
from klines_pipeline.stages.watching.watch_cursor import Look, WatchCursor
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.tables import stored_days

_ONE_DAY = timedelta(days=1)
_AHEAD = timedelta(days=7)
_RECENT_DAYS = 3
"""Ended days that, without a ledger, wait for their archives; an older one is history."""
_WITNESSES = 3


@dataclass(frozen=True, slots=True)
class _Known:
    """The lake: days whose archives were looked at ever; ledgers of the newest, as a frame and as symbols by day."""

    stored: frozenset[date]
    finished: frozenset[date]
    """Those with certificates: merged, whatever is missing. A run whose REST part failed leaves the ledger alone."""
    versions: pl.DataFrame
    lately: Sequence[OpenDay]
    damaged: Mapping[date, DamagedFileError]
    """Days whose ledger cannot be read: nobody knows what they wait for."""

    @property
    def met(self) -> set[str]:
        """Symbols that any of these ledgers knows, those that are gone included, and those the newest lacks."""
        return {*self.symbols, *self.versions["symbol"]}

    @property
    def newest(self) -> date | None:
        """The newest day looked at."""
        return self.lately[-1].day if self.lately else None

    @property
    def symbols(self) -> list[str]:
        """Who ought to have archives, by the newest ledger."""
        return sorted(self.lately[-1].held | self.lately[-1].waiting) if self.lately else []

    def tells_of(self, day: date) -> bool:
        """Whether a ledger is young enough to say whose archives to wait for."""
        return self.newest is not None and day - self.newest <= LONGEST_DELAY


def watch(
    lake: Lake,
    market: Market,
    dataset: Dataset,
    automation: Automation,
    cursor: str | None,
    *,
    seconds: float = 20.0,
    log: Callable[[str], None] = print,
) -> Tick:
    """One tick; the market's connections are closed. ConfigurationError for a symbol or quote asset nobody knows.

    No request is begun after `seconds`.
    """
    market.api.hasten()
    try:
        return _Watch(lake, dataset, automation, TickListing(market, dataset.interval, seconds), log).tick(cursor)
    finally:
        market.api.close()


@dataclass(frozen=True, slots=True)
class _Watch:
    lake: Lake
    dataset: Dataset
    automation: Automation
    listing: TickListing
    log: Callable[[str], None]

    def tick(self, cursor: str | None) -> Tick:
        looks, known = WatchCursor.parse(cursor), self._read_lake()
        probe = self._probe(known, looks.turn)
        if probe.now is None:
            return silent(self.dataset.exchange, probe, self.listing.requests)
        yesterday = probe.now.date() - _ONE_DAY
        symbols = self._names(known, yesterday)
        begun = {day for _, day in probe.archives} | self._begun(known, symbols, looks.turn, yesterday)
        ended = [*days_between(self.dataset.start, yesterday)]
        waiting = self._waiting(known, ended, begun)
        opened = _open(known, ended, waiting) if self.listing.archives_exist else []
        opened = [self._doubted(day, yesterday) for day in opened]
        policy = Policy(self.automation, probe.now)
        found = look_at(opened, begun, known.versions, looks, policy, self.listing)
        history = sorted(set(ended) - known.finished - waiting)
        seconds = symbol_day_seconds(self.dataset.interval.bars_per_day, archived=self.listing.archives_exist)
        longest = self.automation.days_of_history(len(symbols), seconds)
        wanted = [*found.wanted(), *_history(history, longest)]
        looks = looks.with_days(found.looked, [day.day for day in opened], found.after)
        words = " ".join([_words(found, waiting, history, yesterday), *map(str, known.damaged.values())])
        sooner = partial(_looked_again, looks, found.aged)
        return Tick(probe.now, wanted, words, str(looks), self.listing.requests, sooner)

    def _read_lake(self) -> _Known:
        dataset = self.dataset
        where = (*dataset.prefix, str(dataset.interval))
        stored = stored_days(self.lake, "ledger/archives", *where)
        certified = frozenset(stored_days(self.lake, "ledger/certificates", *where))
        lately = [day for day in stored if stored[-1] - day <= LONGEST_DELAY]
        versions, damaged = readable_versions(self.lake, dataset, lately)
        legible = [day for day in lately if day not in damaged]
        lasting = open_days(versions, legible, dataset.symbols)
        return _Known(frozenset(stored), certified.intersection(stored), versions, lasting, damaged)

    def _probe(self, known: _Known, turn: int) -> Listed:
        """The time, and a witness for the days of which nothing is held: another each tick, for one may be late."""
        newest = known.newest or self.dataset.start
        first = min((day.day for day in known.lately if not day.held), default=newest)
        return self.listing.at(_in_turn(known.symbols, turn, 1), first, newest + _AHEAD)

    def _begun(self, known: _Known, symbols: Sequence[str], turn: int, yesterday: date) -> set[date]:
        """Yesterday, if witnesses are published and the probe did not reach so far: the lake is empty, or old."""
        probed = known.newest is not None and yesterday <= known.newest + _AHEAD
        if probed or yesterday < self.dataset.start or not self.listing.archives_exist:
            return set()
        return {day for _, day in self.listing.at(_in_turn(symbols, turn, _WITNESSES), yesterday, yesterday).archives}

    def _doubted(self, day: OpenDay, yesterday: date) -> OpenDay:
        """A young day without archives so far, in the light of what REST has said of it."""
        if day.held or yesterday - day.day >= timedelta(days=_RECENT_DAYS):
            return day
        try:
            return day.doubting(load_slices(self.lake, self.dataset, day.day).values())
        except DamagedFileError:
            return day

    def _names(self, known: _Known, yesterday: date) -> Sequence[str]:
        universe = Universe(self.listing.market, self.dataset, self.log)
        universe.remembered = partial(remembered_symbols, self.lake, self.listing.market, self.dataset)
        met = known.met if self.dataset.chosen is None else known.symbols
        before = self.listing.sent
        names = check_spelling(universe, met, yesterday)
        self.listing.requests += self.listing.sent - before
        return names

    def _waiting(self, known: _Known, ended: Sequence[date], begun: Collection[date]) -> set[date]:
        """Days without a ledger that wait for archives: the last ones, or the last alone where no ledger says whose."""
        if not self.listing.archives_exist or not ended:
            return set()
        if not known.tells_of(ended[-1]):
            return {ended[-1]} - {*begun, *known.stored}
        return {day for day in ended[-_RECENT_DAYS:] if day not in known.stored}


def _looked_again(looks: WatchCursor, aged: Mapping[date, Look], days: Collection[date]) -> str:
    """The cursor with which these days are soon looked at again."""
    again = {day: look for day, look in aged.items() if day in days}
    return str(replace(looks, days={**looks.days, **again}))


def _in_turn(symbols: Sequence[str], turn: int, count: int) -> list[str]:
    """Some symbols, evenly apart, others in each turn."""
    stride = max(len(symbols) // count, 1)
    return [symbols[(turn + place) % len(symbols)] for place in range(0, min(count, len(symbols)) * stride, stride)]


def _open(known: _Known, ended: Sequence[date], waiting: Collection[date]) -> list[OpenDay]:
    """Ended days that may still get archives."""
    if not ended or not known.tells_of(ended[-1]):
        return []
    looked_at = [day for day in known.lately if ended[0] <= day.day <= ended[-1]]
    young = [day for day in looked_at if ended[-1] - day.day < LONGEST_DELAY]
    days = [*young, *(unlooked(day, known.lately) for day in waiting)]
    return sorted((day for day in days if day.is_open), key=lambda day: day.day)


def _history(days: Sequence[date], longest: int) -> list[Wanted]:
    return [Wanted(Kind.HISTORY, stretch, "not in the lake yet") for stretch in newest_first(days, longest)]


def _words(found: Appearing, waiting: Collection[date], history: Sequence[date], yesterday: date) -> str:
    """What is waited for; where nothing is, how far the lake reaches."""
    unsaid = sorted(day for day in waiting if day not in found.said and day not in found.reasons)
    still = f"{unsaid[-1]}: nothing is published yet." if unsaid else ""
    lacking = f"{len(history)} day(s) from {history[0]} on are not in the lake yet." if history else ""
    said = " ".join(text for text in (found.words(), still, lacking) if text)
    return said or f"Complete up to {yesterday}; {yesterday + _ONE_DAY} is in progress."
