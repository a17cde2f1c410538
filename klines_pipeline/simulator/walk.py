"""One-minute klines out of a seed: prices by noise at every scale from a minute to two years, volumes beside them.

Any UTC day is computed directly, in the length of the day. Listing dates and halts are `market`'s affair.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from klines_pipeline.simulator.columns import DECIMALS, Klines
from klines_pipeline.simulator.hashing import Flags, Floats, Ints, stream_key, uniforms
from klines_pipeline.simulator.listings import Listing

MINUTE = 60_000_000
"""µs."""
_MINUTES = 1440
_OCTAVES = 21
_SQRT_2 = 1.4142135623730951
_LOOK_BACK = 30
"""A quiet symbol trades at least each 30th minute, so a day needs no more of the day before."""
Prices = tuple[Ints, ...]
"""Open, high, low, close in ticks."""
Amounts = tuple[Ints, ...]
"""Volume in lots, quote volume in ticks x lots, trades, taker buy volume, taker buy quote volume."""


@dataclass(frozen=True, slots=True)
class Units:
    """How many 1e-8 a tick, a lot, and a tick times a lot are."""

    tick: int
    lot: int
    quote: int

    @classmethod
    def of(cls, listing: Listing) -> "Units":
        """The units of a symbol."""
        return cls(
            tick=10 ** (DECIMALS - listing.price_decimals),
            lot=10 ** (DECIMALS - listing.lot_decimals),
            quote=10 ** (DECIMALS - listing.price_decimals - listing.lot_decimals),
        )

    def klines(self, open_time: Ints, duration: int, prices: Prices, amounts: Amounts) -> Klines:
        """Ticks and lots as columns of 1e-8."""
        opens, high, low, close = (column * self.tick for column in prices)
        volume, quote_volume, trades, taker_volume, taker_quote_volume = amounts
        return Klines(
            open_time=open_time,
            open=opens,
            high=high,
            low=low,
            close=close,
            volume=volume * self.lot,
            close_time=open_time + duration - 1,
            quote_volume=quote_volume * self.quote,
            trades=trades,
            taker_buy_volume=taker_volume * self.lot,
            taker_buy_quote_volume=taker_quote_volume * self.quote,
        )


def _noise(key: int, minutes: Ints, octave: int) -> Floats:
    """Value noise in [-1, 1) with one lattice point each 2**octave minutes."""
    cells = minutes >> octave
    lattice = uniforms(key ^ (octave << 56), np.arange(cells[0], cells[-1] + 2)) * 2.0 - 1.0
    index = cells - cells[0]
    left: Floats = lattice[index]
    fraction = (minutes & ((1 << octave) - 1)).astype(np.float64) * (1.0 / (1 << octave))
    noise: Floats = left + (lattice[index + 1] - left) * fraction
    return noise


def _noise_at(key: int, minutes: Ints, octave: int) -> Floats:
    """The same noise at minutes far apart."""
    cells = minutes >> octave
    left, right = (uniforms(key ^ (octave << 56), cells + step) * 2.0 - 1.0 for step in (0, 1))
    fraction = (minutes & ((1 << octave) - 1)).astype(np.float64) * (1.0 / (1 << octave))
    noise: Floats = left + (right - left) * fraction
    return noise


def _exponential(values: Floats) -> Floats:
    """(1 + x/64)**64: close to exp, and the same bits wherever IEEE multiplication is."""
    power = values * (1.0 / 64) + 1.0
    for _ in range(6):
        power = power * power
    return power


def _prices(seed: int, listing: Listing, minutes: Ints, noise: Callable[[int, Ints, int], Floats] = _noise) -> Ints:
    """Price in ticks at each minute's start."""
    key = stream_key(seed, listing.follows or listing.stream, "price")
    total = np.zeros(len(minutes))
    for octave in range(_OCTAVES):
        amplitude = (1 << (octave // 2)) * (_SQRT_2 if octave % 2 else 1.0) * listing.volatility
        total += noise(key, minutes, octave) * amplitude
    ticks = np.rint(_exponential(total) * (listing.price * 10**listing.price_decimals))
    whole: Ints = np.maximum(ticks, 10).astype(np.int64)
    return whole


def _trading(seed: int, listing: Listing, minutes: Ints) -> Flags:
    if not listing.quiet:
        return np.ones(len(minutes), dtype=np.bool_)
    drawn = uniforms(stream_key(seed, listing.stream, "quiet"), minutes)
    trading: Flags = (drawn >= listing.quiet) | (minutes % _LOOK_BACK == 0)
    return trading


def _candles(seed: int, listing: Listing, minutes: Ints, trading: Flags) -> Prices:
    """Closes on the walk, opens a few ticks from the close before, wicks beyond both; flat where nothing trades."""
    boundary = _prices(seed, listing, np.arange(minutes[0], minutes[-1] + 2))
    last_traded = np.maximum.accumulate(np.where(trading, np.arange(len(minutes)), 0))
    close = boundary[1:][last_traded]
    previous = np.r_[boundary[0], close[:-1]]
    jump, above, below = _draws(seed, listing, minutes, ("jump", "above", "below"))
    ticks = np.where(jump < 0.5, 0, (jump * 8.0).astype(np.int64) - 5)
    opens = np.where(trading, np.maximum(previous + ticks, 1), close)
    reach = previous * (listing.volatility * 1.6)
    high = np.maximum(opens, close) + np.where(trading, (above * above * reach).astype(np.int64), 0)
    low = np.minimum(opens, close) - np.where(trading, (below * below * reach).astype(np.int64), 0)
    return opens, high, np.maximum(low, 1), close


def _amounts(seed: int, listing: Listing, minutes: Ints, trading: Flags, prices: Prices) -> Amounts:
    """More volume where the price moves, in bursts and in slow waves; the average price within low and high."""
    opens, high, low, close = prices
    key = stream_key(seed, listing.stream, "activity")
    activity = 1.0 + _noise(key, minutes, 7) * 0.5 + _noise(key, minutes, 10) * 0.35
    burst, spread, place, side = _draws(seed, listing, minutes, ("burst", "spread", "place", "side"))
    move = np.abs(close - opens) / (opens * (listing.volatility * 1.6) + 1.0)
    size = (burst * burst * burst * 2.2 + 0.25) * activity * (move * 0.6 + 0.5)
    lots = np.where(trading, (size * listing.lots_per_minute).astype(np.int64) + 4, 0)
    wished = (size * (spread * 0.8 + 0.6) * listing.trades_per_minute).astype(np.int64) + 4
    average = low + ((high - low) * ((place + side) * 0.5)).astype(np.int64)
    taker = (lots * (side * 0.6 + 0.2)).astype(np.int64)
    return lots, lots * average, np.minimum(wished, lots), taker, taker * average


def _draws(seed: int, listing: Listing, minutes: Ints, names: tuple[str, ...]) -> list[Floats]:
    return [uniforms(stream_key(seed, listing.stream, name), minutes) for name in names]


def day_of_minutes(seed: int, listing: Listing, day_start: int) -> Klines:
    """The 1440 one-minute klines of the UTC day that starts at `day_start` (µs), as if always listed."""
    first = day_start // MINUTE
    minutes = np.arange(first - _LOOK_BACK, first + _MINUTES, dtype=np.int64)
    trading = _trading(seed, listing, minutes)
    prices = _candles(seed, listing, minutes, trading)
    amounts = _amounts(seed, listing, minutes, trading, prices)
    klines = Units.of(listing).klines(minutes * MINUTE, MINUTE, prices, amounts)
    return klines.take(slice(_LOOK_BACK, None))


def prices_at(seed: int, listing: Listing, minutes: Ints) -> Ints:
    """Price in 1e-8 at the start of each of these minutes (counted since 1970), which may lie far apart."""
    ticks: Ints = _prices(seed, listing, minutes, _noise_at) * Units.of(listing).tick
    return ticks
