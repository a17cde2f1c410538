"""Deterministic REST slices: which requests cover what is missing, and which gaps earlier answers already settle.

A day is cut into slices of `limit` klines from midnight. A slice's key leaves its end out, so that the slice of a day
in progress grows in place: `SYMBOL:interval:start_ms:limit`.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from hashlib import blake2b
from typing import NamedTuple

from klines_pipeline.domain.interval import Interval
from klines_pipeline.domain.states import ANSWERED, SliceState
from klines_pipeline.domain.utc_day import day_end, day_start, to_microseconds, to_milliseconds
from klines_pipeline.klines.grid import TimeRange, subtract
from klines_pipeline.klines.ledgers import SliceEntry

SETTLING = timedelta(minutes=5)
"""An answer given sooner after a kline closed is no proof of its absence: it may still have been settling."""

SILENCE = timedelta(hours=1)
"""How long REST's word that it has nothing is believed while a day is in progress: the symbol may begin to trade."""


class SliceRequest(NamedTuple):
    """One request to make: the slice it belongs to and the open_times to ask, `[start, end)`."""

    slice_key: str
    symbol: str
    start: datetime
    end: datetime


def slice_key(symbol: str, interval: Interval, start: datetime, limit: int) -> str:
    """The slice's name in the ledger."""
    return f"{symbol}:{interval}:{to_milliseconds(start)}:{limit}"


def slice_id(key: str) -> str:
    """BLAKE2b-128 of the key, in hex."""
    return blake2b(key.encode(), digest_size=16).hexdigest()


def answered_ranges(entries: Sequence[SliceEntry]) -> list[TimeRange]:
    """What REST has answered for good: asked, and asked late enough after the kline closed."""
    ranges = []
    for entry in entries:
        if entry.state in ANSWERED and entry.requested_at is not None:
            ranges.append(TimeRange(entry.start, min(entry.end, entry.requested_at - SETTLING)))
    return [known for known in ranges if known.start < known.end]


def is_silent(entries: Collection[SliceEntry], now: datetime) -> bool:
    """Whether REST has had nothing at all of a symbol's day, and said so less than `SILENCE` before `now`."""
    asked = [entry.requested_at for entry in entries if entry.requested_at is not None]
    nothing = all(entry.state is SliceState.NO_DATA for entry in entries)
    return bool(asked) and nothing and now - max(asked) < SILENCE


def plan_slices(
    symbol: str,
    gaps: Sequence[TimeRange],
    day: date,
    *,
    interval: Interval,
    limit: int,
    known: Mapping[str, SliceEntry],
    doubted: Sequence[TimeRange] = (),
) -> list[SliceRequest]:
    """The requests that ask each gap once: at most one a slice, from its first to its last unanswered open_time.

    What is `doubted` is asked whatever was answered.
    """
    settled = answered_ranges([entry for entry in known.values() if entry.symbol == symbol])
    open_gaps = sorted([*(_outward(gap, interval) for gap in subtract(gaps, settled)), *doubted])
    requests = []
    for window in _windows(day, interval, limit):
        asked = [piece for gap in open_gaps if (piece := _overlap(gap, window)).start < piece.end]
        if asked:
            key = slice_key(symbol, interval, window.start, limit)
            reach = _joined(TimeRange(asked[0].start, asked[-1].end), known.get(key))
            requests.append(SliceRequest(key, symbol, *reach))
    return requests


def _windows(day: date, interval: Interval, limit: int) -> Iterator[TimeRange]:
    start, span = day_start(day), interval.duration * limit
    while start < day_end(day):
        yield TimeRange(start, min(start + span, day_end(day)))
        start += span


def _overlap(gap: TimeRange, window: TimeRange) -> TimeRange:
    return TimeRange(max(gap.start, window.start), min(gap.end, window.end))


def _outward(gap: TimeRange, interval: Interval) -> TimeRange:
    """Back onto the grid: an answer's settled end may fall inside a kline."""
    past = to_microseconds(gap.start) % interval.microseconds
    return TimeRange(gap.start - timedelta(microseconds=past), gap.end)


def _joined(asked: TimeRange, entry: SliceEntry | None) -> TimeRange:
    """Stretch the request to touch what the slice already holds, so that its range never claims what was not asked."""
    if entry is None or entry.state not in ANSWERED:
        return asked
    return TimeRange(min(asked.start, entry.end), max(asked.end, entry.start))
