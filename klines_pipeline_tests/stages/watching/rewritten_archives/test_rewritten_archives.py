"""What the comparison with the bucket finds: rewritten archives, late ones, and nothing else."""

from datetime import UTC, date, datetime, timedelta

from klines_pipeline.domain.universe import SymbolFilter
from klines_pipeline.domain.wanted import Kind
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.conftest import Run, archive_entry, make_dataset
from klines_pipeline_tests.faults.archives import body_of, key_of
from klines_pipeline_tests.stages.watching.rewritten_archives.looking import DATASET, OLD, RECENT, Looking, days


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
