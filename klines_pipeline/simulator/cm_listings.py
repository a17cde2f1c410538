"""The symbols of the make-believe COIN-M market: inverse perpetuals and delivery contracts, volume in contracts.

To add a symbol: one row. A lot is one contract, worth its size in USD; prices follow spot's where spot has the coin.
"""

from datetime import datetime

from klines_pipeline.simulator.listings import Contract, Life, Listing, utc

_SIZES = {"BTC": 100}
_USUAL_SIZE = 10
_COINS = {"BTC": (61_010.0, 1, 0.0005), "ETH": (2_900.6, 2, 0.0006), "XMR": (152.0, 2, 0.0007)}
"""Price, its decimals, and one minute's relative move."""


def _contract(
    symbol: str, start: datetime, end: datetime | None, pace: tuple[int, int], *, premium: float = 1.0, quiet: float = 0
) -> Listing:
    pair, _, suffix = symbol.partition("_")
    base = pair.removesuffix("USD")
    price, decimals, volatility = _COINS[base]
    contract = Contract(
        pair=pair, margin=base, size=_SIZES.get(base, _USUAL_SIZE), delivery=None if suffix == "PERP" else end
    )
    return Listing(
        symbol,
        base,
        "USD",
        (Life(start, end),),
        price * premium,
        decimals,
        0,
        volatility,
        *pace,
        quiet,
        "cm",
        "" if base == "XMR" else f"{base}USDT",
        contract,
    )


CM_LISTINGS: tuple[Listing, ...] = (
    _contract("BTCUSD_PERP", utc(2020, 8, 10, 8), None, (6_000, 420)),
    _contract("ETHUSD_PERP", utc(2020, 8, 20, 8), None, (9_000, 300)),
    _contract("XMRUSD_PERP", utc(2021, 2, 23, 8), utc(2024, 2, 16, 9), (400, 12), quiet=0.5),
    _contract("BTCUSD_241227", utc(2024, 6, 28, 8), utc(2024, 12, 27, 8), (500, 20), premium=1.003, quiet=0.3),
    _contract("BTCUSD_250328", utc(2024, 9, 27, 8), utc(2025, 3, 28, 8), (500, 20), premium=1.008, quiet=0.3),
    _contract("ETHUSD_250328", utc(2024, 9, 27, 8), utc(2025, 3, 28, 8), (700, 15), premium=1.007, quiet=0.3),
)
