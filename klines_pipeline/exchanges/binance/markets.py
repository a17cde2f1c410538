"""Binance's markets, one row each: where archives and REST lie, what they cost, which intervals exist.

The archive's directory names are the market names of the configuration. The columns of a kline are in `wire`.
"""

from dataclasses import dataclass

from klines_pipeline.domain.interval import DAILY_INTERVALS

_FUTURES_INTERVALS = tuple(name for name in DAILY_INTERVALS if name != "1s")
_FUTURES_WEIGHTS = ((99, 1), (499, 2), (1000, 5), (1500, 10))


@dataclass(frozen=True, slots=True)
class BinanceMarket:
    """One row. `bellwether` is the symbol whose archives tell whether the venue published a day at all."""

    name: str
    directory: str
    endpoint: str
    rest_prefix: str
    weight_limit: int
    klines_weights: tuple[tuple[int, int], ...]
    """(most klines, weight) of each price step of a request."""
    exchange_info_weight: int
    intervals: tuple[str, ...]
    bellwether: str
    status_field: str = "status"
    funding: bool = False
    contracts: bool = False
    """Volumes are counted in contracts; the base volume stands where others have the quote volume."""
    window_days: int | None = None
    """Longest window of a klines request; its answer is the last klines of the window and not the first."""

    @property
    def page_limit(self) -> int:
        """Klines in one request, where one kline costs least weight: 499 of 2 on futures, not 1,500 of 10."""
        return max(self.klines_weights, key=lambda step: step[0] / step[1])[0]

    def price(self, klines: int) -> tuple[int, int]:
        """(limit, weight) of the cheapest request for so many klines, or of the largest there is."""
        return next((step for step in self.klines_weights if step[0] >= klines), self.klines_weights[-1])


MARKETS = {
    "spot": BinanceMarket(
        name="spot",
        directory="spot",
        endpoint="binance_spot_url",
        rest_prefix="/api/v3",
        weight_limit=6000,  # since 2023-08-25
        klines_weights=((1000, 2),),
        exchange_info_weight=20,
        intervals=DAILY_INTERVALS,
        bellwether="BTCUSDT",
    ),
    "um": BinanceMarket(
        name="um",
        directory="futures/um",
        endpoint="binance_um_url",
        rest_prefix="/fapi/v1",
        weight_limit=2400,
        klines_weights=_FUTURES_WEIGHTS,
        exchange_info_weight=1,
        intervals=_FUTURES_INTERVALS,
        bellwether="BTCUSDT",
        funding=True,
    ),
    "cm": BinanceMarket(
        name="cm",
        directory="futures/cm",
        endpoint="binance_cm_url",
        rest_prefix="/dapi/v1",
        weight_limit=2400,
        klines_weights=_FUTURES_WEIGHTS,
        exchange_info_weight=1,
        intervals=_FUTURES_INTERVALS,
        bellwether="BTCUSD_PERP",
        status_field="contractStatus",
        funding=True,
        contracts=True,
        window_days=200,
    ),
}

ENDPOINTS = {
    "vision_list_url": "https://s3-ap-northeast-1.amazonaws.com/data.binance.vision",
    "vision_download_url": "https://data.binance.vision",
    "binance_spot_url": "https://api.binance.com",
    "binance_um_url": "https://fapi.binance.com",
    "binance_cm_url": "https://dapi.binance.com",
}
"""Names as in the environment, lower case and without the KLINES_ prefix; the defaults are the real services."""
