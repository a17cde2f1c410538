"""Exchanges are found by name; what none of them has is refused with the nearest word."""

import pytest

from klines_pipeline.domain.errors import UnknownNameError
from klines_pipeline.exchanges.registry import EXCHANGES, check_words, connect

WORDS = [
    (name, market, interval)
    for name, known in EXCHANGES.items()
    for market, intervals in known.vocabulary.items()
    for interval in intervals
]


@pytest.mark.parametrize("words", WORDS, ids="/".join)
def test_every_word_of_the_vocabulary_is_accepted_and_its_market_connects(words: tuple[str, str, str]) -> None:
    check_words(*words)

    market = connect(words[0], words[1], {})

    assert market.api.requests == 0
    market.api.close()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("binanse", "spot", "1m"), "here: unknown exchange 'binanse'. The nearest valid one is 'binance'"),
        (("binance", "spto", "1m"), "here: unknown market of binance 'spto'. The nearest valid one is 'spot'"),
        (("binance", "spot", "10m"), "here: unknown interval of binance spot '10m'"),
    ],
)
def test_an_unknown_word_is_refused_with_a_near_one(words: tuple[str, str, str], sentence: str) -> None:
    with pytest.raises(UnknownNameError, match=sentence):
        check_words(*words, where="here")
