"""Binance, assembled: a row of the markets table with its archive and REST clients."""

from collections.abc import Mapping
from functools import partial

from klines_pipeline.exchanges.binance.funding import BinanceFunding, is_perpetual
from klines_pipeline.exchanges.binance.funding_archive import BinanceFundingArchive
from klines_pipeline.exchanges.binance.markets import ENDPOINTS, MARKETS
from klines_pipeline.exchanges.binance.names import describe
from klines_pipeline.exchanges.binance.rest import WEIGHT_HEADER, BinanceRest, check_body
from klines_pipeline.exchanges.binance.vision import VisionArchive
from klines_pipeline.exchanges.budget import WeightBudget
from klines_pipeline.exchanges.funding import FundingSource
from klines_pipeline.exchanges.protocols import Market, MarketWords
from klines_pipeline.exchanges.rest_host import RestHost
from klines_pipeline.exchanges.silence import Silence
from klines_pipeline.klines.schema import KLINE_SCHEMA, with_contracts

WORDS = {
    name: MarketWords(row.intervals, funding=row.funding, contracts=row.contracts) for name, row in MARKETS.items()
}
"""Markets as klines.yaml may name them."""
URLS = tuple(ENDPOINTS)
"""Names of the URLs that may be replaced."""
_NO_QUOTE_VOLUME = ("quote_volume", "taker_buy_quote_volume")
"""COIN-M publishes contracts and base volume; the quote volume is made from the contract size."""


def connect(market: str, endpoints: Mapping[str, str], state: str | None = None) -> Market:
    """A connected market; `endpoints` overrides the real services by name. No request is made."""
    row = MARKETS[market]
    urls = {name: endpoints.get(name, default).rstrip("/") for name, default in ENDPOINTS.items()}
    url, budget = urls[row.endpoint], WeightBudget(row.weight_limit)
    host = RestHost(url, budget, WEIGHT_HEADER, check_body, silence=Silence(url + row.rest_prefix, state))
    archive = VisionArchive(row, urls["vision_list_url"], urls["vision_download_url"])
    api = BinanceRest(row, host)
    funding = FundingSource(BinanceFunding(api), BinanceFundingArchive(archive), settles=is_perpetual)
    return Market(
        archive=archive,
        api=api,
        nullable=_NO_QUOTE_VOLUME if row.contracts else (),
        schema=with_contracts(KLINE_SCHEMA) if row.contracts else KLINE_SCHEMA,
        describe=partial(describe, row),
        funding=funding if row.funding else None,
    )
