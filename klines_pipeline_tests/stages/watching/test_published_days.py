"""Watching what is published: one request while nothing happens, one wish a day, words for everything that waits."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from klines_pipeline.domain.automation import Automation
from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.errors import ConfigurationError, UnknownNameError
from klines_pipeline.domain.universe import SymbolFilter
from klines_pipeline.domain.wanted import Kind, Wanted
from klines_pipeline.exchanges.registry import connect
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.stages.ingest import Ingest
from klines_pipeline.stages.watching.appearing import Policy, look_at
from klines_pipeline.stages.watching.news import held_versions
from klines_pipeline.stages.watching.open_days import open_days, unlooked
from klines_pipeline.stages.watching.published_days import watch
from klines_pipeline.stages.watching.tick import Tick
from klines_pipeline.stages.watching.tick_listing import TickListing
from klines_pipeline.stages.watching.watch_cursor import WatchCursor
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.layout import DayPaths
from klines_pipeline_tests.conftest import archive_entry, endpoints_of, make_dataset

SYMBOLS = ("ADAUSDT", "BNBUSDT", "BTCUSDT", "ETHUSDT", "SOLUSDT", "币安人生USDT")
DATASET = make_dataset(*SYMBOLS, interval="1d", start="2025-03-02")
DAY = date(2025, 3, 4)
PATIENT = Automation(straggler_share=0.8)


def at(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2025, 3, day, hour, minute, tzinfo=UTC)


@dataclass(slots=True)
class Watcher:
    """Ticks of one dataset and the runs they ask for, with the cursor in between."""

    exchange: EmbeddedExchange
    lake: Lake
    dataset: Dataset = DATASET
    cursor: str | None = None
    requests: int = 0

    def tick(self, now: datetime | None = None, *, seconds: float = 20.0) -> Tick:
        self.exchange.set_clock(now or self.exchange.now())
        self.exchange.reset_requests()
        market = connect(*self.dataset.prefix, endpoints_of(self.exchange))
        tick = watch(self.lake, market, self.dataset, PATIENT, self.cursor, seconds=seconds, log=lambda _: None)
        self.cursor = tick.cursor or self.cursor
        self.requests = self.exchange.requests()["total"]
        return tick

    def waits(self, now: datetime | None = None) -> str:
        """What a tick says that wants nothing."""
        tick = self.tick(now)
        assert not tick.wanted
        return tick.words

    def wants(self, now: datetime | None = None) -> Wanted:
        """The one wish of a tick, fulfilled."""
        [wish] = self.tick(now).wanted
        self.run(wish.days)
        return wish

    def run(self, days: tuple[date, ...]) -> None:
        market = connect(*self.dataset.prefix, endpoints_of(self.exchange))
        assert list(Ingest(self.lake, market, self.dataset, log=lambda _: None).days(days))


@pytest.fixture(scope="module")
def running() -> Iterator[EmbeddedExchange]:
    with EmbeddedExchange(rate=0, now=at(4, 12)) as exchange:
        yield exchange


@pytest.fixture(scope="module")
def two_days(running: EmbeddedExchange, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with the days before."""
    lake = Lake(str(tmp_path_factory.mktemp("two-days")))
    Watcher(running, lake).run((date(2025, 3, 2), date(2025, 3, 3)))
    return Path(lake.base)


@pytest.fixture
def exchange(running: EmbeddedExchange) -> EmbeddedExchange:
    """The archives of DAY come from 02:00 on, one a minute."""
    running.clear_faults()
    for place, symbol in enumerate(SYMBOLS):
        running.hold_publication(symbol, DAY, until=at(5, 2, place))
    running.set_clock(at(5, 0, 30))
    return running


@pytest.fixture
def watcher(exchange: EmbeddedExchange, two_days: Path, lake: Lake) -> Watcher:
    shutil.copytree(two_days, lake.base)
    return Watcher(exchange, lake)


def test_before_anything_is_published_a_tick_is_one_request(watcher: Watcher) -> None:
    assert watcher.waits(at(5, 1)) == "2025-03-04: nothing is published yet."
    assert watcher.requests == 1


def test_a_day_that_begins_to_appear_is_counted_once_a_witness_has_appeared(watcher: Watcher) -> None:
    said = [watcher.waits(at(5, 2, 2)) for _ in SYMBOLS]

    assert said == sorted(said, reverse=True), "nothing, then something"
    assert said[-1] == "2025-03-04: 3 of 6 symbols published at 02:02 UTC."
    assert watcher.requests == 1, "the same minute is not looked at twice"
    assert watcher.waits(at(5, 2, 3)) == "2025-03-04: 4 of 6 symbols published."
    assert watcher.requests == 1 + len(SYMBOLS)


def test_when_all_are_published_the_day_is_wanted_and_the_next_tick_rests_after_one_request(watcher: Watcher) -> None:
    wish = watcher.wants(at(5, 3))

    assert (wish.kind, wish.days, wish.reason) == (
        Kind.PUBLISHED,
        (DAY,),
        "2025-03-04: 6 of 6 symbols published",
    )
    assert wish.news[DAY].count("USDT:") == 6
    assert watcher.waits() == "Complete up to 2025-03-04; 2025-03-05 is in progress."
    assert watcher.requests == 1
    assert archive_entry(watcher.lake, "币安人生USDT", "2025-03-04", interval="1d")["state"] == "ok"


def test_most_begin_without_the_rest_after_two_hours_and_stragglers_are_taken_in_later(watcher: Watcher) -> None:
    watcher.exchange.hold_publication("SOLUSDT", DAY, until=at(5, 9))

    assert watcher.waits(at(5, 3)) == "2025-03-04: 5 of 6 symbols published."
    assert watcher.wants(at(5, 4, 1)).reason == "2025-03-04: 5 of 6 symbols published, 1 late"
    assert watcher.waits(at(5, 8)) == "2025-03-04: 5 of 6 symbols published."
    assert watcher.requests == 2, "a straggler costs one request"
    late = watcher.wants(at(5, 9))
    assert late.reason == "2025-03-04: 1 more, 6 of 6 symbols published"
    assert late.news[DAY].startswith("SOLUSDT:")
    assert watcher.waits() == "Complete up to 2025-03-04; 2025-03-05 is in progress."


def test_stragglers_that_trickle_in_are_one_run_an_hour_later(watcher: Watcher) -> None:
    for place, symbol in enumerate(SYMBOLS[3:]):
        watcher.exchange.hold_publication(symbol, DAY, until=at(5, 9, 10 * place) if place < 2 else None)
    watcher.exchange.set_clock(at(5, 8))
    watcher.run((DAY,))

    moments = [at(5, 9) + timedelta(minutes=minutes) for minutes in range(0, 100, 10)]
    wishes = [moment for moment in moments if [watcher.run(wish.days) for wish in watcher.tick(moment).wanted]]

    assert wishes == [at(5, 10)]


@pytest.mark.parametrize("cursor", [None, "{", '{"v":7}'])
def test_a_lost_cursor_changes_nothing(watcher: Watcher, cursor: str | None) -> None:
    watcher.exchange.hold_publication("SOLUSDT", DAY, until=at(5, 9))
    watcher.wants(at(5, 4, 1))
    watcher.cursor = cursor

    assert watcher.waits(at(5, 8)) == "2025-03-04: 5 of 6 symbols published."
    watcher.cursor = cursor
    assert watcher.wants(at(5, 9)).days == (DAY,)


def test_a_straggler_days_late_is_looked_at_every_six_hours_and_after_three_weeks_no_more(watcher: Watcher) -> None:
    watcher.exchange.hold_publication("SOLUSDT", DAY, until=None)
    watcher.wants(at(5, 4, 1))
    last = Watcher(watcher.exchange, watcher.lake, replace(DATASET, start=DAY))
    for number in range(5, 9):  # the days after, so that they ask for nothing of their own
        last.exchange.set_clock(at(number + 1, 12))
        last.run((date(2025, 3, number),))

    looks = [hour for hour in range(13) if last.waits(at(9, 6) + timedelta(hours=hour)) and last.requests > 1]

    assert looks == [0, 6, 12]
    assert "2025-03-04: 5 of 6 symbols published" in last.waits()
    last.exchange.set_clock(at(26, 12))
    assert "2025-03-04" not in last.tick().words


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


def test_days_that_passed_while_nobody_watched_are_taken_in_at_once(watcher: Watcher) -> None:
    tick = watcher.tick(at(12, 12))

    assert [(wish.kind, wish.days[0].day, wish.days[-1].day) for wish in tick.wanted] == [
        (Kind.PUBLISHED, 9, 11),
        (Kind.HISTORY, 4, 8),
    ]


def test_a_symbol_delisted_or_taken_out_of_the_configuration_is_not_waited_for(
    exchange: EmbeddedExchange, lake: Lake
) -> None:
    wide = Watcher(exchange, lake, replace(DATASET, symbols=("BTCUSDT", "LUNAUSDT", "ETHUSDT")))
    exchange.set_clock(at(4, 12))
    wide.run((date(2025, 3, 2), date(2025, 3, 3)))
    narrow = Watcher(exchange, lake, replace(DATASET, symbols=("BTCUSDT", "LUNAUSDT")))

    assert wide.tick(at(5, 3)).wanted[0].reason == "2025-03-04: 2 of 2 symbols published"
    assert narrow.wants(at(5, 3)).reason == "2025-03-04: 1 of 1 symbols published"


def test_a_filter_waits_for_those_who_traded_the_day_before(exchange: EmbeddedExchange, lake: Lake) -> None:
    chosen = SymbolFilter(quote=("USDT",), match="^(BTC|LUNA|ETH)USDT$")
    filtered = Watcher(exchange, lake, replace(DATASET, symbols=(), chosen=chosen))
    filtered.wants(at(4, 12))

    assert filtered.waits(at(5, 0, 30)) == "2025-03-04: nothing is published yet."
    assert filtered.requests == 1
    assert filtered.wants(at(5, 12)).reason == "2025-03-04: 2 of 2 symbols published"


def test_a_day_with_a_damaged_ledger_is_named_and_the_others_go_on(watcher: Watcher) -> None:
    path = Path(watcher.lake.base, DayPaths.of(DATASET, date(2025, 3, 3)).archives)
    path.write_bytes(b"damaged")

    tick = watcher.tick(at(5, 3))

    assert [(wish.kind, wish.days) for wish in tick.wanted] == [(Kind.PUBLISHED, (DAY,))]
    assert tick.words.endswith("Delete it, then materialize the day again.")
    assert f"{path} is damaged" in tick.words


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


def test_a_rest_service_that_refuses_does_not_stop_the_watching(exchange: EmbeddedExchange, lake: Lake) -> None:
    exchange.add_fault(kind="blocked", group="rest")

    assert Watcher(exchange, lake, replace(DATASET, symbols=("BTCUSDT",))).tick().wanted


def test_okx_days_are_there_as_soon_as_they_have_ended(exchange: EmbeddedExchange, lake: Lake) -> None:
    okx = Watcher(exchange, lake, replace(DATASET, exchange="okx", symbols=("BTC-USDT",)))

    assert okx.wants(at(4, 0, 1)).days == (date(2025, 3, 2), date(2025, 3, 3))
    assert okx.waits(at(4, 23)) == "Complete up to 2025-03-03; 2025-03-04 is in progress."
    assert okx.requests == 1
    assert okx.wants(at(5, 0, 1)).days == (DAY,)


def test_okx_that_asks_for_silence_is_said_at_once(exchange: EmbeddedExchange, lake: Lake) -> None:
    exchange.add_fault(kind="status", status=429, group="rest", headers={"Retry-After": "120"})
    okx = Watcher(exchange, lake, replace(DATASET, exchange="okx", symbols=("BTC-USDT",)))

    assert okx.waits().startswith("okx does not answer: ")
    assert okx.requests == 1
