"""Hosts that fail while funding is taken in: nothing is lost, nothing is invented, the next run completes it."""

from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.stages.funding.ingest import FundingStage
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.faults.lakes import all_files
from klines_pipeline_tests.funding.conftest import Fund, asked, certificate, failures, table
from klines_pipeline_tests.funding.february import DAY, KEY, UM


def test_a_symbol_whose_archive_cannot_be_had_fails_its_days_alone(
    exchange: EmbeddedExchange, lake: Lake, fund: Fund
) -> None:
    exchange.add_fault(kind="status", status=503, match=f"*{KEY}")

    days = fund([UM], DAY, "2025-03-01")

    assert set(failures(days)) == {DAY, "2025-02-28"}
    assert set(failures(days)[DAY]) == {"vision_funding", "funding"}
    assert "1 symbol(s) failed: BTCUSDT." in failures(days)[DAY]["funding"]
    assert certificate(lake, "BTCUSDT", DAY)["reason"] == "unavailable"
    assert certificate(lake, "SOLUSDT", DAY)["reason"] is None
    exchange.clear_faults()
    exchange.reset_requests()

    assert failures(fund([UM], DAY, "2025-03-01")) == {}
    assert asked(exchange) == (2, 1, 1, 0)


def test_a_symbol_that_rest_does_not_give_fails_its_days_alone(
    exchange: EmbeddedExchange, lake: Lake, fund: Fund
) -> None:
    exchange.add_fault(kind="status", status=503, match="re:/fapi/v1/fundingRate.*")

    days = fund([UM], "2025-02-28", "2025-03-02")

    assert list(failures(days)) == ["2025-03-01", "2025-03-02"]
    assert set(failures(days)["2025-03-01"]) == {"rest_funding", "funding"}
    assert certificate(lake, "BTCUSDT", "2025-03-01")["reason"] == "unavailable"
    exchange.clear_faults()
    assert failures(fund([UM], "2025-02-28", "2025-03-02")) == {}
    assert certificate(lake, "BTCUSDT", "2025-03-01")["missing"] == 0


def test_a_region_that_rest_does_not_serve_still_gets_the_archives(
    exchange: EmbeddedExchange, lake: Lake, fund: Fund
) -> None:
    exchange.add_fault(kind="blocked", group="rest")

    days = fund([UM], "2025-02-28", "2025-03-01")

    assert failures(days) == {}
    assert certificate(lake, "BTCUSDT", "2025-02-28")["reason"] is None
    assert certificate(lake, "BTCUSDT", "2025-03-01")["reason"] == "blocked"


def test_a_bucket_that_cannot_be_listed_leaves_held_days_as_they_are(
    exchange: EmbeddedExchange, lake: Lake, fund: Fund
) -> None:
    fund([UM], DAY)
    before = all_files(lake)
    exchange.add_fault(kind="status", status=403, group="listing")

    days = fund([UM], DAY, "2025-03-01")

    assert failures(days) == {}
    assert {path: content for path, content in all_files(lake).items() if path in before} == before
    assert certificate(lake, "BTCUSDT", "2025-03-01")["from_rest"] == 3


def test_nothing_is_done_where_nobody_tells_the_time(exchange: EmbeddedExchange, lake: Lake, fund: Fund) -> None:
    exchange.add_fault(kind="status", status=503)

    days = fund([UM], DAY, "2025-02-28")

    assert {text for found in failures(days).values() for text in found} == {stage.value for stage in FundingStage}
    assert "Neither the bucket nor REST answers" in str(failures(days))
    assert all_files(lake) == {}


def test_the_limit_of_funding_is_waited_for_and_leaves_klines_alone(
    exchange: EmbeddedExchange, lake: Lake, fund: Fund
) -> None:
    exchange.add_fault(
        kind="status", status=429, headers={"Retry-After": "0"}, match="re:/fapi/v1/fundingRate.*", times=2
    )

    assert failures(fund([UM], "2025-03-01")) == {}
    assert table(lake, "ledger/funding_slices", "2025-03-01")["attempts"].sum() == 4
