"""Which open_times a day must have, and which of them are absent. Half-open ranges throughout."""

from collections.abc import Iterable
from datetime import date, datetime
from typing import NamedTuple

import polars as pl

from klines_pipeline.domain.interval import Interval
from klines_pipeline.domain.utc_day import day_end, day_start, from_microseconds, to_microseconds
from klines_pipeline.klines.schema import slot


class TimeRange(NamedTuple):
    """`[start, end)`, UTC, on the interval's grid."""

    start: datetime
    end: datetime

    def bars(self, interval: Interval) -> int:
        """Open_times inside."""
        return (self.end - self.start) // interval.duration


def expected_range(day: date, interval: Interval, now: datetime) -> TimeRange:
    """The part of the day whose klines are closed at `now`, the exchange's time; empty before the first one is."""
    start = day_start(day)
    closed = max((now - start) // interval.duration, 0)
    return TimeRange(start, min(start + closed * interval.duration, day_end(day)))


def present_slots(frame: pl.DataFrame, interval: Interval) -> dict[str, pl.Series]:
    """For each symbol, its sorted, distinct grid slots in µs."""
    slots = frame.lazy().select("symbol", slot(interval.microseconds)).unique().sort("symbol", "slot").collect()
    return {str(key[0]): part["slot"] for key, part in slots.partition_by("symbol", as_dict=True).items()}


def missing_ranges(present: pl.Series | None, expected: TimeRange, interval: Interval) -> list[TimeRange]:
    """The gaps in `expected`, given sorted distinct slots in µs."""
    step = interval.microseconds
    start, end = to_microseconds(expected.start), to_microseconds(expected.end)
    if present is None or present.is_empty():
        return [expected] if start < end else []
    inside = present.filter((present >= start) & (present < end))
    if inside.len() == (end - start) // step:
        return []
    edges = pl.concat([pl.Series([start - step]), inside.rename(""), pl.Series([end])])
    jumps = (edges.diff() > step).arg_true()
    before, after = edges.gather(jumps - 1), edges.gather(jumps)
    return [
        TimeRange(from_microseconds(left + step), from_microseconds(right))
        for left, right in zip(before, after, strict=True)
    ]


def subtract(ranges: Iterable[TimeRange], covered: Iterable[TimeRange]) -> list[TimeRange]:
    """What of `ranges` is not in any of `covered`."""
    rest = list(ranges)
    for cover in covered:
        rest = [piece for part in rest for piece in _cut(part, cover)]
    return rest


def _cut(part: TimeRange, cover: TimeRange) -> list[TimeRange]:
    left = TimeRange(part.start, min(part.end, cover.start))
    right = TimeRange(max(part.start, cover.end), part.end)
    if left.end <= left.start and right.end <= right.start:
        return []
    if cover.end <= part.start or cover.start >= part.end:
        return [part]
    return [piece for piece in (left, right) if piece.start < piece.end]
