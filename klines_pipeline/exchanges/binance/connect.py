"""Binance, assembled: a row of the markets table with its archive and REST clients."""

from collections.abc import Mapping

from klines_pipeline.exchanges.binance.markets import ENDPOINTS, KLINES_HAVE_NO, MARKETS
from klines_pipeline.exchanges.binance.rest import WEIGHT_HEADER, BinanceRest, check_body
from klines_pipeline.exchanges.binance.vision import VisionArchive
from klines_pipeline.exchanges.budget import WeightBudget
from klines_pipeline.exchanges.protocols import Market
from klines_pipeline.exchanges.rest_host import RestHost

VOCABULARY = {name: row.intervals for name, row in MARKETS.items()}
"""Markets and their intervals."""


def connect(market: str, endpoints: Mapping[str, str]) -> Market:
    """A connected market; `endpoints` overrides the real services by name. No request is made."""
    row = MARKETS[market]
    urls = {name: endpoints.get(name, default).rstrip("/") for name, default in ENDPOINTS.items()}
    host = RestHost(urls[row.endpoint], WeightBudget(row.weight_limit), WEIGHT_HEADER, check_body)
    archive = VisionArchive(row, urls["vision_list_url"], urls["vision_download_url"])
    return Market(archive=archive, api=BinanceRest(row, host), nullable=KLINES_HAVE_NO)
