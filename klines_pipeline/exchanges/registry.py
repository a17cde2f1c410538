"""The exchanges this project speaks to: one line each."""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from klines_pipeline.domain.errors import UnknownNameError
from klines_pipeline.exchanges.binance import connect as binance
from klines_pipeline.exchanges.protocols import Market


class Connect(Protocol):
    """Connects one market of an exchange."""

    def __call__(self, market: str, endpoints: Mapping[str, str]) -> Market:
        """See the exchange's `connect` module."""


class Exchange(NamedTuple):
    """An exchange's words (markets, and the intervals of each) and how to connect to it."""

    vocabulary: Mapping[str, tuple[str, ...]]
    connect: Connect


EXCHANGES = {
    "binance": Exchange(binance.VOCABULARY, binance.connect),
}


def check_words(exchange: str, market: str, interval: str, *, where: str = "") -> None:
    """Refuse what no exchange here has, naming the nearest valid word."""
    if exchange not in EXCHANGES:
        raise UnknownNameError("exchange", exchange, EXCHANGES, where=where)
    vocabulary = EXCHANGES[exchange].vocabulary
    if market not in vocabulary:
        raise UnknownNameError(f"market of {exchange}", market, vocabulary, where=where)
    if interval not in vocabulary[market]:
        raise UnknownNameError(f"interval of {exchange} {market}", interval, vocabulary[market], where=where)


def connect(exchange: str, market: str, endpoints: Mapping[str, str]) -> Market:
    """The market, connected; no request is made."""
    return EXCHANGES[exchange].connect(market, endpoints)
