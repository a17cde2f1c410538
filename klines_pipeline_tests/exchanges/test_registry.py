"""Exchanges are found by name; what none of them has is refused with the nearest word."""

from datetime import date

import pytest

from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.errors import ConfigurationError, UnknownNameError
from klines_pipeline.domain.interval import Interval
from klines_pipeline.exchanges.registry import EXCHANGES, check_dataset, check_endpoints, connect


def _dataset(exchange: str, market: str, interval: str, *, funding: bool = False) -> Dataset:
    day = date(2024, 1, 1)
    return Dataset(exchange, market, Interval.parse(interval), ("BTCUSDT",), day, funding=funding)


WORDS = [
    (name, market, interval)
    for name, known in EXCHANGES.items()
    for market, words in known.markets.items()
    for interval in words.intervals
]


@pytest.mark.parametrize("words", WORDS, ids="/".join)
def test_every_word_of_the_vocabulary_is_accepted_and_its_market_connects(words: tuple[str, str, str]) -> None:
    check_dataset(_dataset(*words), where="here")

    market = connect(words[0], words[1], {})

    assert market.api.requests == 0
    market.api.close()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("binanse", "spot", "1m"), "here: unknown exchange 'binanse'. The nearest valid one is 'binance'"),
        (("binance", "spto", "1m"), "here: unknown market of binance 'spto'. The nearest valid one is 'spot'"),
        (("binance", "um", "1s"), "here: unknown interval of binance um '1s'. The nearest valid one is '1m'"),
    ],
)
def test_an_unknown_word_is_refused_with_a_near_one(words: tuple[str, str, str], sentence: str) -> None:
    with pytest.raises(UnknownNameError, match=sentence):
        check_dataset(_dataset(*words), where="here")


def test_funding_is_refused_where_there_is_none() -> None:
    with pytest.raises(ConfigurationError, match="here: funding: binance spot has no funding rates; leave it out"):
        check_dataset(_dataset("binance", "spot", "1m", funding=True), where="here")


def test_a_misspelled_url_variable_is_refused_with_the_nearest_one() -> None:
    check_endpoints(["binance_spot_url", "vision_list_url"])

    with pytest.raises(UnknownNameError, match="nearest valid one is 'KLINES_BINANCE_SPOT_URL'"):
        check_endpoints(["binance_spott_url"])
