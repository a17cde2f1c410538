"""Klines as integer columns, and what keeps them exact: selecting, joining, aggregating.

Times are µs since 1970 UTC; prices and volumes count 1e-8. No market, no text, no clock.
"""

from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np

from klines_pipeline.simulator.hashing import Ints

DECIMALS = 8


@dataclass(frozen=True, slots=True)
class Klines:
    """Columns of one symbol and interval, ascending by open_time. Field order is the order on the wire."""

    open_time: Ints
    open: Ints
    high: Ints
    low: Ints
    close: Ints
    volume: Ints
    close_time: Ints
    quote_volume: Ints
    trades: Ints
    taker_buy_volume: Ints
    taker_buy_quote_volume: Ints

    def __len__(self) -> int:
        return len(self.open_time)

    @classmethod
    def empty(cls) -> Self:
        """No rows."""
        return cls(*(np.empty(0, dtype=np.int64) for _ in fields(cls)))

    @classmethod
    def join(cls, parts: list[Self]) -> Self:
        """The parts one after another."""
        if len(parts) == 1:
            return parts[0]
        return cls(*(np.concatenate(column) for column in zip(*(part.columns() for part in parts), strict=True)))

    def columns(self) -> tuple[Ints, ...]:
        """The columns, in wire order."""
        return tuple(getattr(self, field.name) for field in fields(self))

    def take(self, selection: Any) -> Self:
        """The rows of a mask, an index array or a slice."""
        return type(self)(*(column[selection] for column in self.columns()))

    def with_columns(self, **columns: Ints) -> Self:
        """The same rows with some columns replaced."""
        return replace(self, **columns)

    def rows(self) -> list[tuple[int, ...]]:
        """The rows as tuples of plain integers, in wire order."""
        return list(zip(*(column.tolist() for column in self.columns()), strict=True))

    def between(self, start: int, end: int) -> Self:
        """Rows with start <= open_time <= end (µs, both included)."""
        first, last = np.searchsorted(self.open_time, [start, end + 1])
        return self.take(slice(int(first), int(last)))

    def without(self, start: int, end: int, *, duration: int) -> Self:
        """Rows that do not lie wholly inside [start, end) (µs)."""
        inside = (self.open_time >= start) & (self.open_time + duration <= end)
        return self.take(~inside) if inside.any() else self


def aggregate(klines: Klines, duration: int) -> Klines:
    """Exact sums and extremes per bar of `duration` µs on the UTC grid; bars without any row are absent."""
    if not len(klines):
        return klines
    bars = klines.open_time // duration
    first = np.flatnonzero(np.r_[True, bars[1:] != bars[:-1]])
    last = np.r_[first[1:], len(klines)] - 1
    open_time = bars[first] * duration

    def total(column: Ints) -> Ints:
        return np.add.reduceat(column, first)

    return Klines(
        open_time=open_time,
        open=klines.open[first],
        high=np.maximum.reduceat(klines.high, first),
        low=np.minimum.reduceat(klines.low, first),
        close=klines.close[last],
        volume=total(klines.volume),
        close_time=open_time + duration - 1,
        quote_volume=total(klines.quote_volume),
        trades=total(klines.trades),
        taker_buy_volume=total(klines.taker_buy_volume),
        taker_buy_quote_volume=total(klines.taker_buy_quote_volume),
    )
