"""OKX, assembled, from REST alone: its candle archives hold UTC+8 days, unlisted and without checksums."""

from collections.abc import Mapping

from klines_pipeline.exchanges.protocols import Market, MarketWords

WORDS: Mapping[str, MarketWords] = {}
"""Markets as klines.yaml may name them."""
URLS = ("okx_url",)
"""Names of the URLs that may be replaced."""


def connect(market: str, endpoints: Mapping[str, str]) -> Market:
    """A connected market; `endpoints` overrides the real service. No request is made."""
    del endpoints
    raise KeyError(market)
