"""Years that nobody has taken in: newest first, in stretches of the calendar, beside the days that appear."""

import shutil
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise

from klines_pipeline.domain.universe import SymbolFilter
from klines_pipeline.domain.wanted import Kind
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.conftest import make_dataset
from klines_pipeline_tests.stages.watching.published_days.watcher import DATASET, DAY, SYMBOLS, Watcher, at


def test_years_of_history_are_wanted_newest_first_in_stretches_of_the_calendar(
    exchange: EmbeddedExchange, lake: Lake
) -> None:
    first = Watcher(exchange, lake, replace(DATASET, symbols=("BTCUSDT", "ETHUSDT"), start=date(2017, 8, 17)))

    wanted = first.tick(at(4, 12)).wanted

    assert {wish.kind for wish in wanted} == {Kind.HISTORY}
    assert len(wanted) == 90
    assert wanted[0].days[-1] == date(2025, 3, 3)
    assert wanted[-1].days[0] == date(2017, 8, 17)
    assert sum(len(wish.days) for wish in wanted) == 2756
    assert all(older.days[-1] < newer.days[0] for newer, older in pairwise(wanted))
    assert first.requests <= 4
    first.run(wanted[0].days[-3:])
    again = first.tick()
    assert [wish.days for wish in again.wanted][1:] == [wish.days for wish in wanted][1:]


def test_a_day_whose_archives_were_taken_in_and_never_merged_is_history_still(
    exchange: EmbeddedExchange, lake: Lake
) -> None:
    watcher = Watcher(exchange, lake, replace(DATASET, symbols=("BTCUSDT",), start=date(2025, 2, 20)))
    days = [date(2025, 2, 20) + timedelta(days=place) for place in range(12)]
    exchange.set_clock(at(4, 12))
    watcher.run(tuple(days))
    shutil.rmtree(f"{lake.base}/ledger/certificates/exchange=binance/market=spot/interval=1d/date=2025-02-21")

    [wish] = watcher.tick(at(4, 12)).wanted

    assert (wish.kind, wish.days) == (Kind.HISTORY, (date(2025, 2, 21),))
    watcher.run(wish.days)
    assert watcher.tick(at(4, 12)).wanted == []


def test_many_symbols_have_fewer_days_of_history_in_a_run(exchange: EmbeddedExchange, lake: Lake) -> None:
    dataset = replace(make_dataset(*SYMBOLS, interval="1s"), start=date(2024, 1, 1))
    few = Watcher(exchange, lake, replace(dataset, symbols=("BTCUSDT",)))
    many = Watcher(exchange, lake, replace(dataset, symbols=(), chosen=SymbolFilter(quote=("USDT",))))

    assert max(len(wish.days) for wish in few.tick(at(4, 12)).wanted) == 31
    assert max(len(wish.days) for wish in many.tick(at(4, 12)).wanted) == 16


def test_a_first_start_before_yesterday_appears_leaves_yesterday_for_later(
    exchange: EmbeddedExchange, lake: Lake
) -> None:
    first = Watcher(exchange, lake, replace(DATASET, symbols=("BTCUSDT",)))

    assert first.wants(at(5, 1)).days == (date(2025, 3, 2), date(2025, 3, 3))
    assert first.waits() == "2025-03-04: nothing is published yet."
    assert first.wants(at(5, 3)).days == (DAY,)


def test_okx_days_are_there_as_soon_as_they_have_ended(exchange: EmbeddedExchange, lake: Lake) -> None:
    okx = Watcher(exchange, lake, replace(DATASET, exchange="okx", symbols=("BTC-USDT",)))

    assert okx.wants(at(4, 0, 1)).days == (date(2025, 3, 2), date(2025, 3, 3))
    assert okx.waits(at(4, 23)) == "Complete up to 2025-03-03; 2025-03-04 is in progress."
    assert okx.requests == 1
    assert okx.wants(at(5, 0, 1)).days == (DAY,)
