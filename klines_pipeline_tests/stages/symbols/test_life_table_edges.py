"""The life table over time: holes that are filled later, and two that refresh it at once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from klines_pipeline.domain.universe import SymbolFacts
from klines_pipeline.exchanges.no_archive import NoArchive
from klines_pipeline.exchanges.protocols import Market
from klines_pipeline.klines.life import SYMBOL_SCHEMA
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.stages.symbols.life_table import contract_sizes, refresh_symbols
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.layout import SymbolsPaths
from klines_pipeline.storage.tables import read_table
from klines_pipeline_tests.conftest import impatient
from klines_pipeline_tests.makebelieve.connect import MakeBelieveApi

MOON = ("makebelieve", "moon")


def refreshed(lake: Lake, market: Market, venue: tuple[str, str]) -> pl.DataFrame:
    """The table, up to date; the connection is closed."""
    table = refresh_symbols(lake, market, venue, lambda _: None).table
    market.api.close()
    return table


def test_a_hole_that_is_filled_later_is_no_hole_any_more(exchange: EmbeddedExchange, lake: Lake) -> None:
    start = date(2025, 1, 5)
    for day in (start + timedelta(days=number) for number in range(20)):
        exchange.hold_publication("SOLUSDT", day, until=datetime(2025, 3, 10, tzinfo=UTC), market="um")
    before = refreshed(lake, impatient(exchange, "binance/um"), ("binance", "um")).filter(symbol="SOLUSDT")
    assert before["holes"].to_list() == [[{"start": start, "end": date(2025, 1, 25)}]]
    exchange.set_clock(datetime(2025, 3, 20, tzinfo=UTC))

    after = refreshed(lake, impatient(exchange, "binance/um"), ("binance", "um")).filter(symbol="SOLUSDT")

    assert after["holes"].to_list() == [[]]
    assert after["last_day"].to_list() == [date(2025, 3, 18)]


@dataclass(slots=True)
class Meanwhile(MakeBelieveApi):
    """While it is asked for its symbols, something else happens."""

    happens: Callable[[], object] = int
    names: tuple[str, ...] = ()

    def symbols(self) -> Mapping[str, SymbolFacts]:
        """Those it was made with."""
        self.happens()
        return {name: SymbolFacts(symbol=name, base=name.split("-")[0], quote="MOON") for name in self.names}


def moon(*names: str, happens: Callable[[], object] = int) -> Market:
    """A market that names these symbols."""
    api = Meanwhile("", happens=happens, names=names)
    return Market(archive=NoArchive(api), api=api)


@pytest.mark.parametrize("known", [False, True], ids=["an empty lake", "a lake with a table"])
def test_of_two_refreshes_at_once_neither_loses_what_the_other_found(lake: Lake, known: object) -> None:
    """The second one begins and ends while the first waits for an answer."""
    if known:
        refreshed(lake, moon("ROCK-MOON"), MOON)

    table = refreshed(lake, moon("CHEESE-MOON", happens=lambda: refreshed(lake, moon("DUST-MOON"), MOON)), MOON)

    expected = {"CHEESE-MOON", "DUST-MOON"} | ({"ROCK-MOON"} if known else set())
    assert set(table["symbol"]) == expected


def test_a_refresh_while_sizes_are_asked_keeps_its_rows(exchange: EmbeddedExchange, lake: Lake) -> None:
    market, venue = impatient(exchange, "binance/cm"), ("binance", "cm")

    def named() -> Mapping[str, SymbolFacts]:
        refreshed(lake, impatient(exchange, "binance/cm"), venue)
        return market.api.symbols()

    sizes = contract_sizes(lake, market, venue, ["BTCUSD_PERP"], named)
    market.api.close()
    table = read_table(lake, SymbolsPaths(*venue).symbols, SYMBOL_SCHEMA)

    assert sizes.known == {"BTCUSD_PERP": 100.0}
    kept = table.filter(symbol="ETHUSD_PERP").row(0, named=True)
    assert (kept["contract_size"], kept["first_day"]) == (10.0, date(2020, 8, 20))
    assert table.filter(symbol="BTCUSD_PERP")["first_day"].to_list() == [date(2020, 8, 10)]
