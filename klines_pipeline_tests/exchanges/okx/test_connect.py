"""OKX, assembled: REST alone, the real service by default."""

import pytest

from klines_pipeline.domain.interval import Interval
from klines_pipeline.exchanges.no_archive import NoArchive
from klines_pipeline.exchanges.okx.connect import ENDPOINTS, URLS, WORDS, connect
from klines_pipeline.exchanges.okx.rest import OkxRest


@pytest.mark.parametrize("market", WORDS)
def test_every_market_speaks_to_one_host_and_has_no_archive(market: str) -> None:
    connected = connect(market, {"okx_url": "http://127.0.0.1:1/", "binance_spot_url": "http://unused"})

    assert isinstance(connected.api, OkxRest)
    assert isinstance(connected.archive, NoArchive)
    assert connected.archive.api is connected.api
    assert connected.api.host.url == "http://127.0.0.1:1"
    assert connected.api.requests == 0
    assert not WORDS[market].archived
    connected.api.close()


def test_the_default_is_encrypted_and_the_only_url() -> None:
    connected = connect("spot", {})

    assert URLS == ("okx_url",)
    assert isinstance(connected.api, OkxRest)
    assert connected.api.host.url == ENDPOINTS["okx_url"]
    assert ENDPOINTS["okx_url"].startswith("https://")
    connected.api.close()


def test_only_swaps_have_funding_rates() -> None:
    assert {name: words.funding for name, words in WORDS.items()} == {"spot": False, "swap": True}


@pytest.mark.parametrize("market", WORDS)
def test_intervals_that_okx_lacks_are_no_words_of_it(market: str) -> None:
    assert not {"1s", "8h"} & set(WORDS[market].intervals)
    assert all(Interval.parse(name) for name in WORDS[market].intervals)
