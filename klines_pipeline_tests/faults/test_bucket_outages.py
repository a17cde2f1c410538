"""A bucket that refuses, fails, breaks off or falls silent: retried, then `unavailable`, and nobody else suffers."""

from typing import Any

import pytest

from klines_pipeline.exchanges import download
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.conftest import archive_entry, certificate, make_dataset, read_day
from klines_pipeline_tests.faults.archives import key_of
from klines_pipeline_tests.faults.conftest import ATTEMPTS, Recovery, Runner, asked, asked_klines, assert_good
from klines_pipeline_tests.faults.lakes import table_files

DAY = "2024-03-01"
BTC, ETH = key_of("BTCUSDT", DAY), key_of("ETHUSDT", DAY)

BROKEN = {
    "access denied": {"kind": "status", "status": 403},
    "server error": {"kind": "status", "status": 500},
    "slow down": {"kind": "status", "status": 503},
    "reset before the answer": {"kind": "reset", "when": "headers"},
    "reset within the body": {"kind": "reset", "when": "body"},
    "cut short of its length": {"kind": "truncate", "declared": True},
}
broken = pytest.mark.parametrize("fault", BROKEN.values(), ids=BROKEN)


@broken
@pytest.mark.parametrize("group", ["archives", "checksums", "listing"])
def test_a_hiccup_is_asked_again_and_leaves_no_trace(
    exchange: EmbeddedExchange, run: Runner, lake: Lake, assert_recovers: Recovery, fault: dict[str, Any], group: str
) -> None:
    dataset = make_dataset("BTCUSDT")
    exchange.add_fault(**fault, group=group, times=ATTEMPTS - 1)

    assert_good(run(dataset, DAY))

    assert archive_entry(lake, "BTCUSDT", DAY)["state"] == "ok"
    assert certificate(lake, "BTCUSDT", DAY)["from_vision"] == 1440
    assert exchange.requests()["rest_total"] == 0
    assert_recovers(dataset, DAY)


@broken
def test_an_outage_of_one_archive_fails_the_day_after_the_others_are_safe(
    exchange: EmbeddedExchange, run: Runner, lake: Lake, assert_recovers: Recovery, fault: dict[str, Any]
) -> None:
    dataset = make_dataset("BTCUSDT", "ETHUSDT", "SOLUSDT")
    exchange.add_fault(**fault, match=f"/{ETH}")

    [result] = run(dataset, DAY)

    entry, lacking = archive_entry(lake, "ETHUSDT", DAY), certificate(lake, "ETHUSDT", DAY)
    assert (entry["state"], entry["attempts"]) == ("unavailable", ATTEMPTS)
    assert entry["http_status"] == (fault["status"] if fault["kind"] == "status" else None)
    assert (lacking["present"], lacking["missing"], lacking["reason"]) == (0, 1440, "unavailable")
    assert certificate(lake, "BTCUSDT", DAY)["from_vision"] == 1440
    assert read_day(lake, "klines", DAY)["symbol"].unique().sort().to_list() == ["BTCUSDT", "SOLUSDT"]
    assert set(result.failures) == {"vision_klines", "klines"}
    assert "ETHUSDT" in result.failures["klines"]
    assert "BTCUSDT" not in result.failures["klines"].partition(". ")[0]
    assert ATTEMPTS <= exchange.requests()["by_path"][f"/{ETH}"] <= 2 * ATTEMPTS  # libcurl repeats on a dead keep-alive
    assert exchange.requests()["rest_total"] == 0
    assert_recovers(dataset, DAY)


def test_after_an_outage_only_what_is_missing_is_asked_for(exchange: EmbeddedExchange, run: Runner) -> None:
    dataset = make_dataset("BTCUSDT", "ETHUSDT", "SOLUSDT")
    exchange.add_fault(kind="status", status=503, match=f"/{ETH}")
    run(dataset, DAY, "2024-03-02")
    exchange.clear_faults()
    exchange.reset_requests()

    assert_good(run(dataset, DAY, "2024-03-02"))

    objects = {path for path in exchange.requests()["by_path"] if path.startswith("/data/")}
    assert objects == {f"/{ETH}", f"/{ETH}.CHECKSUM"}
    assert exchange.requests()["rest_total"] == 0


def test_a_checksum_out_of_reach_makes_its_archive_unavailable(
    exchange: EmbeddedExchange, run: Runner, lake: Lake, assert_recovers: Recovery
) -> None:
    dataset = make_dataset("BTCUSDT", "ETHUSDT")
    exchange.add_fault(kind="status", status=503, match=f"/{ETH}.CHECKSUM")

    [result] = run(dataset, DAY)

    assert archive_entry(lake, "ETHUSDT", DAY)["state"] == "unavailable"
    assert certificate(lake, "ETHUSDT", DAY)["reason"] == "unavailable"
    assert certificate(lake, "BTCUSDT", DAY)["missing"] == 0
    assert "ETHUSDT" in result.failures["klines"]
    assert_recovers(dataset, DAY)


def test_a_bad_day_does_not_stop_the_days_around_it(
    exchange: EmbeddedExchange, run: Runner, lake: Lake, assert_recovers: Recovery
) -> None:
    dataset, days = make_dataset("BTCUSDT"), ["2024-03-01", "2024-03-02", "2024-03-03", "2024-03-04"]
    exchange.add_fault(kind="status", status=500, match=f"/{key_of('BTCUSDT', '2024-03-02')}")

    results = run(dataset, *days)

    assert [bool(result.failures) for result in results] == [False, True, False, False]
    assert [certificate(lake, "BTCUSDT", day)["from_vision"] for day in days] == [1440, 0, 1440, 1440]
    assert_recovers(dataset, *days)


@pytest.mark.parametrize(
    "fault",
    [{"kind": "status", "status": 403}, {"kind": "status", "status": 503}, {"kind": "html"}, {"kind": "reset"}],
    ids=["access denied", "server error", "a web page", "resets"],
)
def test_without_a_listing_nothing_is_guessed_and_rest_is_not_besieged(
    exchange: EmbeddedExchange, run: Runner, lake: Lake, assert_recovers: Recovery, fault: dict[str, Any]
) -> None:
    dataset = make_dataset("BTCUSDT", "ETHUSDT")
    exchange.add_fault(**fault, group="listing")

    [result] = run(dataset, DAY)

    for symbol in dataset.symbols:
        assert archive_entry(lake, symbol, DAY)["state"] == "unavailable"
        assert certificate(lake, symbol, DAY)["reason"] == "unavailable"
    assert set(result.failures) >= {"vision_klines", "klines"}
    assert exchange.requests()["archives"] == asked_klines(exchange) == 0
    assert_recovers(dataset, DAY)


def test_a_day_already_complete_survives_a_listing_outage_unharmed(
    exchange: EmbeddedExchange, run: Runner, lake: Lake
) -> None:
    dataset = make_dataset("BTCUSDT", "ETHUSDT")
    run(dataset, DAY)
    before = table_files(lake)
    exchange.add_fault(kind="status", status=403, group="listing")
    exchange.reset_requests()

    assert_good(run(dataset, DAY))

    assert table_files(lake) == before
    assert archive_entry(lake, "BTCUSDT", DAY)["state"] == "ok"
    assert asked(exchange)["archives"] == asked_klines(exchange) == 0


def test_without_bucket_and_rest_every_day_fails_and_nothing_is_written(
    exchange: EmbeddedExchange, run: Runner, lake: Lake, assert_recovers: Recovery
) -> None:
    dataset, days = make_dataset("BTCUSDT"), ["2024-03-01", "2024-03-02"]
    exchange.add_fault(kind="status", status=503)

    results = run(dataset, *days)

    assert [set(result.failures) for result in results] == [{"vision_klines", "rest_klines", "klines"}] * 2
    assert "Neither the bucket nor REST answers" in results[0].failures["klines"]
    assert table_files(lake) == {}
    assert_recovers(dataset, *days)


def test_a_stalled_download_is_given_up_and_asked_again(
    exchange: EmbeddedExchange,
    run: Runner,
    lake: Lake,
    assert_recovers: Recovery,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(download, "_STALLED_SECONDS", 1)
    dataset = make_dataset("BTCUSDT")
    exchange.add_fault(kind="delay", seconds=30, match=f"/{BTC}", times=1)

    assert_good(run(dataset, DAY))

    assert archive_entry(lake, "BTCUSDT", DAY)["state"] == "ok"
    assert exchange.requests()["by_path"][f"/{BTC}"] >= 1
    assert_recovers(dataset, DAY)


def test_a_bucket_that_is_down_is_not_besieged(run: Runner, exchange: EmbeddedExchange, lake: Lake) -> None:
    days = [f"2024-03-{number:02}" for number in range(1, 31)]
    dataset = make_dataset("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", interval="1h")
    exchange.add_fault(kind="status", status=503, group="archives")

    results = run(dataset, *days)

    assert all(result.failures for result in results)
    assert exchange.requests()["archives"] < len(days) * len(dataset.symbols) * ATTEMPTS / 2
    assert certificate(lake, "BTCUSDT", days[-1], interval="1h")["reason"] == "unavailable"
