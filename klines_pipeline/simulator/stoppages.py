"""What standing still does to klines: spot's minutes vanish, those of futures go flat, also after a contract settled.

When the venue stands still is told in `truths` and the listings.
"""

import numpy as np

from klines_pipeline.domain.utc_day import to_microseconds
from klines_pipeline.simulator.columns import Klines
from klines_pipeline.simulator.hashing import Flags
from klines_pipeline.simulator.truths import Halt, Outage

_PRICES = ("open", "high", "low", "close")
_AMOUNTS = ("volume", "quote_volume", "trades", "taker_buy_volume", "taker_buy_quote_volume")


def quieten(minutes: Klines, halt: Halt) -> Klines:
    """No trades from `quiet` to `last`; the price stands."""
    quiet, last = to_microseconds(halt.quiet), to_microseconds(halt.last)
    return _flat_from(minutes, quiet, (minutes.open_time >= quiet) & (minutes.open_time <= last))


def sit_out(minutes: Klines, outage: Outage) -> Klines:
    """Flat klines at the last close, without trades, for as long as the outage lasts."""
    start, end = to_microseconds(outage.start), to_microseconds(outage.end)
    return _flat_from(minutes, start, (minutes.open_time >= start) & (minutes.open_time < end))


def settle(minutes: Klines, since: int) -> Klines:
    """Flat klines at the last close from `since` (µs) on."""
    return _flat_from(minutes, since, minutes.open_time >= since)


def flat_at(minutes: Klines, price: int) -> Klines:
    """Every kline flat at a price (1e-8)."""
    return _flattened(minutes, np.ones(len(minutes), dtype=np.bool_), price)


def stand_still(klines: Klines, halt: Halt, duration: int) -> Klines:
    """Klines within the halt are absent; the one that was running closes at `last`."""
    last, resume = to_microseconds(halt.last), to_microseconds(halt.resume)
    inside = (klines.open_time > last) & (klines.open_time + duration <= resume)
    klines = klines.take(~inside)
    running = (klines.open_time <= last) & (klines.open_time + duration > last)
    cut = running & (klines.open_time + duration <= resume)
    return klines.with_columns(close_time=np.where(cut, last, klines.close_time))


def _flat_from(minutes: Klines, start: int, still: Flags) -> Klines:
    before = minutes.close[minutes.open_time < start]
    if not still.any() or not len(before):
        return minutes
    return _flattened(minutes, still, int(before[-1]))


def _flattened(minutes: Klines, still: Flags, price: int) -> Klines:
    changes = {name: np.where(still, price, getattr(minutes, name)) for name in _PRICES}
    changes |= {name: np.where(still, 0, getattr(minutes, name)) for name in _AMOUNTS}
    return minutes.with_columns(**changes)
