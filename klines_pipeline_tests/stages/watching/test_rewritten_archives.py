"""What the comparison with the bucket finds: rewritten archives, late ones, and nothing else; and how far it got."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from klines_pipeline.domain.automation import Automation
from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.errors import TransientError
from klines_pipeline.domain.universe import SymbolFilter
from klines_pipeline.domain.wanted import Kind, Wanted
from klines_pipeline.exchanges.protocols import KlineArchive, Listed
from klines_pipeline.exchanges.registry import connect
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.stages.ingest import Ingest
from klines_pipeline.stages.watching.comparison_cursor import ComparisonCursor
from klines_pipeline.stages.watching.held_versions import read_versions
from klines_pipeline.stages.watching.rewritten_archives import compare_slice
from klines_pipeline.stages.watching.tick import Tick
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.layout import DayPaths
from klines_pipeline_tests.conftest import Run, archive_entry, endpoints_of, make_dataset
from klines_pipeline_tests.faults.archives import body_of, key_of

RECENT, OLD = "2025-02-10", "2024-03-01"
"""A day that is compared daily, and one that is compared weekly."""
DATASET = make_dataset("BTCUSDT", "ETHUSDT", interval="1h", start="2024-01-01")
AUTOMATION = Automation()


class Looking:
    """Ticks one after the other, each with the cursor of the one before."""

    def __init__(self, exchange: EmbeddedExchange, lake: Lake, dataset: Dataset = DATASET) -> None:
        self.exchange, self.lake, self.dataset = exchange, lake, dataset
        self.cursor: str | None = None
        self.stand_in: Callable[[KlineArchive], KlineArchive] = lambda archive: archive

    def tick(self, *, seconds: float = 20.0) -> Tick:
        """One look."""
        market = connect(*self.dataset.prefix, endpoints_of(self.exchange))
        market = replace(market, archive=self.stand_in(market.archive))
        tick = compare_slice(self.lake, market, self.dataset, AUTOMATION, self.cursor, seconds=seconds)
        self.cursor = tick.cursor or self.cursor
        return tick

    def until_rest(self) -> list[Wanted]:
        """Everything wanted until nothing is due any more."""
        wanted = list[Wanted]()
        for _ in range(20):
            tick = self.tick()
            wanted += tick.wanted
            if "again from" in tick.words:
                return wanted
        raise AssertionError(self.cursor)


@pytest.fixture(scope="module")
def two_days(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake that has a recent day and an old one, to be copied: each test's exchange publishes the same."""
    lake = Lake(str(tmp_path_factory.mktemp("two_days") / "lake"))
    with EmbeddedExchange(rate=0) as exchange:
        market = connect("binance", "spot", endpoints_of(exchange))
        list(Ingest(lake, market, DATASET, log=lambda _: None).days(days(OLD, RECENT)))
    return Path(lake.base)


@pytest.fixture
def looking(exchange: EmbeddedExchange, lake: Lake, two_days: Path) -> Looking:
    """Over that lake."""
    shutil.copytree(two_days, lake.base, dirs_exist_ok=True)
    return Looking(exchange, lake)


def test_a_day_whose_ledger_was_never_finished_is_no_day_and_one_that_goes_meanwhile_is_none(looking: Looking) -> None:
    """A full disk, or a kill between the folder and the file, leaves the folder alone."""
    ledgers = Path(looking.lake.base, "ledger/archives/exchange=binance/market=spot/interval=1h")
    Path(ledgers, "date=2025-02-11").mkdir()

    assert looking.tick().words == "2025-02-10 to 2025-02-10: 2 symbols compared."
    held, damaged = read_versions(looking.lake, DATASET, days(RECENT, "2025-02-11"))
    assert (held["date"].unique().to_list(), damaged) == ([*days(RECENT)], {})


def test_a_day_with_a_damaged_ledger_is_named_and_the_others_are_compared(looking: Looking) -> None:
    path = Path(looking.lake.base, DayPaths.of(DATASET, date.fromisoformat(RECENT)).archives)
    shutil.copytree(path.parent, path.parent.with_name("date=2025-02-11"))
    path.write_bytes(b"damaged")

    words = looking.tick().words

    assert words.startswith("2025-02-10 to 2025-02-11: 2 symbols compared.")
    assert f"{path} is damaged" in words


def days(*texts: str) -> tuple[date, ...]:
    return tuple(date.fromisoformat(text) for text in texts)


def test_where_nothing_was_rewritten_nothing_is_wanted_and_one_request_a_symbol_and_window_is_made(
    looking: Looking,
) -> None:
    assert looking.until_rest() == []

    ticks_with_time_alone = 4  # a slice of the last weeks, one of history, its end, and the rest
    assert looking.exchange.requests()["listing"] == ticks_with_time_alone + 2 * 2


def test_a_rewritten_archive_makes_its_day_wanted_and_says_whose_it_is(looking: Looking) -> None:
    looking.exchange.revise(key_of("ETHUSDT", RECENT, "1h"))
    looking.exchange.revise(key_of("ETHUSDT", OLD, "1h"))
    looking.exchange.revise(key_of("BTCUSDT", OLD, "1h"))

    recent, old = looking.until_rest()

    assert (recent.kind, recent.days, recent.reason) == (Kind.REWRITTEN, days(RECENT), "ETHUSDT rewritten")
    assert (old.kind, old.days, old.reason) == (Kind.REWRITTEN, days(OLD), "BTCUSDT and 1 more rewritten")
    assert "ETHUSDT:" in old.news[date.fromisoformat(OLD)]


def test_after_the_day_was_taken_in_again_the_next_days_find_nothing(looking: Looking, ingest: Run) -> None:
    looking.exchange.revise(key_of("ETHUSDT", RECENT, "1h"))
    assert looking.until_rest()
    ingest(DATASET, RECENT)

    looking.exchange.set_clock(looking.exchange.now() + timedelta(days=1))

    assert looking.until_rest() == []
    assert archive_entry(looking.lake, "ETHUSDT", RECENT, interval="1h")["revision"] == 2


def test_the_same_rewriting_is_the_same_news_tomorrow_and_another_one_is_other_news(looking: Looking) -> None:
    looking.exchange.revise(key_of("ETHUSDT", RECENT, "1h"))
    [first] = looking.until_rest()
    looking.exchange.set_clock(looking.exchange.now() + timedelta(days=1))
    [again] = looking.until_rest()
    looking.exchange.revise(key_of("ETHUSDT", RECENT, "1h"))
    looking.exchange.set_clock(looking.exchange.now() + timedelta(days=1))
    [other] = looking.until_rest()

    assert first.news == again.news != other.news


def test_an_archive_that_came_when_nobody_waited_any_more_is_news(
    exchange: EmbeddedExchange, lake: Lake, ingest: Run
) -> None:
    exchange.hold_publication("ETHUSDT", date.fromisoformat(OLD), until=exchange.now() + timedelta(hours=1))
    ingest(DATASET, OLD)
    ingest(make_dataset("BTCUSDT", interval="1h"), "2024-03-02")  # ETHUSDT was not in klines.yaml then
    exchange.set_clock(exchange.now() + timedelta(hours=2))

    [wish] = Looking(exchange, lake).until_rest()

    assert wish.days == days(OLD, "2024-03-02")
    assert wish.reason == "ETHUSDT published late"


def test_an_archive_still_waited_for_is_left_to_those_who_wait(
    exchange: EmbeddedExchange, lake: Lake, ingest: Run
) -> None:
    exchange.hold_publication("ETHUSDT", date(2025, 3, 2), until=exchange.now() + timedelta(hours=1))
    ingest(DATASET, "2025-03-02")
    exchange.set_clock(exchange.now() + timedelta(hours=2))

    assert Looking(exchange, lake).until_rest() == []


def test_a_verified_archive_of_the_last_days_is_compared_like_any_other(
    exchange: EmbeddedExchange, lake: Lake, ingest: Run
) -> None:
    ingest(DATASET, "2025-03-02")
    exchange.revise(key_of("ETHUSDT", "2025-03-02", "1h"))

    [wish] = Looking(exchange, lake).until_rest()

    assert (wish.days, wish.reason) == (days("2025-03-02"), "ETHUSDT rewritten")


def test_a_checksum_that_follows_after_weeks_is_news(exchange: EmbeddedExchange, lake: Lake, ingest: Run) -> None:
    key = key_of("ETHUSDT", OLD, "1h")
    exchange.put_object(key, body := body_of(exchange, key), checksum="none")
    ingest(DATASET, OLD)
    exchange.set_clock(exchange.now() + timedelta(hours=2))
    exchange.put_object(key, body)

    [wish] = Looking(exchange, lake).until_rest()

    assert wish.reason == "ETHUSDT given a checksum"


def test_an_archive_that_vanished_is_mentioned_and_nothing_more(looking: Looking) -> None:
    looking.exchange.remove_object(key_of("ETHUSDT", RECENT, "1h"))

    tick = looking.tick()

    assert tick.wanted == []
    assert "ETHUSDT of 2025-02-10 no longer listed; the versions held stay in use." in tick.words


def test_a_dark_bucket_is_said_and_nothing_is_passed_over(looking: Looking) -> None:
    looking.exchange.revise(key_of("ETHUSDT", RECENT, "1h"))
    looking.exchange.add_fault(kind="status", status=403, group="listing")
    dark = looking.tick()
    assert (dark.now, dark.wanted, dark.cursor) == (None, (), None)
    assert "binance does not answer" in dark.words
    looking.exchange.clear_faults()

    [wish] = looking.until_rest()

    assert wish.days == days(RECENT)


class Unlistable:
    """An archive with one symbol that can never be listed; all else is the one it stands before."""

    def __init__(self, archive: KlineArchive, symbol: str) -> None:
        self.archive, self.symbol = archive, symbol

    def __getattr__(self, name: str) -> object:
        return getattr(self.archive, name)

    def listed(self, symbols: Sequence[str], *where: object, **within: float) -> Listed:
        """That symbol failed."""
        listed = self.archive.listed([name for name in symbols if name != self.symbol], *where, **within)  # type: ignore[arg-type]
        error = TransientError("the listing answered HTTP 403.")
        return replace(listed, failed={name: error for name in symbols if name == self.symbol})


def test_a_symbol_that_cannot_be_listed_is_tried_again_and_then_keeps_nobody_waiting(looking: Looking) -> None:
    looking.exchange.revise(key_of("ETHUSDT", RECENT, "1h"))
    looking.stand_in = partial(Unlistable, symbol="BTCUSDT")

    first, second = looking.tick(), looking.tick()

    assert first.words == "2025-02-10 to 2025-02-10: 1 symbols compared, up to none. " + (
        "1 symbols could not be listed: the listing answered HTTP 403."
    )
    assert [wish.reason for wish in first.wanted] == ["ETHUSDT rewritten"]
    assert ComparisonCursor.parse(first.cursor).passed is None
    assert ComparisonCursor.parse(second.cursor).passed == date(2025, 3, 4)


def test_without_time_the_next_tick_begins_where_this_one_stood(looking: Looking) -> None:
    assert looking.tick(seconds=0.0).now is None
    looking.exchange.revise(key_of("ETHUSDT", RECENT, "1h"))
    looking.cursor = str(ComparisonCursor(after="BTCUSDT"))

    tick = looking.tick()

    assert [wish.reason for wish in tick.wanted] == ["ETHUSDT rewritten"]
    assert "1 symbols compared" in tick.words


def test_an_empty_lake_has_nothing_to_compare(exchange: EmbeddedExchange, lake: Lake) -> None:
    looking = Looking(exchange, lake)

    assert looking.until_rest() == []
    assert exchange.requests()["listing"] == 3


def test_of_a_filter_those_are_compared_that_it_selects(exchange: EmbeddedExchange, lake: Lake, ingest: Run) -> None:
    every = make_dataset(interval="1h", start="2024-01-01", chosen=SymbolFilter(match="^(BTC|ETH)USDT$"))
    ingest(make_dataset("BTCUSDT", "ETHUSDT", "SOLUSDT", interval="1h"), OLD)
    for symbol in ("ETHUSDT", "SOLUSDT"):
        exchange.revise(key_of(symbol, OLD, "1h"))

    [wish] = Looking(exchange, lake, every).until_rest()

    assert wish.reason == "ETHUSDT rewritten"


def test_the_time_is_the_exchanges(looking: Looking) -> None:
    looking.exchange.set_clock(datetime(2025, 6, 1, tzinfo=UTC))

    assert looking.tick().words == "Nothing of the last weeks is held."
