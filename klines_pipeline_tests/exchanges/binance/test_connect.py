"""Binance, assembled: the real services by default, others by name."""

import pytest

from klines_pipeline.exchanges.binance.connect import WORDS, connect
from klines_pipeline.exchanges.binance.markets import ENDPOINTS, MARKETS
from klines_pipeline.exchanges.binance.rest import BinanceRest
from klines_pipeline.exchanges.binance.vision import VisionArchive


@pytest.mark.parametrize("market", WORDS)
def test_every_market_speaks_to_the_real_service_unless_told_otherwise(market: str) -> None:
    row = MARKETS[market]

    connected = connect(market, {row.endpoint: "http://127.0.0.1:1/", "okx_url": "http://unused"})

    assert isinstance(connected.api, BinanceRest)
    assert isinstance(connected.archive, VisionArchive)
    assert connected.api.host.url == "http://127.0.0.1:1"
    assert connected.archive.list_url == ENDPOINTS["vision_list_url"]
    assert connected.archive.download_url == ENDPOINTS["vision_download_url"]
    connected.api.close()


@pytest.mark.parametrize("name", ENDPOINTS)
def test_defaults_are_encrypted(name: str) -> None:
    assert ENDPOINTS[name].startswith("https://")
