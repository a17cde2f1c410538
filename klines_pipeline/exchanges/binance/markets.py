"""Binance's markets, one row each: where archives and REST lie, what they cost, which intervals exist.

The archive's directory names are the market names of the configuration. The columns of a kline are in `wire`.
"""

from dataclasses import dataclass

from klines_pipeline.domain.interval import DAILY_INTERVALS

KLINES_HAVE_NO = ()
"""Columns Binance does not publish: none."""


@dataclass(frozen=True, slots=True)
class BinanceMarket:
    """One row. `bellwether` is the symbol whose archives tell whether the venue published a day at all."""

    name: str
    directory: str
    endpoint: str
    rest_prefix: str
    weight_limit: int
    page_limit: int
    klines_weight: int
    exchange_info_weight: int
    intervals: tuple[str, ...]
    bellwether: str


MARKETS = {
    "spot": BinanceMarket(
        name="spot",
        directory="spot",
        endpoint="binance_spot_url",
        rest_prefix="/api/v3",
        weight_limit=6000,  # since 2023-08-25
        page_limit=1000,
        klines_weight=2,
        exchange_info_weight=20,
        intervals=DAILY_INTERVALS,
        bellwether="BTCUSDT",
    ),
}

ENDPOINTS = {
    "vision_list_url": "https://s3-ap-northeast-1.amazonaws.com/data.binance.vision",
    "vision_download_url": "https://data.binance.vision",
    "binance_spot_url": "https://api.binance.com",
}
"""Names as in the environment, lower case and without the KLINES_ prefix; the defaults are the real services."""
