"""Statements need witnesses: what a reviewer's doubts turned up, each once a wrong or an unproven certificate."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from klines_pipeline.domain.states import ChecksumPolicy
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.stages.ingest import Ingest, Stage
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.conftest import archive_entry, certificate, make_dataset, read_day
from klines_pipeline_tests.faults.archives import Lines, key_of, rewrite, with_cell
from klines_pipeline_tests.faults.conftest import Recovery, Runner, assert_good, impatient

AWAITED = "2025-03-03"
"""Over, and published by 04:30 of the next day; the exchange's clock says 09:00 then."""


def only(run: Runner, dataset_symbol: str, day: str, *stages: Stage) -> dict[str, str]:
    """Failures of a run of some stages only."""
    flow = Ingest(run.lake, impatient(run.exchange), make_dataset(dataset_symbol), stages=stages, log=lambda _: None)
    [result] = flow.days([date.fromisoformat(day)])
    return dict(result.failures)


def test_an_outage_of_the_listing_leaves_nothing_behind(exchange: EmbeddedExchange, run: Runner, lake: Lake) -> None:
    dataset = make_dataset("BTCUSDT")
    exchange.hold_publication("BTCUSDT", date(2025, 3, 3), until=None)
    exchange.add_fault(kind="status", status=503, group="listing")
    [dark] = run(dataset, AWAITED)
    exchange.clear_faults()

    assert_good(run(dataset, AWAITED))

    assert dark.failures
    entry, proof = archive_entry(lake, "BTCUSDT", AWAITED), certificate(lake, "BTCUSDT", AWAITED)
    assert (entry["state"], entry["error"]) == ("not_published", None)
    assert (proof["present"], proof["from_rest"]) == (1440, 1440)


def test_a_download_host_that_lags_behind_the_bucket_is_asked_again(
    exchange: EmbeddedExchange, run: Runner, lake: Lake, assert_recovers: Recovery
) -> None:
    dataset, key = make_dataset("BTCUSDT"), key_of("BTCUSDT", "2024-03-01")
    run(dataset, "2024-03-01")
    with EmbeddedExchange(rate=0) as stale_host:
        exchange.set_clock(datetime(2025, 3, 4, 12, tzinfo=UTC))
        exchange.revise(key)
        behind = impatient(exchange)
        behind.archive.download_url = stale_host.url  # type: ignore[attr-defined]
        assert_good(run(dataset, "2024-03-01", market=behind))
    lagging = archive_entry(lake, "BTCUSDT", "2024-03-01")

    assert_good(run(dataset, "2024-03-01"))

    assert (lagging["revision"], lagging["etag"]) == (1, None)
    assert "older version" in str(lagging["error"])
    assert archive_entry(lake, "BTCUSDT", "2024-03-01")["revision"] == 2


def test_a_halt_of_a_symbol_whose_archive_is_late_is_no_delisting(
    exchange: EmbeddedExchange, run: Runner, lake: Lake
) -> None:
    exchange.set_clock(datetime(2025, 3, 3, 9, tzinfo=UTC))
    exchange.hold_publication("ETHUSDT", date(2025, 3, 2), until=datetime(2025, 3, 3, 12, tzinfo=UTC))

    assert_good(run(make_dataset("BTCUSDT", "ETHUSDT"), "2025-03-02"))

    assert certificate(lake, "BTCUSDT", "2025-03-02")["reason"] == "exchange_halt"
    assert certificate(lake, "ETHUSDT", "2025-03-02")["reason"] == "not_published"


def test_a_kline_that_both_sources_have_but_cannot_be_one_is_no_halt(
    exchange: EmbeddedExchange, run: Runner, lake: Lake
) -> None:
    def turn_over(lines: Lines) -> Lines:
        high, low = lines[100].split(",")[2:4]
        return [*lines[:100], with_cell(with_cell(lines[100], 2, low), 3, high), *lines[101:]]

    rewrite(exchange, key_of("ETHUSDT", "2024-03-01"), turn_over)
    bad = f'[[{1709251200000 + 100 * 60_000},"2","1","3","2","1",1,"1",1,"1","1","0"]]'
    exchange.add_fault(kind="status", status=200, body=bad, match="/api/v3/klines")

    assert_good(run(make_dataset("ETHUSDT"), "2024-03-01"))

    proof = certificate(lake, "ETHUSDT", "2024-03-01")
    assert (proof["missing"], proof["reason"]) == (1, "rejected")
    assert set(read_day(lake, "ledger/rejected", "2024-03-01")["source"]) == {"vision", "rest"}


def test_a_symbol_rest_does_not_know_is_no_witness_of_a_halt(
    exchange: EmbeddedExchange, run: Runner, lake: Lake
) -> None:
    unknown = '{"code":-1121,"msg":"Invalid symbol."}'
    exchange.add_fault(kind="status", status=400, body=unknown, match="/api/v3/klines")

    assert_good(run(make_dataset("SOLUSDT"), "2025-03-01"))

    assert certificate(lake, "SOLUSDT", "2025-03-01")["reason"] == "no_data"


def test_rest_alone_fails_while_nothing_tells_the_time(exchange: EmbeddedExchange, run: Runner) -> None:
    exchange.hold_publication("BTCUSDT", date(2025, 3, 3), until=None)
    only(run, "BTCUSDT", AWAITED, Stage.VISION)
    exchange.add_fault(kind="status", status=503, group="rest")

    assert "HTTP 503" in only(run, "BTCUSDT", AWAITED, Stage.REST)["rest_klines"]


def test_merging_again_never_expects_less_than_was_certified(
    exchange: EmbeddedExchange, run: Runner, lake: Lake
) -> None:
    dataset, noon = make_dataset("BTCUSDT"), datetime(2025, 3, 4, 12, tzinfo=UTC)
    exchange.set_clock(noon)
    run(dataset, "2025-03-04")
    exchange.set_clock(noon + timedelta(hours=13))
    exchange.add_fault(kind="status", status=503, group="rest")
    [red] = run(dataset, "2025-03-04")

    only(run, "BTCUSDT", "2025-03-04", Stage.KLINES)

    proof = certificate(lake, "BTCUSDT", "2025-03-04")
    assert red.failures
    assert (proof["expected"], proof["missing"]) == (1440, 720)


@pytest.mark.parametrize("what", ["gone", "another"])
def test_bytes_that_are_not_those_verified_are_never_merged(run: Runner, lake: Lake, what: str) -> None:
    run(make_dataset("BTCUSDT", "ETHUSDT"), "2024-03-01")
    mirror = Path(lake.base, "vision")
    held, other = mirror / key_of("BTCUSDT", "2024-03-01"), mirror / key_of("ETHUSDT", "2024-03-01")
    if what == "gone":
        held.unlink()
    else:
        held.write_bytes(other.read_bytes())

    more = make_dataset("BTCUSDT", "ETHUSDT", "SOLUSDT")
    [result] = run(more, "2024-03-01")

    if what == "gone":  # a run that looks at the bucket fetches it again by itself
        assert_good([result])
    else:
        assert "is not the file that was verified" in result.failures["klines"]
        held.unlink()
        assert_good(run(more, "2024-03-01"))
    entry = archive_entry(lake, "BTCUSDT", "2024-03-01")
    assert (entry["revision"], certificate(lake, "BTCUSDT", "2024-03-01")["from_vision"]) == (1, 1440)


def test_rows_rejected_from_the_version_in_use_survive_a_download_that_fails(
    exchange: EmbeddedExchange, run: Runner, lake: Lake
) -> None:
    dataset, key = make_dataset("ETHUSDT"), key_of("ETHUSDT", "2024-03-01")
    rewrite(exchange, key, lambda lines: [*lines[:9], with_cell(lines[9], 5, "-1"), *lines[10:]])
    run(dataset, "2024-03-01")
    exchange.set_clock(datetime(2025, 3, 4, 12, tzinfo=UTC))
    exchange.revise(key)
    exchange.add_fault(kind="status", status=503, group="archives")

    run(dataset, "2024-03-01")

    assert read_day(lake, "ledger/rejected", "2024-03-01")["reason"].to_list() == ["negative"]


def test_a_block_does_not_wipe_out_what_rest_has_answered(exchange: EmbeddedExchange, run: Runner, lake: Lake) -> None:
    dataset, day = make_dataset("BTCUSDT"), "2025-03-02"
    exchange.set_clock(datetime(2025, 3, 2, 12, tzinfo=UTC))
    run(dataset, day)
    exchange.set_clock(datetime(2025, 3, 2, 14, tzinfo=UTC))
    exchange.add_fault(kind="blocked", group="rest")

    assert_good(run(dataset, day))

    [row] = read_day(lake, "ledger/slices", day).iter_rows(named=True)
    assert (row["state"], row["rows"], row["http_status"]) == ("ok", 672, 451)
    assert certificate(lake, "BTCUSDT", day)["reason"] == "not_published+blocked"


def test_a_symbol_no_longer_configured_is_not_judged_anew(exchange: EmbeddedExchange, run: Runner, lake: Lake) -> None:
    run(make_dataset("BTCUSDT", "ETHUSDT"), "2025-03-04")
    before = certificate(lake, "ETHUSDT", "2025-03-04")
    exchange.set_clock(datetime(2025, 3, 5, 9, tzinfo=UTC))

    assert_good(run(make_dataset("BTCUSDT"), "2025-03-04"))

    assert certificate(lake, "ETHUSDT", "2025-03-04") == before
    assert certificate(lake, "BTCUSDT", "2025-03-04")["from_vision"] == 1440


def test_two_rows_of_one_kline_that_differ_are_listed(exchange: EmbeddedExchange, run: Runner, lake: Lake) -> None:
    rewrite(
        exchange,
        key_of("ETHUSDT", "2024-03-01"),
        lambda lines: [*lines[:10], with_cell(lines[9], 5, "999999"), *lines[10:]],
    )

    assert_good(run(make_dataset("ETHUSDT"), "2024-03-01"))

    [row] = read_day(lake, "ledger/rejected", "2024-03-01").iter_rows(named=True)
    kept = read_day(lake, "klines", "2024-03-01").filter(pl.col("open_time") == row["open_time"])
    assert row["reason"] == "duplicate"
    assert (row["volume"] == 999999) != (kept["volume"].item() == 999999)


def test_an_archive_taken_back_stays_in_use_and_is_noted(exchange: EmbeddedExchange, run: Runner, lake: Lake) -> None:
    dataset, key = make_dataset("BTCUSDT"), key_of("BTCUSDT", "2024-03-01")
    run(dataset, "2024-03-01")
    exchange.remove_object(key)

    assert_good(run(dataset, "2024-03-01"))

    entry = archive_entry(lake, "BTCUSDT", "2024-03-01")
    assert (entry["state"], entry["rows"]) == ("ok", 1440)
    assert "no longer listed" in str(entry["error"])


@pytest.mark.parametrize("table", ["ledger/archives", "ledger/slices", "rest_klines"])
def test_a_damaged_file_of_the_lake_fails_its_day_by_name_and_no_other(run: Runner, lake: Lake, table: str) -> None:
    dataset = make_dataset("ETHUSDT", on_checksum_mismatch=ChecksumPolicy.CROSS_CHECK)
    run(dataset, "2025-03-02", "2025-03-03")
    part = Path(lake.base, table, "exchange=binance/market=spot/interval=1m/date=2025-03-02/part.parquet")
    part.write_bytes(b"\x00" * 50)

    bad, good = run(dataset, "2025-03-02", "2025-03-03")

    assert f"{part} is damaged" in " ".join(bad.failures.values())
    assert not good.failures
