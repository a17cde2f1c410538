"""What a listed symbol is, and those of the make-believe spot market: when listed, what it costs, how it trades.

To add a symbol: one row. The futures have theirs in `um_listings` and `cm_listings`; what the exchange fails to archive
stands in `truths`.
"""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

from klines_pipeline.simulator.hashing import stream_key, stream_name, uniform


@dataclass(frozen=True, slots=True)
class Life:
    """One listing, [start, end) in UTC; `end` None while the symbol trades."""

    start: datetime
    end: datetime | None = None

    @property
    def first_day(self) -> date:
        """UTC day of the first kline."""
        return self.start.date()

    @property
    def last_day(self) -> date | None:
        """UTC day of the last kline, None while the symbol trades."""
        return None if self.end is None else (self.end - timedelta(microseconds=1)).date()


@dataclass(frozen=True, slots=True)
class Contract:
    """What a futures symbol has beside its listing. Instants are UTC."""

    pair: str
    margin: str
    size: int = 0
    """Quote per contract (COIN-M); 0 where volume counts the base asset."""
    delivery: datetime | None = None
    """None for a perpetual."""
    onboard: datetime | None = None
    """As exchangeInfo tells it, where that is not the first kline."""
    settled: datetime | None = None
    """From then on flat klines, and the status SETTLING for good."""
    archived_from: date | None = None
    """First day with archives, where REST reaches further back."""
    archive_only: bool = False
    """A folder left of a renamed contract: neither exchangeInfo nor REST knows it."""


@dataclass(frozen=True, slots=True)
class Listing:
    """A symbol. Decimals of price and lot together are at most 8, so that quote volumes are exact."""

    symbol: str
    base: str
    quote: str
    lives: tuple[Life, ...]
    price: float
    price_decimals: int
    lot_decimals: int
    volatility: float
    """Scale of one minute's relative move."""
    lots_per_minute: int
    trades_per_minute: int
    quiet: float = 0.0
    """Share of minutes without any trade."""
    market: str = "spot"
    follows: str = ""
    """The stream of the price it follows, if not its own."""
    contract: Contract | None = None
    permission: str = "SPOT"

    @property
    def stream(self) -> str:
        """The name of its streams of random numbers."""
        return stream_name(self.market, self.symbol)

    def archived_on(self, day: date) -> bool:
        """Whether a UTC day ever gets an archive."""
        since = self.contract.archived_from if self.contract else None
        return self.trades_on(day) and (since is None or since <= day)

    def trades_on(self, day: date) -> bool:
        """Whether any kline of the symbol opens on a UTC day."""
        return any(life.first_day <= day and (not life.last_day or day <= life.last_day) for life in self.lives)

    def life_at(self, moment: datetime) -> Life | None:
        """The listing in force at a UTC instant."""
        return next((life for life in self.lives if life.start <= moment and (not life.end or moment < life.end)), None)


def utc(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    """A UTC minute."""
    return datetime(year, month, day, hour, minute, tzinfo=UTC)


def _usdt(
    base: str,
    start: datetime,
    price: float,
    decimals: tuple[int, int],
    volatility: float,
    lots: int,
    trades: int,
    *,
    end: datetime | None = None,
    quiet: float = 0.0,
) -> Listing:
    return Listing(base + "USDT", base, "USDT", (Life(start, end),), price, *decimals, volatility, lots, trades, quiet)


DEFAULT_LISTINGS: tuple[Listing, ...] = (
    _usdt("BTC", utc(2017, 8, 17, 4), 61_000.0, (2, 5), 0.0005, 1_900_000, 1_400),
    _usdt("ETH", utc(2017, 8, 17, 4), 2_900.0, (2, 4), 0.0006, 2_400_000, 900),
    _usdt("BNB", utc(2017, 11, 6, 3, 54), 480.0, (2, 3), 0.0006, 160_000, 260),
    _usdt("XRP", utc(2018, 5, 4, 8, 11), 1.1, (4, 1), 0.0007, 2_500_000, 420),
    _usdt("ADA", utc(2018, 4, 17, 4), 0.62, (4, 1), 0.0007, 900_000, 200),
    _usdt("DOGE", utc(2019, 7, 5, 12), 0.21, (5, 0), 0.0008, 700_000, 350),
    _usdt("SOL", utc(2020, 8, 11, 6), 145.0, (2, 3), 0.0008, 1_700_000, 600),
    _usdt("ARB", utc(2023, 3, 23, 15), 0.9, (4, 1), 0.0009, 400_000, 150),
    _usdt("LUNA", utc(2020, 8, 21, 10), 42.0, (4, 2), 0.0010, 300_000, 220, end=utc(2022, 5, 13, 0, 40)),
    Listing(
        "USDCUSDT",
        "USDC",
        "USDT",
        (Life(utc(2018, 12, 15, 3), utc(2022, 9, 29, 3)), Life(utc(2023, 3, 12, 12))),
        1.0,
        4,
        0,
        0.000004,
        90_000,
        40,
    ),
    _usdt("VITE", utc(2021, 3, 9, 8), 0.035, (5, 1), 0.0011, 30_000, 7, quiet=0.62),
    _usdt("币安人生", utc(2025, 1, 8, 13, 30), 0.31, (4, 1), 0.0013, 500_000, 240),
    _usdt("NOVA", utc(2025, 3, 3, 12), 2.4, (4, 2), 0.0014, 200_000, 130),
)


LEVERAGED_TOKENS: tuple[Listing, ...] = tuple(
    replace(
        _usdt(base, utc(2020, 5, 14, 6), price, (3, 2), 0.0012, 90_000, 60, end=utc(2024, 2, 28, 3)),
        permission="LEVERAGED",
    )
    for base, price in (("BTCUP", 38.0), ("BTCDOWN", 4.2))
)


def extra_listings(count: int) -> tuple[Listing, ...]:
    """`X0001USDT`, `X0002USDT`, ...: listed since 2020-01-01, for tests and benchmarks of width."""
    since = utc(2020, 1, 1)
    names = (f"X{number:04d}" for number in range(1, count + 1))
    return tuple(_usdt(name, since, 0.5 + 40 * uniform("price", name), (4, 2), 0.0008, *_pace(name)) for name in names)


def _pace(name: str) -> tuple[int, int]:
    return 20_000 + stream_key("lots", name) % 400_000, 30 + stream_key("trades", name) % 300
