"""Resample the table into coarser klines beside it: a day into its own file, a period into that of its opening day."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from typing import NamedTuple

import polars as pl

from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.errors import DamagedFileError, IncompleteError
from klines_pipeline.domain.interval import AnyInterval, Interval, LongInterval, Period
from klines_pipeline.domain.lateness import LONGEST_DELAY
from klines_pipeline.domain.states import Life
from klines_pipeline.domain.utc_day import day_start
from klines_pipeline.klines.certificate import is_explained
from klines_pipeline.klines.grid import TimeRange
from klines_pipeline.klines.ledgers import ARCHIVE_SCHEMA, CERTIFICATE_SCHEMA, archive_entries
from klines_pipeline.klines.life import SYMBOL_SCHEMA
from klines_pipeline.klines.periods import incomplete_symbols
from klines_pipeline.klines.quality import RULES, table_is_what_was_certified
from klines_pipeline.klines.resample import Resampled, resample_klines, resample_period
from klines_pipeline.klines.truths import DayTables, what_is_wrong
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.layout import DayPaths, SymbolsPaths
from klines_pipeline.storage.tables import klines_to_parquet, read_klines, read_table

_NAMED = 5


@dataclass(frozen=True, slots=True)
class ResampledDay:
    """What became of one day. Above a day, of the `period` it lies in; `waits_for` says why that has no klines yet."""

    day: date
    rows: int
    left_out: int
    path: str
    changed: bool
    period: Period | None = None
    waits_for: str | None = None


def resampler(lake: Lake, dataset: Dataset, interval: AnyInterval) -> Callable[[date], ResampledDay]:
    """What computes and publishes a day of a run; IncompleteError where the day's table is not there."""
    if isinstance(interval, Interval):
        return partial(resample_day, lake, dataset, interval)
    return PeriodResampler(lake, dataset, interval).resample


def resample_day(lake: Lake, dataset: Dataset, interval: Interval, day: date) -> ResampledDay:
    """Compute and publish; IncompleteError where the day's table is not there."""
    certificates = _certificates(lake, dataset, day)
    unexplained = {
        row["symbol"]: [TimeRange(gap["start"], gap["end"]) for gap in row["missing_ranges"]]
        for row in certificates.iter_rows(named=True)
        if not is_explained(row["reason"])
    }
    closed_until = {
        symbol: day_start(day) + expected * dataset.interval.duration
        for symbol, expected in certificates.select("symbol", "expected").iter_rows()
    }
    klines = _klines(lake, dataset, day, certificates)
    resampled = resample_klines(klines, interval, closed_until=closed_until, unexplained=unexplained)
    return _publish(lake, dataset, interval, day, resampled)


@dataclass(slots=True)
class PeriodResampler:
    """Days of a run, in order: each period is computed once, with the first of its days."""

    lake: Lake
    dataset: Dataset
    interval: LongInterval
    done: ResampledDay | None = None

    def resample(self, day: date) -> ResampledDay:
        """The period of the day; IncompleteError where the day's table is not there."""
        _certificates(self.lake, self.dataset, day)
        period = self.interval.period_of(day)
        if self.done is None or self.done.period != period:
            self.done = _resample_period(self.lake, self.dataset, self.interval, period)
        return replace(self.done, day=day)


def _certificates(lake: Lake, dataset: Dataset, day: date) -> pl.DataFrame:
    certificates = read_table(lake, DayPaths.of(dataset, day).certificates, CERTIFICATE_SCHEMA)
    if certificates.is_empty() and lake.size(DayPaths.of(dataset, day).certificates) is None:
        raise IncompleteError(f"{day} of {dataset} is not in the lake. Materialize {dataset} for that day first.")
    return certificates


def _resample_period(lake: Lake, dataset: Dataset, interval: LongInterval, period: Period) -> ResampledDay:
    """Where no symbol has a kline, a file is only written over one that was there."""
    read = {day: read_table(lake, DayPaths.of(dataset, day).certificates, CERTIFICATE_SCHEMA) for day in period.days()}
    certificates = {day: frame for day, frame in read.items() if not frame.is_empty()}
    target = DayPaths.of(dataset, period.opens).resampled(interval)
    nothing = ResampledDay(period.opens, 0, 0, lake.uri(target), changed=False, period=period)
    if not certificates:
        return replace(nothing, waits_for="a first symbol: none traded on these days")
    heard = max(moment for frame in certificates.values() for moment in frame["checked_at"])
    if heard < day_start(period.ends):
        lacking = "is not in the lake" if period.last not in certificates else "was not over when it was last looked at"
        return replace(nothing, waits_for=f"{period.last}, its last day, which {lacking}")
    ends = _ends(lake, dataset)
    lives = {(name, end.day): Life.LAST_DAY for name, end in ends.items()} | _lives(lake, dataset, certificates)
    vouching = {day: _without_gone(frame, day, ends) for day, frame in certificates.items()}
    incomplete = incomplete_symbols(period, vouching, lives, bars_per_day=dataset.interval.bars_per_day)
    tables = [_klines(lake, dataset, day, frame) for day, frame in certificates.items()]
    klines = pl.concat(tables, how="diagonal")  # a day without rows may lack the columns of contracts
    resampled = resample_period(klines, day_start(period.opens), incomplete=incomplete)
    if resampled.klines.is_empty() and lake.size(target) is None:
        return replace(nothing, left_out=resampled.left_out)
    return replace(_publish(lake, dataset, interval, period.opens, resampled), period=period)


def _lives(lake: Lake, dataset: Dataset, days: Collection[date]) -> dict[tuple[str, date], Life]:
    """Days at or past the edges of each symbol's life, as far as the archives ledger knows."""
    ledgers = {day: read_table(lake, DayPaths.of(dataset, day).archives, ARCHIVE_SCHEMA) for day in days}
    return {
        (entry.symbol, day): entry.life
        for day, ledger in ledgers.items()
        for entry in archive_entries(ledger).values()
        if entry.life
    }


class _End(NamedTuple):
    """The last day of a symbol's archives, and when that was looked at."""

    day: date
    checked: date


def _ends(lake: Lake, dataset: Dataset) -> dict[str, _End]:
    """Ends that the life table knows: a filter names a symbol no more when its end becomes known."""
    table = read_table(lake, SymbolsPaths(*dataset.prefix).symbols, SYMBOL_SCHEMA)
    gone = table.filter(~pl.col("listed"), pl.col("last_day").is_not_null())
    rows = gone.select("symbol", "last_day", pl.col("checked_at").dt.date()).iter_rows()
    return {symbol: _End(day, checked) for symbol, day, checked in rows}


def _without_gone(certificates: pl.DataFrame, day: date, ends: Mapping[str, _End]) -> pl.DataFrame:
    """Certificates of nothing that were issued while the end was not known yet need no other explanation later."""
    known = [name for name, end in ends.items() if end.day < day < end.checked - LONGEST_DELAY]
    return certificates.filter((pl.col("present") > 0) | ~pl.col("symbol").is_in(known))


def _klines(lake: Lake, dataset: Dataset, day: date, certificates: pl.DataFrame) -> pl.DataFrame:
    """The day's table; DamagedFileError where it holds other rows than were certified, or rows that a blocking rule
    refuses: the day that is wrong is held back, and no other."""
    path = DayPaths.of(dataset, day).klines
    klines = read_klines(lake, path)
    if klines.height != sum(int(certificates[name].sum()) for name in ("from_vision", "from_rest")):
        raise DamagedFileError(
            f"{lake.uri(path)} has {klines.height} rows, not those its certificates count. Materialize {dataset} for "
            f"{day} again."
        )
    others = table_is_what_was_certified(DayTables(day, klines, certificates=certificates))
    if others.height:
        raise DamagedFileError(
            f"{lake.uri(path)} has other rows of {', '.join(others['symbol'].head(_NAMED))} than were certified. "
            f"Materialize {dataset} for {day} again."
        )
    if wrong := what_is_wrong(DayTables(day, klines), RULES):
        raise DamagedFileError(f"{day} of {dataset}: {wrong}")
    return klines


def _publish(lake: Lake, dataset: Dataset, interval: AnyInterval, day: date, resampled: Resampled) -> ResampledDay:
    paths = DayPaths.of(dataset, day)
    target = paths.resampled(interval)
    identity = {**paths.identity, "interval": str(interval), "resampled_from": str(dataset.interval)}
    changed = lake.publish(target, klines_to_parquet(resampled.klines, identity), under=None)
    return ResampledDay(day, resampled.klines.height, resampled.left_out, lake.uri(target), changed)
