"""The symbols of the make-believe USD-M market: perpetuals, delivery contracts, and what is left of those that ended.

To add a symbol: one row. Prices follow spot's where spot has the coin.
"""

from datetime import date, datetime, timedelta

from klines_pipeline.simulator.listings import Contract, Life, Listing, extra_listings, utc

_SETTLED = utc(2022, 11, 17, 10)
_FLAT_AFTER_SETTLING = timedelta(days=60)
_EACH_DELISTED = 20
_FIRST_ARCHIVES = date(2019, 12, 31)


def _perpetual(
    symbol: str,
    lives: tuple[Life, ...],
    price: float,
    decimals: tuple[int, int],
    volatility: float,
    lots: int,
    trades: int,
    *,
    quote: str = "USDT",
    follows: str = "",
    base: str = "",
    onboard: datetime | None = None,
    settled: datetime | None = None,
    archived_from: date | None = None,
    archive_only: bool = False,
) -> Listing:
    contract = Contract(
        pair=symbol,
        margin=quote,
        onboard=onboard,
        settled=settled,
        archived_from=archived_from,
        archive_only=archive_only,
    )
    named = base or symbol.removesuffix(quote)
    return Listing(
        symbol, named, quote, lives, price, *decimals, volatility, lots, trades, 0.0, "um", follows, contract
    )


def _since(*moment: int) -> tuple[Life, ...]:
    return (Life(utc(*moment)),)


def _delivery(symbol: str, start: datetime, end: datetime, premium: float) -> Listing:
    contract = Contract(pair="BTCUSDT", margin="USDT", delivery=end)
    life = (Life(start, end),)
    price = 61_000.0 * premium
    return Listing(
        symbol, "BTC", "USDT", life, price, 1, 3, 0.0005, 900, 25, 0.4, "um", follows="BTCUSDT", contract=contract
    )


UM_LISTINGS: tuple[Listing, ...] = (
    _perpetual(
        "BTCUSDT",
        _since(2019, 9, 8, 17, 57),
        61_024.0,
        (2, 3),
        0.0005,
        160_000,
        2_600,
        follows="BTCUSDT",
        onboard=utc(2019, 9, 25, 8),
        archived_from=_FIRST_ARCHIVES,
    ),
    _perpetual(
        "ETHUSDT",
        _since(2019, 11, 27, 7, 45),
        2_901.0,
        (2, 3),
        0.0006,
        1_900_000,
        1_700,
        follows="ETHUSDT",
        archived_from=_FIRST_ARCHIVES,
    ),
    _perpetual("SOLUSDT", _since(2020, 9, 14, 7), 145.05, (3, 1), 0.0008, 90_000, 900, follows="SOLUSDT"),
    _perpetual("1000SHIBUSDT", _since(2021, 5, 10, 7), 0.0124, (6, 0), 0.0009, 1_000_000, 300),
    _perpetual("JUPUSDT", _since(2024, 1, 31, 16), 0.81, (4, 0), 0.0010, 300_000, 210),
    _perpetual("SYRUPUSDT", _since(2024, 11, 13, 12, 30), 0.27, (5, 0), 0.0012, 120_000, 90),
    _perpetual("USDCUSDT", _since(2024, 4, 2, 12), 1.0001, (4, 1), 0.000004, 60_000, 30, follows="USDCUSDT"),
    _perpetual("ETHBTC", _since(2023, 11, 30, 12), 0.0475, (6, 2), 0.0004, 9_000, 80, quote="BTC"),
    _perpetual(
        "BTCUSDC", _since(2024, 1, 4, 12, 31), 61_018.0, (1, 3), 0.0005, 30_000, 500, quote="USDC", follows="BTCUSDT"
    ),
    _perpetual(
        "币安人生USDT", _since(2025, 1, 8, 13, 45), 0.3102, (5, 0), 0.0013, 500_000, 320, follows="币安人生USDT"
    ),
    _perpetual("NOVAUSDT", _since(2025, 3, 3, 12), 2.401, (4, 1), 0.0014, 60_000, 160, follows="NOVAUSDT"),
    _perpetual("RAYUSDT", (Life(utc(2021, 8, 24, 7), utc(2022, 11, 20, 9)),), 3.1, (3, 1), 0.0010, 20_000, 70),
    _perpetual(
        "FTTUSDT",
        (Life(utc(2022, 2, 10, 7), _SETTLED + _FLAT_AFTER_SETTLING),),
        24.0,
        (3, 1),
        0.0010,
        30_000,
        120,
        settled=_SETTLED,
    ),
    _perpetual(
        "TLMUSDT",
        (Life(utc(2021, 5, 11, 12), utc(2022, 6, 10, 9)), Life(utc(2023, 3, 27, 12, 30))),
        0.021,
        (5, 0),
        0.0011,
        400_000,
        90,
    ),
    _perpetual(
        "CVCUSDTSETTLED",
        (Life(utc(2022, 4, 1), utc(2022, 5, 31, 9)),),
        0.2,
        (5, 0),
        0.0010,
        90_000,
        40,
        base="CVC",
        archive_only=True,
    ),
    _perpetual(
        "ICPUSDT_SETTLED",
        (Life(utc(2022, 6, 10), utc(2022, 9, 27, 2)),),
        7.3,
        (3, 0),
        0.0010,
        20_000,
        60,
        base="ICP",
        archive_only=True,
    ),
    _delivery("BTCUSDT_241227", utc(2024, 6, 27, 8), utc(2024, 12, 27, 8), 1.003),
    _delivery("BTCUSDT_250328", utc(2024, 9, 26, 8), utc(2025, 3, 28, 8), 1.008),
    _delivery("BTCUSDT_250627", utc(2024, 12, 26, 8), utc(2025, 6, 27, 8), 1.019),
    _perpetual("AURAUSDT", (), 0.5, (4, 0), 0.0010, 50_000, 50, onboard=utc(2025, 3, 6, 12)),
)


def extra_um_listings(count: int) -> tuple[Listing, ...]:
    """Perpetuals on spot's `X0001USDT`, ...; each 20th is delisted in mid-2024 and gone from exchangeInfo."""
    return tuple(
        _perpetual(
            spot.symbol,
            (Life(spot.lives[0].start, utc(2024, 6, 17, 9) if number % _EACH_DELISTED == 0 else None),),
            spot.price,
            (spot.price_decimals, 1),
            spot.volatility,
            spot.lots_per_minute,
            spot.trades_per_minute,
            follows=spot.symbol,
        )
        for number, spot in enumerate(extra_listings(count), start=1)
    )
