"""Whose archives are waited for: delisted symbols, filters, names that klines.yaml cannot mean."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date

import pytest

from klines_pipeline.domain.errors import ConfigurationError, UnknownNameError
from klines_pipeline.domain.universe import SymbolFilter
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.stages.watching.published_days.watcher import DATASET, Watcher, at, one_a_minute


def test_a_symbol_delisted_or_taken_out_of_the_configuration_is_not_waited_for(
    exchange: EmbeddedExchange, lake: Lake
) -> None:
    wide = Watcher(exchange, lake, replace(DATASET, symbols=("BTCUSDT", "LUNAUSDT", "ETHUSDT")))
    exchange.set_clock(at(4, 12))
    wide.run((date(2025, 3, 2), date(2025, 3, 3)))
    narrow = Watcher(exchange, lake, replace(DATASET, symbols=("BTCUSDT", "LUNAUSDT")))

    assert wide.tick(at(5, 3)).wanted[0].reason == "2025-03-04: 2 of 2 symbols published"
    assert narrow.wants(at(5, 3)).reason == "2025-03-04: 1 of 1 symbols published"


@pytest.fixture
def without_solusdt() -> Iterator[EmbeddedExchange]:
    """An exchange of its own: a symbol once delisted is so for every test after."""
    with EmbeddedExchange(rate=0, now=at(4, 12)) as exchange:
        one_a_minute(exchange)
        exchange.delist("SOLUSDT", at(3, 12))
        yield exchange


def test_a_symbol_of_whose_day_rest_has_nothing_holds_the_others_back_no_day(
    without_solusdt: EmbeddedExchange, lake: Lake
) -> None:
    """Delisted yesterday: four days pass until the bucket tells, and two of three are fewer than 95 %."""
    exchange = without_solusdt
    names = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
    watched = Watcher(exchange, lake, replace(DATASET, symbols=names))
    exchange.set_clock(at(4, 12))
    watched.run((date(2025, 3, 2), date(2025, 3, 3)))
    assert watched.waits(at(5, 3)) == "2025-03-04: 2 of 3 symbols published."
    exchange.set_clock(at(5, 0, 10))

    watched.run((date(2025, 3, 4),))

    assert watched.wants(at(5, 4)).reason == "2025-03-04: 2 of 2 symbols published"


def test_where_rest_has_nothing_of_anybody_all_are_waited_for(exchange: EmbeddedExchange, lake: Lake) -> None:
    watched = Watcher(exchange, lake, replace(DATASET, symbols=("BTCUSDT", "ETHUSDT", "SOLUSDT")))
    exchange.set_clock(at(4, 12))
    watched.run((date(2025, 3, 2), date(2025, 3, 3)))
    exchange.hold_publication("SOLUSDT", date(2025, 3, 4), until=None)
    exchange.add_fault(kind="status", status=200, body="[]", match="/api/v3/klines")
    exchange.set_clock(at(5, 0, 10))
    watched.run((date(2025, 3, 4),))

    assert watched.waits(at(5, 4)) == "2025-03-04: 2 of 3 symbols published."


def test_a_filter_waits_for_those_who_traded_the_day_before(exchange: EmbeddedExchange, lake: Lake) -> None:
    chosen = SymbolFilter(quote=("USDT",), match="^(BTC|LUNA|ETH)USDT$")
    filtered = Watcher(exchange, lake, replace(DATASET, symbols=(), chosen=chosen))
    filtered.wants(at(4, 12))

    assert filtered.waits(at(5, 0, 30)) == "2025-03-04: nothing is published yet."
    assert filtered.requests == 1
    assert filtered.wants(at(5, 12)).reason == "2025-03-04: 2 of 2 symbols published"


@pytest.mark.parametrize(
    ("venue", "named"), [("binance/spot", "BTCUSDT LUNAUSDT"), ("okx/swap", "BTC-USDT-SWAP LUNA-USDT-SWAP")]
)
def test_a_symbol_that_is_gone_costs_nothing_at_each_tick(
    exchange: EmbeddedExchange, lake: Lake, venue: str, named: str
) -> None:
    where = dict(zip(("exchange", "market"), venue.split("/"), strict=True))
    watched = Watcher(exchange, lake, replace(DATASET, symbols=tuple(named.split()), **where))
    exchange.set_clock(at(4, 12))
    first = watched.tick()
    assert first.requests == watched.requests, "all are counted"
    watched.run((date(2025, 3, 2), date(2025, 3, 3)))
    watched.tick()  # perhaps delisted: looked for every six hours

    tick = watched.tick()

    assert (tick.requests, watched.requests) == (1, 1)


def test_what_klines_yaml_cannot_mean_is_an_error(exchange: EmbeddedExchange, lake: Lake) -> None:
    misspelled = replace(DATASET, symbols=("BTCUSDT", "BTCUSTD"))
    unknown = replace(DATASET, symbols=(), chosen=SymbolFilter(quote=("USTD",)))
    okx = replace(misspelled, exchange="okx", symbols=("BTC-USTD",))

    for dataset, hint in ((misspelled, "BTCUSDT"), (unknown, "USDT"), (okx, "BTC-USDT")):
        with pytest.raises(UnknownNameError, match=f"nearest valid one is '{hint}'"):
            Watcher(exchange, lake, dataset).tick()
    with pytest.raises(ConfigurationError, match="the filter selects none"):
        Watcher(exchange, lake, replace(DATASET, symbols=(), chosen=SymbolFilter(match="^NOBODY"))).tick()
