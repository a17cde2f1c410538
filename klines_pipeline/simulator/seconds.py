"""One-second klines derived from their minutes, so that aggregating them gives exactly the minutes back.

What belongs here is the split of one minute into sixty parts; the minutes themselves are drawn in `walk`.
"""

import numpy as np

from klines_pipeline.simulator.columns import Klines
from klines_pipeline.simulator.hashing import Flags, Floats, Ints, stream_key, uniforms
from klines_pipeline.simulator.listings import Listing
from klines_pipeline.simulator.walk import MINUTE, Prices, Units

SECOND = 1_000_000
"""µs."""
_PARTS = 60


def _column(values: Ints) -> Ints:
    return values[:, np.newaxis]


def _share(total: Ints, weights: Floats) -> Ints:
    """Split each row's total in proportion to its weights: whole numbers that add up to it."""
    running = np.cumsum(weights, axis=1)
    whole = np.where(running[:, -1:] > 0, running[:, -1:], 1.0)
    reached = (running / whole * _column(total)).astype(np.int64)
    reached[:, -1] = total
    return np.diff(reached, axis=1, prepend=0)


def _path(minutes: Klines, traded: Flags, draws: Floats, tick: int) -> tuple[Ints, Ints]:
    """Opens and closes in ticks: from the minute's open to its close, within low and high, moving on trades only."""
    opens, closes = _column(minutes.open // tick), _column(minutes.close // tick)
    low, high = _column(minutes.low // tick), _column(minutes.high // tick)
    step = np.arange(1, _PARTS + 1) * (1.0 / _PARTS)
    bend = step * (1.0 - step) * 3.0 * (draws - 0.5) * (high - low)
    wished = np.clip(np.rint(opens + (closes - opens) * step + bend).astype(np.int64), low, high)
    last = _PARTS - 1 - np.argmax(traded[:, ::-1], axis=1)
    wished[np.arange(len(last)), last] = closes[:, 0]
    index = np.maximum.accumulate(np.where(traded, np.arange(_PARTS), -1), axis=1)
    held = np.where(index >= 0, np.take_along_axis(wished, np.maximum(index, 0), axis=1), opens)
    return np.concatenate([opens, held[:, :-1]], axis=1), held


def _extremes(minutes: Klines, traded: Flags, opens: Ints, closes: Ints, tick: int) -> tuple[Ints, Ints]:
    """Highs and lows; the highest and the lowest traded second reach the minute's own."""
    high, low = np.maximum(opens, closes), np.minimum(opens, closes)
    row = np.arange(len(minutes))
    some = traded.any(axis=1)
    top = np.argmax(np.where(traded, high, -1), axis=1)
    bottom = np.argmin(np.where(traded, low, np.iinfo(np.int64).max), axis=1)
    high[row[some], top[some]] = (minutes.high // tick)[some]
    low[row[some], bottom[some]] = (minutes.low // tick)[some]
    return high, low


def _average_prices(minutes: Klines, volume: Ints, middle: Floats, tick: int, mean: Floats) -> Floats:
    """Average price of each second, in ticks, bent toward the high or low until their mean is the minute's."""
    low, high = _column(minutes.low // tick) * 1.0, _column(minutes.high // tick) * 1.0
    total = np.cumsum(volume, axis=1)[:, -1:]
    found = np.cumsum(volume * middle, axis=1)[:, -1:] / np.maximum(total, 1)
    up = np.clip((mean - found) / np.where(high > found, high - found, 1.0), 0.0, 1.0)
    down = np.clip((found - mean) / np.where(found > low, found - low, 1.0), 0.0, 1.0)
    return middle + (high - middle) * up - (middle - low) * down


def _quotes(volume: Ints, price: Floats, total: Ints) -> Ints:
    reached = np.rint(np.cumsum(volume * price, axis=1)).astype(np.int64)
    reached = np.minimum(reached, _column(total))
    reached[:, -1] = total
    return np.diff(reached, axis=1, prepend=0)


def _portion(parts: Ints, numerator: Ints, denominator: Ints) -> Ints:
    """Each part times numerator/denominator, rounded so that rows still add up; no product leaves 64 bits."""
    whole = np.maximum(_column(denominator), 1)
    running = np.cumsum(parts, axis=1)
    reached = running // whole * _column(numerator) + running % whole * _column(numerator) // whole
    return np.diff(reached, axis=1, prepend=0)


def _candles(minutes: Klines, traded: Flags, path: tuple[Ints, Ints], price: Floats, tick: int) -> Prices:
    """Highs and lows wide enough for the average price, never beyond the minute's."""
    opens, closes = path
    high, low = _extremes(minutes, traded, opens, closes, tick)
    high = np.where(traded, np.maximum(high, np.ceil(price).astype(np.int64)), high)
    low = np.where(traded, np.minimum(low, np.floor(price).astype(np.int64)), low)
    return opens, np.minimum(high, _column(minutes.high // tick)), np.maximum(low, _column(minutes.low // tick)), closes


def seconds_of(seed: int, listing: Listing, minutes: Klines) -> Klines:
    """Sixty one-second klines for each given minute of this symbol."""
    unit = Units.of(listing)
    lots, taker_lots = minutes.volume // unit.lot, minutes.taker_buy_volume // unit.lot
    total_quote = minutes.quote_volume // unit.quote
    key = stream_key(seed, listing.stream, "second")
    counters = _column(minutes.open_time // MINUTE) * 256 + np.arange(_PARTS)
    trades = _share(minutes.trades, uniforms(key, counters) + 0.05)
    traded = trades > 0
    weights = np.where(traded, uniforms(key, counters + 64) * trades, 0.0)
    volume = trades + _share(lots - minutes.trades, weights)
    path = _path(minutes, traded, uniforms(key, counters + 128), unit.tick)
    middle = (path[0] + path[1]).astype(np.float64) * 0.5
    mean: Floats = _column(total_quote) / np.maximum(_column(lots), 1)
    price = _average_prices(minutes, volume, middle, unit.tick, mean)
    quote = _quotes(volume, price, total_quote)
    prices = _candles(minutes, traded, path, price, unit.tick)
    amounts = (volume, quote, trades, _portion(volume, taker_lots, lots), _portion(quote, taker_lots, lots))
    open_time = (_column(minutes.open_time) + np.arange(_PARTS) * SECOND).ravel()
    flat = [column.ravel() for column in (*prices, *amounts)]
    return unit.klines(open_time, SECOND, tuple(flat[:4]), tuple(flat[4:]))
