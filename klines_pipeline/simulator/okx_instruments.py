"""The instruments of the make-believe OKX: their contracts, since when they have candles, what `listTime` claims.

To add an instrument: one row. Which bars are absent on purpose stands in `okx_truths`.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from klines_pipeline.simulator.columns import DECIMALS
from klines_pipeline.simulator.listings import Life, Listing, utc

Kind = Literal["spot", "linear", "inverse"]


@dataclass(frozen=True, slots=True)
class Instrument:
    """An instrument. For inverse contracts the listing's lots are contracts, else they are base currency."""

    listing: Listing
    kind: Kind
    contract_value: int = 0
    """1e-8 of base currency (linear) or quote currency (inverse) per contract; 0 for spot."""
    list_time: datetime | None = None
    """What the service calls the listing time (UTC), where that is not the first candle."""
    funding_hours: int = 8

    @property
    def name(self) -> str:
        """The service's instId."""
        return self.listing.symbol

    @property
    def type(self) -> str:
        """The service's instType."""
        return "SPOT" if self.kind == "spot" else "SWAP"

    @property
    def life(self) -> Life:
        """From the first candle to the end of the last one, UTC."""
        return self.listing.lives[0]

    @property
    def lot_decimals(self) -> int:
        """Decimals of the size of an order: contracts for swaps, base currency for spot."""
        if self.kind != "linear":
            return self.listing.lot_decimals
        return self.listing.lot_decimals - (DECIMALS + 1 - len(str(self.contract_value)))

    def is_live(self, now: datetime) -> bool:
        """Whether it trades at a UTC instant."""
        return self.listing.life_at(now) is not None


def _walk(
    name: str,
    start: datetime,
    price: float,
    decimals: tuple[int, int],
    lots: int,
    *,
    volatility: float = 0.0006,
    end: datetime | None = None,
    quiet: float = 0.0,
) -> Listing:
    """A symbol of Binance's spot walk, a few ticks away: the coin is the same."""
    base, quote = name.split("-")[:2]
    return Listing(
        symbol=name,
        base=base,
        quote=quote,
        lives=(Life(start, end),),
        price=price,
        price_decimals=decimals[0],
        lot_decimals=decimals[1],
        volatility=volatility,
        lots_per_minute=lots,
        trades_per_minute=200,
        quiet=quiet,
        follows=f"{base}USDT",
    )


_FIRST_SPOT = utc(2018, 1, 11, 10)
_RELISTED = utc(2021, 1, 29, 8)
"""`listTime` of old instruments: years after their first candles."""

INSTRUMENTS = {
    instrument.name: instrument
    for instrument in (
        Instrument(
            _walk("BTC-USDT", _FIRST_SPOT, 61_000.0, (1, 5), 100_000, volatility=0.0005), "spot", list_time=_RELISTED
        ),
        Instrument(_walk("ETH-USDT", _FIRST_SPOT, 2_900.0, (2, 4), 250_000), "spot"),
        Instrument(_walk("SOL-USDT", utc(2020, 9, 28, 7), 145.0, (2, 3), 700_000, volatility=0.0008), "spot"),
        Instrument(_walk("NOVA-USDT", utc(2025, 3, 3, 12), 2.4, (4, 2), 150_000, volatility=0.0014), "spot"),
        Instrument(
            _walk("USDC-USDT", utc(2020, 5, 20, 4), 1.0, (4, 2), 90_000, volatility=0.000004, quiet=0.35), "spot"
        ),
        Instrument(
            _walk("BTC-USDT-SWAP", utc(2019, 12, 16, 8), 61_000.0, (1, 4), 30_000, volatility=0.0005),
            "linear",
            contract_value=1_000_000,
            list_time=_RELISTED,
        ),
        Instrument(
            _walk("ETH-USDT-SWAP", utc(2019, 12, 26, 8), 2_900.0, (2, 3), 50_000), "linear", contract_value=10_000_000
        ),
        Instrument(
            _walk("BTC-USD-SWAP", utc(2018, 12, 14, 8), 61_000.0, (1, 1), 30_000, volatility=0.0005),
            "inverse",
            10_000_000_000,
        ),
        Instrument(
            _walk("SOL-USDT-SWAP", utc(2021, 2, 2, 8), 145.0, (2, 2), 80_000, volatility=0.0008),
            "linear",
            contract_value=100_000_000,
            funding_hours=4,
        ),
        Instrument(
            _walk(
                "LUNA-USDT-SWAP", utc(2021, 3, 5, 8), 42.0, (3, 2), 60_000, volatility=0.0010, end=utc(2022, 5, 13, 2)
            ),
            "linear",
            contract_value=100_000_000,
        ),
    )
}
"""By instId. BTC-USDT-SWAP is 0.01 BTC, BTC-USD-SWAP is 100 USD; LUNA-USDT-SWAP was delisted in 2022."""
