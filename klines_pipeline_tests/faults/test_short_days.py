"""Archives shorter than their day: REST is asked for the rest, once; what nobody has was a halt of the exchange."""

from datetime import UTC, datetime

import polars as pl

from klines_pipeline.domain.automation import Automation
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.stages.checking.examine import examine_days
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.conftest import archive_entry, certificate, make_dataset, read_day
from klines_pipeline_tests.faults.archives import key_of, member_of, pack, rewrite
from klines_pipeline_tests.faults.conftest import Recovery, Runner, asked_klines, assert_good

HALT_DAY = "2025-03-02"
HALT = {"start": datetime(2025, 3, 2, 10, 17, tzinfo=UTC), "end": datetime(2025, 3, 2, 11, 5, tzinfo=UTC)}


def test_what_the_archive_lacks_and_rest_has_is_filled(
    exchange: EmbeddedExchange, run: Runner, lake: Lake, assert_recovers: Recovery
) -> None:
    dataset, day = make_dataset("BTCUSDT", "SOLUSDT"), "2025-03-01"

    assert_good(run(dataset, day))

    filled = certificate(lake, "SOLUSDT", day)
    assert (archive_entry(lake, "SOLUSDT", day)["state"], archive_entry(lake, "SOLUSDT", day)["rows"]) == ("ok", 1130)
    assert (filled["from_vision"], filled["from_rest"], filled["missing"], filled["reason"]) == (1130, 310, 0, None)
    assert certificate(lake, "BTCUSDT", day)["from_vision"] == 1440
    assert asked_klines(exchange) == 1
    sources = read_day(lake, "klines", day).filter(symbol="SOLUSDT").sort("open_time")["source"].to_list()
    assert sources == ["vision"] * 1130 + ["rest"] * 310
    assert_recovers(dataset, day)


def test_what_nobody_has_was_a_halt_of_the_exchange(
    exchange: EmbeddedExchange, run: Runner, lake: Lake, assert_recovers: Recovery
) -> None:
    dataset = make_dataset("BTCUSDT", "ETHUSDT")

    [result] = run(dataset, HALT_DAY)

    halted, both = certificate(lake, "BTCUSDT", HALT_DAY), certificate(lake, "ETHUSDT", HALT_DAY)
    assert_good([result])
    assert (halted["from_vision"], halted["from_rest"], halted["missing"]) == (1392, 0, 48)
    assert (halted["missing_ranges"], halted["reason"]) == ([HALT], "exchange_halt")
    assert (both["from_vision"], both["from_rest"], both["missing"]) == (1372, 20, 48)
    assert (both["missing_ranges"], both["reason"]) == ([HALT], "exchange_halt")
    findings = {found.rule: found.breaches for found in examine_days(lake, dataset, [result.day], Automation().cadence)}
    assert findings["klines_are_complete_or_explained"] == 0
    assert_recovers(dataset, HALT_DAY)


def test_a_halt_takes_two_witnesses(
    exchange: EmbeddedExchange, run: Runner, lake: Lake, assert_recovers: Recovery
) -> None:
    dataset = make_dataset("BTCUSDT")
    exchange.add_fault(kind="blocked", group="rest")

    assert_good(run(dataset, HALT_DAY))

    alone = certificate(lake, "BTCUSDT", HALT_DAY)
    assert (alone["from_vision"], alone["missing"], alone["reason"]) == (1392, 48, "blocked")
    assert_recovers(dataset, HALT_DAY)
    assert certificate(lake, "BTCUSDT", HALT_DAY)["reason"] == "exchange_halt"


def test_rest_saying_nothing_is_asked_about_a_gap_only_once(
    exchange: EmbeddedExchange, run: Runner, lake: Lake
) -> None:
    dataset = make_dataset("BTCUSDT")
    run(dataset, HALT_DAY)
    exchange.reset_requests()

    assert_good(run(dataset, HALT_DAY))

    assert exchange.requests()["rest_total"] == 0
    [gap] = read_day(lake, "ledger/slices", HALT_DAY).select("start", "end", "state", "rows").rows(named=True)
    assert gap == {**HALT, "state": "no_data", "rows": 0}


def test_an_archive_without_a_single_row_is_filled_from_rest(
    exchange: EmbeddedExchange, run: Runner, lake: Lake
) -> None:
    dataset, day = make_dataset("BTCUSDT", "ETHUSDT"), "2024-03-01"
    key = key_of("ETHUSDT", day)
    exchange.put_object(key, pack([(member_of(key), b"")]))

    assert_good(run(dataset, day))

    filled = certificate(lake, "ETHUSDT", day)
    assert archive_entry(lake, "ETHUSDT", day)["rows"] == 0
    assert (filled["from_vision"], filled["from_rest"], filled["missing"]) == (0, 1440, 0)
    assert certificate(lake, "BTCUSDT", day)["from_vision"] == 1440


def test_a_rest_outage_leaves_the_gap_and_fails_the_day(
    exchange: EmbeddedExchange, run: Runner, lake: Lake, assert_recovers: Recovery
) -> None:
    dataset, day = make_dataset("BTCUSDT", "SOLUSDT"), "2025-03-01"
    exchange.add_fault(kind="status", status=500, group="rest")

    [result] = run(dataset, day)

    short = certificate(lake, "SOLUSDT", day)
    assert (short["from_vision"], short["missing"], short["reason"]) == (1130, 310, "unavailable")
    assert read_day(lake, "ledger/slices", day)["state"].to_list() == ["unavailable"]
    assert certificate(lake, "BTCUSDT", day)["from_vision"] == 1440
    assert set(result.failures) == {"rest_klines", "klines"}
    assert "SOLUSDT" in result.failures["klines"]
    assert_recovers(dataset, day)


def test_many_small_gaps_cost_one_request_a_slice(exchange: EmbeddedExchange, run: Runner, lake: Lake) -> None:
    dataset, day = make_dataset("ETHUSDT"), "2024-03-01"
    rewrite(exchange, key_of("ETHUSDT", day), lambda lines: lines[::2])

    assert_good(run(dataset, day))

    filled = certificate(lake, "ETHUSDT", day)
    assert (filled["from_vision"], filled["from_rest"], filled["conflicts"]) == (720, 720, 0)
    assert asked_klines(exchange) == 2


def test_a_disagreement_between_archive_and_rest_is_counted_and_listed(
    exchange: EmbeddedExchange, run: Runner, lake: Lake
) -> None:
    dataset, day = make_dataset("ETHUSDT"), "2024-03-01"
    key = key_of("ETHUSDT", day)

    def other_volume_and_a_gap(lines: list[str]) -> list[str]:
        cells = lines[5].split(",")
        return [*lines[:4], ",".join([*cells[:5], "0.5", *cells[6:]]), *lines[7:]]

    rewrite(exchange, key, other_volume_and_a_gap)

    assert_good(run(dataset, day))

    assert certificate(lake, "ETHUSDT", day)["conflicts"] == 1
    [listed] = read_day(lake, "ledger/conflicts", day).rows(named=True)
    assert (listed["open_time"], listed["volume"]) == (datetime(2024, 3, 1, 0, 5, tzinfo=UTC), 0.5)
    assert listed["volume_rest"] != 0.5
    kept = read_day(lake, "klines", day).row(by_predicate=pl.col("open_time") == listed["open_time"], named=True)
    assert (kept["source"], kept["volume"]) == ("vision", 0.5)
