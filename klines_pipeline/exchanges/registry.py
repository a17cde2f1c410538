"""The exchanges this project speaks to: one line each."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol

from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.errors import ConfigurationError, UnknownNameError
from klines_pipeline.exchanges.binance import connect as binance
from klines_pipeline.exchanges.okx import connect as okx
from klines_pipeline.exchanges.protocols import Market, MarketWords


class Connect(Protocol):
    """Connects one market of an exchange."""

    def __call__(self, market: str, endpoints: Mapping[str, str], state: str | None = None) -> Market:
        """See the exchange's `connect` module."""


class Exchange(NamedTuple):
    """An exchange's words for its markets, the names of its URLs, and how to connect to it."""

    markets: Mapping[str, MarketWords]
    endpoints: Iterable[str]
    connect: Connect


EXCHANGES = {
    "binance": Exchange(binance.WORDS, binance.URLS, binance.connect),
    "okx": Exchange(okx.WORDS, okx.URLS, okx.connect),
}


def words_of(exchange: str, market: str, *, where: str = "") -> MarketWords:
    """What is known of a market; an unknown name is refused with the nearest valid one."""
    if exchange not in EXCHANGES:
        raise UnknownNameError("exchange", exchange, EXCHANGES, where=where)
    markets = EXCHANGES[exchange].markets
    if market not in markets:
        raise UnknownNameError(f"market of {exchange}", market, markets, where=where)
    return markets[market]


def check_dataset(dataset: Dataset, *, where: str) -> None:
    """Refuse what no exchange here has, naming the nearest valid word."""
    venue = " ".join(dataset.prefix)
    words = words_of(*dataset.prefix, where=where)
    if str(dataset.interval) not in words.intervals:
        raise UnknownNameError(f"interval of {venue}", str(dataset.interval), words.intervals, where=where)
    if dataset.funding and not words.funding:
        raise ConfigurationError(f"{where}: funding: {venue} has no funding rates; leave it out.")


def url_variables() -> list[str]:
    """The environment variables that replace an exchange's URLs."""
    return sorted(f"KLINES_{name.upper()}" for exchange in EXCHANGES.values() for name in exchange.endpoints)


def check_endpoints(names: Iterable[str]) -> None:
    """Refuse a URL that no exchange would ever ask: a variable's name is misspelled."""
    known = url_variables()
    for name in names:
        if (variable := f"KLINES_{name.upper()}") not in known:
            raise UnknownNameError("variable", variable, known, where="The environment")


def connect(exchange: str, market: str, endpoints: Mapping[str, str], state: str | None = None) -> Market:
    """The market, connected; no request is made. `state` is a folder: what a host asks for is known to all who use it.

    Without it a connection knows only what it was told itself.
    """
    return EXCHANGES[exchange].connect(market, endpoints, state)
