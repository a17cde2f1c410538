"""Which days of funding are wanted at which hour, and that running them leaves nothing to be wanted."""

from datetime import date
from pathlib import Path

import pytest

from klines_pipeline.defs.assets.funding_metadata import funding_metadata
from klines_pipeline.domain.wanted import Kind
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.stages.funding.ingest import FundingStage
from klines_pipeline.stages.funding.state import paths_of
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.conftest import make_dataset
from klines_pipeline_tests.funding.conftest import Fund, asked, row_of
from klines_pipeline_tests.funding.wishes import FUNDING, UM, at, run, said, wanted

SWAP = make_dataset("BTC-USDT-SWAP", exchange="okx", market="swap", interval="1h", funding=True, start="2025-03-03")


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


def test_okx_is_kept_fresh_from_rest_alone(exchange: EmbeddedExchange, lake: Lake, fund: Fund) -> None:
    first = wanted(exchange, lake, SWAP, at(3, 4, 9))
    assert said(first) == [
        (Kind.FRESHNESS, "2025-03-04", "2025-03-04", False),
        (Kind.FRESHNESS, "2025-03-03", "2025-03-03", False),
    ]
    run(fund, SWAP, first)

    assert wanted(exchange, lake, SWAP, at(3, 4, 9, 40)) == []
    assert said(wanted(exchange, lake, SWAP, at(3, 4, 16))) == [(Kind.FRESHNESS, "2025-03-04", "2025-03-04", False)]


def test_a_damaged_ledger_keeps_no_other_day_waiting_and_its_own_day_says_how_to_mend_it(
    exchange: EmbeddedExchange, lake: Lake, fund: Fund
) -> None:
    run(fund, UM, wanted(exchange, lake, UM, at(3, 4, 9)))
    slices, archives = paths_of(FUNDING, date(2025, 3, 2)).slices, paths_of(FUNDING, date(2025, 3, 3)).archives
    for path in (slices, archives):
        Path(lake.base, path).write_bytes(b"damaged")

    found = wanted(exchange, lake, UM, at(3, 4, 16))

    assert said(found) == [
        (Kind.FRESHNESS, "2025-03-04", "2025-03-04", False),
        (Kind.REPAIR, "2025-03-02", "2025-03-02", True),
        (Kind.REPAIR, "2025-03-03", "2025-03-03", True),
    ]
    assert f"{Path(lake.base, slices)} is damaged" in found[1].reason
    assert found[1].digest(found[1].days) == wanted(exchange, lake, UM, at(3, 4, 17))[1].digest(found[1].days)
    Path(lake.base, slices).unlink()
    Path(lake.base, archives).unlink()
    run(fund, UM, found)
    assert wanted(exchange, lake, UM, at(3, 4, 16)) == []
