"""OKX, assembled, from REST alone: its candle archives hold UTC+8 days, unlisted and without checksums."""

from collections.abc import Mapping
from functools import partial

from klines_pipeline.exchanges.funding import FundingSource
from klines_pipeline.exchanges.no_archive import NoArchive
from klines_pipeline.exchanges.okx.bars import BARS
from klines_pipeline.exchanges.okx.funding import OkxFunding
from klines_pipeline.exchanges.okx.host import build_host
from klines_pipeline.exchanges.okx.instruments import describe
from klines_pipeline.exchanges.okx.markets import MARKETS
from klines_pipeline.exchanges.okx.rest import OkxRest
from klines_pipeline.exchanges.protocols import Market, MarketWords

WORDS: Mapping[str, MarketWords] = {
    name: MarketWords(intervals=tuple(BARS), archived=False, funding=row.funding, rest_host="okx")
    for name, row in MARKETS.items()
}
"""Markets as klines.yaml may name them."""
ENDPOINTS = {"okx_url": "https://www.okx.com"}
"""Names as in the environment, lower case and without the KLINES_ prefix; the default is the real service."""
URLS = tuple(ENDPOINTS)
"""Names of the URLs that may be replaced."""


def connect(market: str, endpoints: Mapping[str, str], state: str | None = None) -> Market:
    """A connected market; `endpoints` overrides the real service. No request is made."""
    row = MARKETS[market]
    url = endpoints.get("okx_url", ENDPOINTS["okx_url"]).rstrip("/")
    api = OkxRest(row, build_host(url, state))
    return Market(
        archive=NoArchive(api),
        api=api,
        nullable=row.nullable,
        describe=partial(describe, row),
        funding=FundingSource(OkxFunding(api.host, api.now)) if row.funding else None,
    )
