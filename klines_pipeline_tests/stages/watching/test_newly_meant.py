"""A filter made wider gets its history by itself: days are asked for once, and a narrower one asks for nothing."""

from dataclasses import replace
from datetime import date

import pytest

from klines_pipeline.domain.universe import Contract, Excluded, SymbolFacts, SymbolFilter
from klines_pipeline.klines.life import Runs, symbol_row, to_table
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.stages.symbols.life_table import refresh_symbols
from klines_pipeline.stages.watching.safety_net import older_repairs, wanted_repairs
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.layout import SymbolsPaths
from klines_pipeline.storage.tables import to_parquet
from klines_pipeline_tests.conftest import Run, impatient, make_dataset, read_day

TODAY = date(2025, 3, 4)
NARROW = make_dataset(interval="1d", start="2021-01-01", chosen=SymbolFilter(match="^BTCUSDT$"))
WIDE = replace(NARROW, chosen=SymbolFilter(match="^(BTC|LUNA|ARB)USDT$"))
ALIVE, DEAD = date(2022, 5, 2), date(2022, 6, 20)
"""LUNAUSDT ended on 2022-05-13, ARBUSDT began on 2023-03-23."""


@pytest.fixture
def table(exchange: EmbeddedExchange, lake: Lake) -> None:
    """The life table of spot."""
    market = impatient(exchange, "binance/spot")
    refresh_symbols(lake, market, ("binance", "spot"), lambda _: None)
    market.api.close()


@pytest.mark.usefixtures("table")
def test_days_made_for_a_narrower_filter_are_asked_for_where_somebody_traded(lake: Lake, ingest: Run) -> None:
    ingest(NARROW, str(ALIVE), str(DEAD))

    [wish] = older_repairs(lake, WIDE, [ALIVE, DEAD], TODAY, {}, 31)

    assert wish.reason == f"1 day(s): {ALIVE} was never asked for 1 symbol that the filter means now"
    assert wish.with_archives
    ingest(WIDE, str(ALIVE))
    certified = read_day(lake, "ledger/certificates", str(ALIVE), interval="1d")["symbol"].to_list()
    assert certified == ["BTCUSDT", "LUNAUSDT"]
    for dataset in (WIDE, NARROW):
        assert older_repairs(lake, dataset, [ALIVE, DEAD], TODAY, {}, 31) == []
        assert wanted_repairs(lake, dataset, [ALIVE, DEAD], TODAY, {}) == []


def test_a_day_that_was_asked_for_the_filter_is_not_asked_for_again_whatever_came_of_it(
    lake: Lake, ingest: Run
) -> None:
    """A life table that has ARBUSDT a year too early: the run knows better, and that is the end of it."""
    told = symbol_row(SymbolFacts(symbol="ARBUSDT"), Runs(((ALIVE, TODAY),)), listed=True, checked_at=None)
    lake.publish(SymbolsPaths("binance", "spot").symbols, to_parquet(to_table([told])))
    ingest(NARROW, str(ALIVE))
    [wish] = older_repairs(lake, WIDE, [ALIVE], TODAY, {}, 31)

    ingest(WIDE, *map(str, wish.days))

    assert "ARBUSDT" not in read_day(lake, "ledger/certificates", str(ALIVE), interval="1d")["symbol"]
    assert older_repairs(lake, WIDE, [ALIVE], TODAY, {}, 31) == []


def test_without_a_life_table_nobody_is_missed(lake: Lake, ingest: Run) -> None:
    ingest(NARROW, str(ALIVE))

    assert older_repairs(lake, WIDE, [ALIVE], TODAY, {}, 31) == []


@pytest.mark.usefixtures("table")
def test_a_day_that_changed_while_the_bucket_was_dark_is_asked_for_once_more(
    exchange: EmbeddedExchange, lake: Lake, ingest: Run
) -> None:
    """Who has archives is then not known, so nobody can say that all of them were looked for."""
    ingest(NARROW, str(ALIVE))
    exchange.add_fault(kind="status", status=503, group="listing")
    ingest(WIDE, str(ALIVE), market=impatient(exchange, "binance/spot"))
    exchange.clear_faults()

    assert older_repairs(lake, WIDE, [ALIVE], TODAY, {}, 31) != []


def test_the_same_filter_is_the_same_text_whatever_the_order_of_its_parts() -> None:
    kinds = [Excluded.STABLECOINS, Excluded.LEVERAGED]
    filters = [
        SymbolFilter(quote=quotes, exclude=frozenset(excluded), contract=Contract.PERPETUAL, match="^B")
        for quotes, excluded in ((("USDT", "USDC"), kinds), (("USDC", "USDT"), kinds[::-1]))
    ]

    assert {*map(str, filters)} == {"quote USDC, USDT; exclude leveraged, stablecoins; contract perpetual; match ^B"}
