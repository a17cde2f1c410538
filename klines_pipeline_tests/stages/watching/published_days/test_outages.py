"""A bucket or a REST service that does not answer, or not in time, and ledgers that cannot be read."""

from dataclasses import replace
from datetime import date
from pathlib import Path

from klines_pipeline.domain.wanted import Kind
from klines_pipeline.exchanges.registry import connect
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.stages.watching.appearing import Policy, look_at
from klines_pipeline.stages.watching.news import held_versions
from klines_pipeline.stages.watching.open_days import open_days, unlooked
from klines_pipeline.stages.watching.tick_listing import TickListing
from klines_pipeline.stages.watching.watch_cursor import WatchCursor
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.layout import DayPaths
from klines_pipeline_tests.conftest import endpoints_of
from klines_pipeline_tests.stages.watching.published_days.watcher import DATASET, DAY, PATIENT, SYMBOLS, Watcher, at


def test_a_dark_bucket_is_said_and_nothing_is_forgotten(watcher: Watcher) -> None:
    watcher.waits(at(5, 1))
    watcher.exchange.add_fault(kind="status", status=403, group="listing")

    dark = watcher.tick(at(5, 3))

    assert (dark.now, dark.wanted, dark.cursor) == (None, (), None)
    assert dark.words.startswith("binance does not answer: ")
    assert "HTTP 403" in dark.words
    assert watcher.requests == 2
    watcher.exchange.clear_faults()
    assert watcher.wants().days == (DAY,)


def test_symbols_that_cannot_be_listed_are_told_and_decide_nothing(watcher: Watcher) -> None:
    watcher.exchange.set_clock(at(5, 3))
    watcher.exchange.add_fault(kind="status", status=503, group="listing")
    market = connect("binance", "spot", endpoints_of(watcher.exchange))
    held = held_versions(watcher.lake, DATASET, [date(2025, 3, 3)])
    day = unlooked(DAY, open_days(held, [date(2025, 3, 3)], SYMBOLS))

    found = look_at(
        [day], {DAY}, held, WatchCursor(), Policy(PATIENT, at(5, 3)), TickListing(market, DATASET.interval, 20.0)
    )
    market.api.close()

    assert found.wanted() == []
    assert found.words().startswith(f"{DAY}: nothing is published yet. 6 could not be looked at. 6 symbols could not")
    assert "HTTP 503" in found.words()


def test_a_slow_bucket_is_looked_at_in_parts_and_the_next_tick_goes_on(exchange: EmbeddedExchange, lake: Lake) -> None:
    symbols = (*SYMBOLS, *(f"Z{letter}USDT" for letter in "ABCDEFGHIJKLMN"))  # more than are asked at once
    dataset = replace(DATASET, symbols=symbols)
    slow = Watcher(exchange, lake, dataset)
    Watcher(exchange, lake, DATASET).run((date(2025, 3, 3),))
    slow.exchange.add_fault(kind="delay", group="listing", seconds=1.0)

    first = slow.tick(at(5, 3), seconds=1.6)

    assert first.wanted == []
    assert "could not be looked at" in first.words
    asked = str(first.cursor).rpartition('"after":"')[2].rstrip('"}')
    assert asked in symbols
    assert slow.requests <= 17


def test_a_day_with_a_damaged_ledger_is_named_and_the_others_go_on(watcher: Watcher) -> None:
    path = Path(watcher.lake.base, DayPaths.of(DATASET, date(2025, 3, 3)).archives)
    path.write_bytes(b"damaged")

    tick = watcher.tick(at(5, 3))

    assert [(wish.kind, wish.days) for wish in tick.wanted] == [(Kind.PUBLISHED, (DAY,))]
    assert tick.words.endswith("Delete it, then materialize the day again.")
    assert f"{path} is damaged" in tick.words


def test_a_rest_service_that_refuses_does_not_stop_the_watching(exchange: EmbeddedExchange, lake: Lake) -> None:
    exchange.add_fault(kind="blocked", group="rest")

    assert Watcher(exchange, lake, replace(DATASET, symbols=("BTCUSDT",))).tick().wanted


def test_okx_that_asks_for_silence_is_said_at_once(exchange: EmbeddedExchange, lake: Lake) -> None:
    exchange.add_fault(kind="status", status=429, group="rest", headers={"Retry-After": "120"})
    okx = Watcher(exchange, lake, replace(DATASET, exchange="okx", symbols=("BTC-USDT",)))

    assert okx.waits().startswith("okx does not answer: ")
    assert okx.requests == 1
