"""Days in progress and months whose archive is not out: REST fills, the archive replaces; and stages one by one."""

from datetime import UTC, datetime, timedelta

import pytest

from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.stages.funding.ingest import FundingStage
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.funding.conftest import Fund, asked, certificate, failures, table
from klines_pipeline_tests.funding.test_flow import UM


def test_the_archive_replaces_rest_when_it_comes_and_keeps_the_mark_price(
    exchange: EmbeddedExchange, lake: Lake, fund: Fund
) -> None:
    fund([UM], "2025-03-02")
    before = table(lake, "funding", "2025-03-02")
    exchange.set_clock(datetime(2025, 4, 1, 9, tzinfo=UTC))
    exchange.reset_requests()

    fund([UM], "2025-03-02")

    after = table(lake, "funding", "2025-03-02")
    names = ["symbol", "funding_time", "calc_time", "interval_hours", "funding_rate", "mark_price"]
    assert after.select(names).equals(before.select(names))
    assert set(before["source"]) == {"rest"}
    assert set(after["source"]) == {"vision"}
    assert after["mark_price"].null_count() == 0
    assert asked(exchange) == (4, 4, 4, 0)
    assert table(lake, "ledger/funding_certificates", "2025-03-02")["conflicts"].sum() == 0


def test_a_day_in_progress_gets_what_has_settled_and_is_asked_again_an_hour_later(
    exchange: EmbeddedExchange, lake: Lake, fund: Fund
) -> None:
    exchange.set_clock(datetime(2025, 3, 4, 9, 10, tzinfo=UTC))
    fund([UM], "2025-03-04")
    assert certificate(lake, "BTCUSDT", "2025-03-04")["expected"] == 2
    assert certificate(lake, "SOLUSDT", "2025-03-04")["expected"] == 3
    exchange.set_clock(exchange.now() + timedelta(minutes=40))
    exchange.reset_requests()

    fund([UM], "2025-03-04")
    assert exchange.requests()["funding"] == 0

    exchange.set_clock(datetime(2025, 3, 4, 16, 10, tzinfo=UTC))
    fund([UM], "2025-03-04")

    assert exchange.requests()["funding"] == 4
    found = certificate(lake, "BTCUSDT", "2025-03-04")
    assert (found["expected"], found["present"], found["missing"]) == (3, 3, 0)


def test_a_day_that_has_not_begun_is_refused_with_the_exchanges_time(fund: Fund) -> None:
    days = fund([UM], "2025-03-04", "2025-03-05")

    assert list(failures(days)) == ["2025-03-05"]
    assert "2025-03-05 has not begun yet: on binance it is 2025-03-04 09:00 UTC." in str(failures(days))


def test_a_switch_to_one_hour_is_what_a_day_expects(lake: Lake, fund: Fund) -> None:
    fund([UM], "2025-03-01", "2025-03-03")

    counts = [certificate(lake, "1000SHIBUSDT", f"2025-03-0{day}") for day in (1, 2, 3)]
    assert [(found["expected"], found["missing"]) for found in counts] == [(6, 0), (24, 0), (6, 0)]


def test_the_day_on_which_eight_hours_became_four_has_no_gap(lake: Lake, fund: Fund) -> None:
    fund([UM], "2024-06-10")

    found = certificate(lake, "1000SHIBUSDT", "2024-06-10")
    assert (found["expected"], found["missing"], found["from_rest"]) == (5, 0, 0)


def test_each_stage_may_run_without_the_others(exchange: EmbeddedExchange, lake: Lake, fund: Fund) -> None:
    counts = []
    for stage in FundingStage:
        exchange.reset_requests()
        assert failures(fund([UM], "2025-02-27", "2025-03-02", stages=[stage])) == {}
        counts.append(asked(exchange))

    assert counts == [(4, 4, 4, 0), (0, 0, 0, 5), (0, 0, 0, 0)]
    assert table(lake, "funding", "2025-03-02").height == 3 + 6 + 24 + 3


@pytest.mark.parametrize("stage", [FundingStage.REST, FundingStage.FUNDING])
def test_a_stage_without_the_one_before_says_what_to_materialize(fund: Fund, stage: FundingStage) -> None:
    [day] = fund([UM], "2025-02-27", stages=[stage])

    assert "Materialize vision_funding first" in day.failures[stage.value]
