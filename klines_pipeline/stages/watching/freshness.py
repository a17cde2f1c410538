"""Which days REST has newer klines of: the day in progress, and days that ended and no archive has come of yet.

Only the ledgers are read. What becomes of the days is `stages.ingest`'s affair, and when an archive comes, that of
who watches the bucket.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.interval import Interval
from klines_pipeline.domain.lateness import LONGEST_DELAY
from klines_pipeline.domain.states import NEVER_ASKED, NEVER_CAME, Life
from klines_pipeline.domain.utc_day import day_end, days_between
from klines_pipeline.domain.wanted import Kind, Wanted, one_wish
from klines_pipeline.klines.grid import TimeRange, expected_range, subtract
from klines_pipeline.klines.ledgers import CERTIFICATE_SCHEMA, ArchiveEntry, SliceEntry
from klines_pipeline.klines.slices import answered_ranges, is_silent
from klines_pipeline.stages.archive import load_entries
from klines_pipeline.stages.legible import look_at_each, to_be_mended
from klines_pipeline.stages.topup import load_slices
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.layout import DayPaths
from klines_pipeline.storage.tables import read_table

_FIRST_LOOK = timedelta(days=2)
"""Archives of older days are out, as a rule; who has never looked at those wants history and not freshness."""


@dataclass(frozen=True, slots=True)
class _Day:
    """What the lake knows of a day, and the symbols of which REST may know more."""

    day: date
    entries: Mapping[str, ArchiveEntry]
    slices: Mapping[str, Sequence[SliceEntry]]
    due: Sequence[str]


def wanted_for_freshness(lake: Lake, dataset: Dataset, now: datetime, *, archived: bool) -> list[Wanted]:
    """Days to ask REST for, at `now` by the exchange's clock; `archived`: whether the market publishes archives.

    A day nobody has looked for in the bucket is wanted with its archives; so is, once an hour, a day in progress that
    symbols may join. What REST failed to say of an ended day is the same news at each tick, so that the requests for
    it come ever more seldom; so do those for a day with a damaged ledger, whose runs say how to mend it. A day whose
    first kline is still open is not wanted yet.
    """
    oldest, newest = max(dataset.start, (now - LONGEST_DELAY).date()), (now - dataset.interval.duration).date()
    days, damaged = look_at_each(days_between(oldest, newest), lambda day: _look_up(lake, dataset, day, now))
    unseen = [day for day, found in days.items() if found is None and now.date() - day <= _FIRST_LOOK]
    behind = [day for day, found in days.items() if found and found.due and not _only_failed(found, now)]
    failed = [day for day, found in days.items() if found and found.due and _only_failed(found, now)]
    today = days.get(now.date())
    grows = archived and today is not None and _may_grow(dataset, today)
    hour, minute = f"{now:%Y-%m-%d %H}:00 UTC", f"{now:%Y-%m-%d %H:%M} UTC"
    listing, wish = f"listing of {hour}", partial(one_wish, Kind.FRESHNESS)
    return [
        *wish(unseen if archived else [], "nobody has looked for its archives yet", listing),
        *wish([now.date()] if grows else [], f"symbols listed until {hour}", listing, once=True),
        *wish(sorted({*behind, *([] if archived else unseen)}), f"klines until {minute}", minute, with_archives=False),
        *wish(failed, "REST could not be asked for all of it", "not answered", with_archives=False),
        *to_be_mended(damaged),
    ]


def _look_up(lake: Lake, dataset: Dataset, day: date, now: datetime) -> _Day | None:
    """What the ledgers say; None where the bucket was not yet asked for all symbols that klines.yaml names."""
    entries = load_entries(lake, dataset, day)
    if not entries.keys() >= set(dataset.symbols) or not (entries or lake.size(DayPaths.of(dataset, day).archives)):
        return None
    alive = {name: entry for name, entry in entries.items() if _is_open(dataset, entry)}
    if not alive:
        return _Day(day, entries, {}, ())
    slices = dict[str, list[SliceEntry]]()
    for entry in load_slices(lake, dataset, day).values():
        slices.setdefault(entry.symbol, []).append(entry)
    rows = read_table(lake, DayPaths.of(dataset, day).certificates, CERTIFICATE_SCHEMA).iter_rows(named=True)
    certified = {row["symbol"]: row for row in rows}
    expected = expected_range(day, dataset.interval, now)
    if not certified:
        return _Day(day, entries, slices, tuple(alive))
    known = ((name, certified.get(name), slices.get(name, ())) for name in alive)
    due = (name for name, row, asked in known if row and _is_due(row, asked, expected, dataset.interval, now))
    return _Day(day, entries, slices, tuple(due))


def _is_open(dataset: Dataset, entry: ArchiveEntry) -> bool:
    """Whether REST alone speaks for a symbol that trades, as far as anybody knows."""
    named = dataset.chosen is not None or entry.symbol in dataset.symbols
    return named and entry.state in NEVER_CAME and entry.life not in NEVER_ASKED


def _is_due(
    certificate: Mapping[str, Any],
    slices: Sequence[SliceEntry],
    expected: TimeRange,
    interval: Interval,
    now: datetime,
) -> bool:
    """Whether klines have closed since the certificate, or REST has not been heard on what it misses."""
    if is_silent(slices, now):
        return False
    gaps = [TimeRange(gap["start"], gap["end"]) for gap in certificate["missing_ranges"]]
    return certificate["expected"] < expected.bars(interval) or bool(subtract(gaps, answered_ranges(slices)))


def _only_failed(found: _Day, now: datetime) -> bool:
    """Whether all that lacks of an ended day is what REST failed to say: that need not be tried at each tick."""
    failing = (any(entry.error for entry in found.slices.get(name, ())) for name in found.due)
    return now >= day_end(found.day) and all(failing)


def _may_grow(dataset: Dataset, found: _Day) -> bool:
    """Whether symbols may begin to trade in the course of the day: any that a filter selects, or one not listed yet."""
    return dataset.chosen is not None or any(entry.life is Life.NOT_LISTED for entry in found.entries.values())
