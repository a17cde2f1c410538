"""Monthly archives that came or were published anew since days were made, by what the bucket lists in a tick's time."""

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

from klines_pipeline.domain.universe import SymbolFilter
from klines_pipeline.domain.wanted import Kind, Wanted
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.stages.funding.dataset import funding_datasets
from klines_pipeline.stages.funding.news import ArchiveNews, archive_news, begun_in_turn
from klines_pipeline.stages.funding.state import paths_of
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.funding.conftest import Fund, asked, table
from klines_pipeline_tests.funding.february import rewrite, with_rate
from klines_pipeline_tests.funding.wishes import FUNDING, UM, at, market_of, run, said

TODAY = date(2025, 3, 4)


def tell(
    exchange: EmbeddedExchange, lake: Lake, *, today: date = TODAY, seconds: float = 20.0, revisited: int = 35
) -> ArchiveNews:
    market = market_of(exchange)
    found = archive_news(lake, market, FUNDING, today, revisited, seconds=seconds)
    market.api.close()
    return found


def news(exchange: EmbeddedExchange, lake: Lake, *, today: date) -> list[Wanted]:
    return [*tell(exchange, lake, today=today).wanted]


def test_a_months_archive_is_picked_up_when_it_is_out_and_again_when_it_is_rewritten(
    exchange: EmbeddedExchange, lake: Lake, fund: Fund
) -> None:
    exchange.set_clock(at(3, 1, 1))
    fund([UM], "2025-02-26", "2025-02-28")
    assert news(exchange, lake, today=date(2025, 3, 1)) == []
    exchange.set_clock(at(3, 4, 9))

    came = news(exchange, lake, today=date(2025, 3, 4))
    assert said(came) == [(Kind.PUBLISHED, "2025-02-26", "2025-02-28", True)]
    assert came[0].reason == "archives of 2025-02 are out: 2 symbol(s)"
    run(fund, UM, came)
    assert set(table(lake, "funding", "2025-02-27")["source"]) == {"vision"}
    assert news(exchange, lake, today=date(2025, 3, 4)) == []

    exchange.set_clock(at(3, 5, 9))
    rewrite(exchange, with_rate("2025-02-27", "0.00777000"))
    anew = news(exchange, lake, today=date(2025, 3, 5))
    assert said(anew) == [(Kind.REWRITTEN, "2025-02-26", "2025-02-28", True)]
    assert "anew: 1 symbol(s)" in anew[0].reason
    run(fund, UM, anew)
    assert news(exchange, lake, today=date(2025, 3, 5)) == []


def test_of_months_long_past_one_day_is_looked_at_for_all(exchange: EmbeddedExchange, lake: Lake, fund: Fund) -> None:
    fund([UM], "2025-02-26", "2025-02-28")
    exchange.set_clock(at(6, 20, 9))
    rewrite(exchange, with_rate("2025-02-27", "0.00777000"))

    old = news(exchange, lake, today=date(2025, 6, 20))

    assert said(old) == [(Kind.REWRITTEN, "2025-02-26", "2025-02-28", True)]


def test_a_tick_lists_each_symbol_once_from_the_first_month_in_question_on(
    exchange: EmbeddedExchange, lake: Lake, fund: Fund
) -> None:
    fund([UM], "2025-02-26", "2025-02-28")
    exchange.reset_requests()

    found = tell(exchange, lake)

    assert (list(found.wanted), found.words) == ([], "")
    assert asked(exchange) == (2, 0, 0, 0)


def test_a_bucket_that_is_dark_is_left_after_a_few_requests_and_the_words_say_why(
    exchange: EmbeddedExchange, lake: Lake, fund: Fund
) -> None:
    fund([UM], "2025-02-28")
    exchange.add_fault(kind="status", status=403, group="listing")
    exchange.reset_requests()

    found = tell(exchange, lake)

    assert not found.wanted
    assert found.words.startswith("2 of 2 symbols could not be listed: ")
    assert "HTTP 403" in found.words
    assert asked(exchange)[0] <= 4


def test_past_its_time_a_tick_lists_nobody_more_and_says_for_whom_there_was_none(
    exchange: EmbeddedExchange, lake: Lake, fund: Fund
) -> None:
    fund([UM], "2025-02-28")
    exchange.reset_requests()

    found = tell(exchange, lake, seconds=0)

    assert found.words == "For the archives of 2 of 2 symbols there was no time; tomorrow others come first."
    assert asked(exchange) == (0, 0, 0, 0)


def test_within_a_week_everybody_comes_first() -> None:
    symbols = [f"S{place:03}" for place in range(100)]
    week = [begun_in_turn(symbols, TODAY + timedelta(days=place)) for place in range(7)]

    assert all(sorted(day) == symbols for day in week)
    assert {name for day in week for name in day[:15]} == {*symbols}
    assert [begun_in_turn(["A"], TODAY + timedelta(days=place)) for place in range(7)] == [["A"]] * 7


def test_a_damaged_ledger_is_named_and_the_other_days_are_compared(
    exchange: EmbeddedExchange, lake: Lake, fund: Fund
) -> None:
    exchange.set_clock(at(3, 1, 1))
    fund([UM], "2025-02-27", "2025-02-28")
    path = Path(lake.base, paths_of(FUNDING, date(2025, 2, 27)).archives)
    path.write_bytes(b"damaged")
    exchange.set_clock(at(3, 4, 9))

    found = tell(exchange, lake)

    assert said([*found.wanted]) == [(Kind.PUBLISHED, "2025-02-28", "2025-02-28", True)]
    assert f"{path} is damaged" in found.words


def test_while_nobody_says_whom_a_filter_selects_nothing_is_listed_and_the_words_say_why(
    exchange: EmbeddedExchange, lake: Lake, fund: Fund
) -> None:
    [chosen] = funding_datasets([replace(UM, symbols=(), chosen=SymbolFilter(match="^BTCUSDT$"))])
    fund([UM], "2025-02-28")
    exchange.add_fault(kind="blocked", group="rest")
    exchange.add_fault(kind="status", status=403, group="listing")
    market = market_of(exchange)

    found = archive_news(lake, market, chosen, TODAY, 35)
    market.api.close()

    assert found.words.startswith("No archive could be looked for: ")
