"""Which days of funding are wanted at which hour, and that running them leaves nothing to be wanted."""

from datetime import UTC, date, datetime

import pytest

from klines_pipeline.defs.assets.funding_metadata import funding_metadata
from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.errors import TransientError
from klines_pipeline.domain.wanted import Kind, Wanted
from klines_pipeline.exchanges.registry import connect
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.stages.funding.dataset import funding_datasets
from klines_pipeline.stages.funding.freshness import archive_news, funding_repairs, wanted_of_funding
from klines_pipeline.stages.funding.ingest import ALL_FUNDING_STAGES, FundingStage
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.conftest import endpoints_of, impatient, make_dataset
from klines_pipeline_tests.funding.conftest import Fund, asked, row_of, table
from klines_pipeline_tests.funding.test_faults import rewrite, with_rate

UM = make_dataset("BTCUSDT", "SOLUSDT", market="um", interval="1h", funding=True, start="2025-02-26")
SWAP = make_dataset("BTC-USDT-SWAP", exchange="okx", market="swap", interval="1h", funding=True, start="2025-03-03")
Said = tuple[Kind, str, str, bool]


def at(month: int, day: int, hour: int, minute: int = 10) -> datetime:
    """A moment of 2025, UTC."""
    return datetime(2025, month, day, hour, minute, tzinfo=UTC)


def wanted(exchange: EmbeddedExchange, lake: Lake, dataset: Dataset, moment: datetime) -> list[Wanted]:
    exchange.set_clock(moment)
    market = connect(*dataset.prefix, endpoints_of(exchange))
    found = wanted_of_funding(lake, market, funding_datasets([dataset])[0], moment)
    market.api.close()
    return found


def news(exchange: EmbeddedExchange, lake: Lake, *, today: date, revisited: int = 35) -> list[Wanted]:
    market = impatient(exchange, "binance/um")
    found = archive_news(lake, market, funding_datasets([UM])[0], today, revisited)
    market.api.close()
    return found


def said(wishes: list[Wanted]) -> list[Said]:
    return [(wish.kind, str(wish.days[0]), str(wish.days[-1]), wish.with_archives) for wish in wishes]


def run(fund: Fund, dataset: Dataset, wishes: list[Wanted]) -> None:
    for wish in wishes:
        stages = ALL_FUNDING_STAGES if wish.with_archives else [FundingStage.REST, FundingStage.FUNDING]
        assert not any(
            found.failures for found in fund([dataset], str(wish.days[0]), str(wish.days[-1]), stages=stages)
        )


def test_a_symbol_new_in_klines_yaml_is_passed_over_aloud_and_the_others_stay_fresh(
    exchange: EmbeddedExchange, lake: Lake, fund: Fund, caplog: pytest.LogCaptureFixture
) -> None:
    edited = make_dataset("BTCUSDT", "ETHUSDT", market="um", interval="1h", funding=True, start="2025-03-04")
    only = make_dataset("BTCUSDT", market="um", interval="1h", funding=True, start="2025-03-04")
    run(fund, only, wanted(exchange, lake, only, at(3, 4, 9)))
    exchange.set_clock(at(3, 4, 16))

    [day] = fund([edited], "2025-03-04", stages=[FundingStage.REST, FundingStage.FUNDING])

    assert not day.failures
    assert row_of(lake, "ledger/funding_certificates", "BTCUSDT", "2025-03-04")["present"] == 3
    assert "2025-03-04: passed over: ETHUSDT." in caplog.text
    assert funding_metadata(day)[FundingStage.FUNDING]["symbols_passed_over"] == "ETHUSDT"
    run(fund, edited, wanted(exchange, lake, edited, at(3, 4, 17)))
    assert row_of(lake, "ledger/funding_certificates", "ETHUSDT", "2025-03-04")["present"] == 3


def test_a_first_start_wants_the_newest_days_and_the_history_and_then_an_hour_at_a_time(
    exchange: EmbeddedExchange, lake: Lake, fund: Fund
) -> None:
    first = wanted(exchange, lake, UM, at(3, 4, 9))
    assert said(first) == [
        (Kind.FRESHNESS, "2025-03-03", "2025-03-04", True),
        (Kind.HISTORY, "2025-02-26", "2025-03-02", True),
    ]
    run(fund, UM, first)
    assert wanted(exchange, lake, UM, at(3, 4, 9, 50)) == []
    exchange.reset_requests()

    hourly = wanted(exchange, lake, UM, at(3, 4, 16))
    run(fund, UM, hourly)

    assert said(hourly) == [(Kind.FRESHNESS, "2025-03-04", "2025-03-04", False)]
    assert exchange.requests()["rest"] == {"time": 1, "fundingRate": 2}
    assert asked(exchange)[0] == 0, "the bucket is not listed"
    assert row_of(lake, "ledger/funding_certificates", "BTCUSDT", "2025-03-04")["present"] == 3


def test_after_midnight_yesterday_is_completed_once(exchange: EmbeddedExchange, lake: Lake, fund: Fund) -> None:
    run(fund, UM, wanted(exchange, lake, UM, at(3, 3, 22)))

    after = wanted(exchange, lake, UM, at(3, 4, 0))
    assert said(after) == [
        (Kind.FRESHNESS, "2025-03-04", "2025-03-04", True),
        (Kind.FRESHNESS, "2025-03-03", "2025-03-03", False),
    ]
    run(fund, UM, after)
    assert said(wanted(exchange, lake, UM, at(3, 4, 1))) == [(Kind.FRESHNESS, "2025-03-04", "2025-03-04", False)]


def test_a_machine_that_was_off_for_days_completes_the_day_it_had_begun(
    exchange: EmbeddedExchange, lake: Lake, fund: Fund
) -> None:
    run(fund, UM, wanted(exchange, lake, UM, at(3, 1, 3)))

    later = wanted(exchange, lake, UM, at(3, 4, 9))

    assert said(later) == [
        (Kind.FRESHNESS, "2025-03-03", "2025-03-04", True),
        (Kind.FRESHNESS, "2025-03-01", "2025-03-01", False),
        (Kind.HISTORY, "2025-03-02", "2025-03-02", True),
    ]
    run(fund, UM, later)
    assert row_of(lake, "ledger/funding_certificates", "BTCUSDT", "2025-03-01")["present"] == 3


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


def test_a_bucket_that_is_dark_has_no_news_and_says_why(exchange: EmbeddedExchange, lake: Lake, fund: Fund) -> None:
    fund([UM], "2025-02-28")
    exchange.add_fault(kind="status", status=403, group="listing")

    with pytest.raises(TransientError, match="HTTP 403"):
        news(exchange, lake, today=date(2025, 3, 4))


def test_days_that_are_missing_or_unexplained_are_found_and_no_others(
    exchange: EmbeddedExchange, lake: Lake, fund: Fund
) -> None:
    exchange.add_fault(kind="blocked", group="rest")
    fund([UM], "2025-02-27", "2025-03-01")
    [dataset] = funding_datasets([UM])
    days = [date(2025, 2, 26), date(2025, 2, 27), date(2025, 2, 28), date(2025, 3, 1)]

    market = connect("binance", "um", endpoints_of(exchange))
    [wish] = funding_repairs(lake, market, dataset, days, date(2025, 3, 4), {days[2]: ["funding failed"]})
    market.api.close()

    assert wish.kind is Kind.REPAIR
    assert wish.reason == (
        "3 day(s): 2025-02-26 was never materialized; 2025-02-28 funding failed; 2025-03-01 blocked 2 symbols"
    )


def test_okx_is_kept_fresh_from_rest_alone(exchange: EmbeddedExchange, lake: Lake, fund: Fund) -> None:
    first = wanted(exchange, lake, SWAP, at(3, 4, 9))
    assert said(first) == [
        (Kind.FRESHNESS, "2025-03-04", "2025-03-04", False),
        (Kind.FRESHNESS, "2025-03-03", "2025-03-03", False),
    ]
    run(fund, SWAP, first)

    assert wanted(exchange, lake, SWAP, at(3, 4, 9, 40)) == []
    assert said(wanted(exchange, lake, SWAP, at(3, 4, 16))) == [(Kind.FRESHNESS, "2025-03-04", "2025-03-04", False)]
