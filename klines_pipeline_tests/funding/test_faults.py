"""What goes wrong with funding has a name, spoils nothing else, and is over when its cause is."""

import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from klines_pipeline.domain.states import ChecksumPolicy
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.stages.funding.ingest import FundingStage
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.conftest import endpoints_of, make_dataset
from klines_pipeline_tests.faults.archives import body_of, member_of, pack
from klines_pipeline_tests.faults.lakes import all_files
from klines_pipeline_tests.funding.conftest import Fund, asked, certificate, failures, row_of, table
from klines_pipeline_tests.funding.february import DAY, KEY, UM, rewrite, with_rate

ROOT = Path(__file__).parents[2]


def of_bitcoin(lake: Lake, name: str = "funding", day: str = DAY) -> pl.DataFrame:
    return table(lake, name, day).filter(pl.col("symbol") == "BTCUSDT")


# ---- versions


def test_a_rewritten_archive_is_a_new_revision_and_the_old_bytes_are_kept(
    exchange: EmbeddedExchange, lake: Lake, fund: Fund
) -> None:
    fund([UM], "2025-02-26", DAY)
    old = body_of(exchange, KEY)
    before = row_of(lake, "ledger/funding_archives", "BTCUSDT", DAY)
    exchange.set_clock(datetime(2025, 3, 5, 9, tzinfo=UTC))
    rewrite(exchange, with_rate(DAY, "0.00777000"))
    exchange.reset_requests()

    fund([UM], DAY)

    entry = row_of(lake, "ledger/funding_archives", "BTCUSDT", DAY)
    assert (before["revision"], entry["revision"], entry["state"]) == (1, 2, "ok")
    assert asked(exchange)[1:] == (1, 1, 0)
    assert of_bitcoin(lake)["funding_rate"][0] == 0.00777
    assert set(of_bitcoin(lake)["revision"]) == {2}
    assert set(of_bitcoin(lake)["ingested_at"]) == {entry["first_seen_at"]}
    assert lake.read(f"vision/{KEY}") == body_of(exchange, KEY)
    assert lake.read(f"vision/revisions/{KEY}@{str(before['sha256_actual'])[:12]}") == old


def test_a_day_not_looked_at_since_still_reads_the_version_it_was_made_from(
    exchange: EmbeddedExchange, lake: Lake, fund: Fund
) -> None:
    fund([UM], "2025-02-26", DAY)
    before = all_files(lake)
    rewrite(exchange, with_rate("2025-02-26", "0.00777000"))
    fund([UM], DAY, stages=[FundingStage.VISION])
    path = "funding/exchange=binance/market=um/date=2025-02-26/part.parquet"
    Path(lake.base, path).unlink()

    assert failures(fund([UM], "2025-02-26", stages=[FundingStage.FUNDING])) == {}
    assert all_files(lake)[path] == before[path]
    exchange.reset_requests()
    fund([UM], "2025-02-26")

    assert asked(exchange)[1:] == (0, 0, 0)
    assert of_bitcoin(lake, day="2025-02-26")["funding_rate"][0] == 0.00777


def test_rates_on_which_archive_and_rest_disagree_are_listed(
    exchange: EmbeddedExchange, lake: Lake, fund: Fund
) -> None:
    exchange.set_clock(datetime(2025, 2, 28, 9, tzinfo=UTC))
    fund([UM], DAY)
    asked_rate = of_bitcoin(lake)["funding_rate"][0]
    exchange.set_clock(datetime(2025, 3, 2, 9, tzinfo=UTC))
    rewrite(exchange, with_rate(DAY, "0.00777000"))

    fund([UM], DAY)

    conflicts = table(lake, "ledger/funding_conflicts", DAY)
    assert conflicts.select("symbol", "funding_rate", "funding_rate_rest").rows() == [("BTCUSDT", 0.00777, asked_rate)]
    assert certificate(lake, "BTCUSDT", DAY)["conflicts"] == 1
    assert certificate(lake, "SOLUSDT", DAY)["conflicts"] == 0


# ---- archives not to be trusted


def test_an_archive_that_differs_from_its_checksum_is_quarantined_and_rest_fills_the_day(
    exchange: EmbeddedExchange, lake: Lake, fund: Fund
) -> None:
    exchange.add_fault(kind="checksum", match=f"*{KEY}*")

    days = fund([UM], DAY)

    entry = row_of(lake, "ledger/funding_archives", "BTCUSDT", DAY)
    assert failures(days) == {}
    assert entry["state"] == "checksum_mismatch"
    assert lake.read(f"vision/{KEY}") is None
    assert lake.read(f"vision/quarantine/{KEY}@{str(entry['sha256_actual'])[:12]}") == body_of(exchange, KEY)
    assert set(of_bitcoin(lake)["source"]) == {"rest"}
    assert certificate(lake, "BTCUSDT", DAY)["reason"] is None
    exchange.clear_faults()
    fund([UM], DAY)
    exchange.reset_requests()
    fund([UM], DAY)

    assert asked(exchange) == (2, 0, 0, 0)


def test_by_policy_an_unverified_archive_counts_where_rest_has_the_same(
    exchange: EmbeddedExchange, lake: Lake, fund: Fund
) -> None:
    crossed = make_dataset(
        *UM.symbols, market="um", interval="1h", funding=True, on_checksum_mismatch=ChecksumPolicy.CROSS_CHECK
    )
    rewrite(exchange, with_rate("2025-02-26", "0.00777000"))
    exchange.add_fault(kind="drop_checksum", match=f"*{KEY}*")

    fund([crossed], "2025-02-26", DAY)

    assert set(of_bitcoin(lake, day="2025-02-26")["source"]) == {"rest"}
    assert set(of_bitcoin(lake)["source"]) == {"vision"}
    assert of_bitcoin(lake)["mark_price"].null_count() == 0


NO_RATES = b"calc_time,x\n1740614400000,8,much\n"


@pytest.mark.parametrize(
    "content",
    [b"<html>busy</html>", pack([("other.csv", b"1")]), pack([(member_of(KEY), NO_RATES)])],
    ids=["html", "wrong member", "no rates"],
)
def test_an_archive_that_is_none_is_corrupt_and_never_kept(
    exchange: EmbeddedExchange, lake: Lake, fund: Fund, content: bytes
) -> None:
    exchange.put_object(KEY, content)

    assert failures(fund([UM], DAY)) == {}

    assert row_of(lake, "ledger/funding_archives", "BTCUSDT", DAY)["state"] == "corrupt"
    assert not any("BTCUSDT-fundingRate" in path for path in all_files(lake))
    assert set(of_bitcoin(lake)["source"]) == {"rest"}


def test_an_archive_damaged_on_the_disk_fails_its_days_and_says_what_to_do(
    exchange: EmbeddedExchange, lake: Lake, fund: Fund
) -> None:
    fund([UM], DAY, "2025-03-01")
    Path(lake.base, "vision", KEY).write_bytes(b"damaged")

    days = fund([UM], DAY, "2025-03-01")

    assert list(failures(days)) == [DAY, "2025-02-28"]
    assert "is gone from the lake or not the file that was verified. Delete it" in str(failures(days))
    Path(lake.base, "vision", KEY).unlink()
    assert failures(fund([UM], DAY, "2025-03-01")) == {}


def test_settlements_that_neither_source_has_are_a_halt_with_two_witnesses(
    exchange: EmbeddedExchange, lake: Lake, fund: Fund
) -> None:
    rewrite(exchange, lambda lines: [line for line in lines if not line.startswith("17406432")])  # 02-27 08:00
    exchange.add_fault(kind="status", status=200, match="/fapi/v1/fundingRate*", body="[]")

    fund([UM], DAY)

    found = certificate(lake, "BTCUSDT", DAY)
    assert (found["expected"], found["missing"], found["reason"]) == (3, 1, "exchange_halt")


# ---- hosts that do not answer


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


# ---- kills and neighbours


def kill_at_each_rename(exchange: EmbeddedExchange, before: Path, into: Path, days: list[str]) -> list[Lake]:
    """Copies of a lake, each left behind by a run killed one rename later than the one before; the last run lived."""
    order = {"before": str(before), "into": str(into), "endpoints": endpoints_of(exchange)}
    into.mkdir()
    done = subprocess.run(
        [
            sys.executable,
            str(Path(__file__).with_name("funding_process.py")),
            json.dumps({**order, "symbols": UM.symbols, "days": days}),
        ],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=170,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [Lake(str(folder)) for folder in sorted(into.iterdir())]


def test_a_run_killed_at_any_rename_is_completed_by_the_next(
    exchange: EmbeddedExchange, lake: Lake, fund: Fund, tmp_path: Path
) -> None:
    fund([UM], "2025-02-12")
    fund([UM], "2025-02-20")
    before = tmp_path / "before"
    shutil.copytree(lake.base, before)
    exchange.set_clock(datetime(2025, 3, 5, 9, tzinfo=UTC))
    rewrite(exchange, lambda lines: with_rate("2025-02-12", "0.1")(with_rate("2025-02-20", "0.2")(lines)))
    fund([UM], "2025-02-12", "2025-02-13")
    fund([UM], "2025-03-01")

    killed = kill_at_each_rename(exchange, before, tmp_path / "killed", ["2025-02-12", "2025-02-13", "2025-03-01"])

    assert len(killed) > 10
    for left in killed:
        for path in all_files(left):
            if path.endswith(".parquet"):
                pl.read_parquet(Path(left.base, path), hive_partitioning=False)
        assert failures(fund([UM], "2025-02-12", "2025-02-13", into=left)) == {}
        assert failures(fund([UM], "2025-03-01", into=left)) == {}
        assert all_files(left) == all_files(lake), left.base


def test_two_runs_of_the_same_days_at_once_download_each_archive_once(
    exchange: EmbeddedExchange, lake: Lake, fund: Fund
) -> None:
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(fund, [UM], "2025-02-20", "2025-03-02") for _ in range(2)]
        results = [run.result() for run in runs]

    assert [failures(days) for days in results] == [{}, {}]
    assert exchange.requests()["duplicate_downloads"] == {}
    assert exchange.requests()["funding"] == 2


def test_a_rate_that_cannot_be_one_keeps_its_day_red_until_the_archive_is_published_anew(
    exchange: EmbeddedExchange, fund: Fund
) -> None:
    """Five times the position: a number, and in its place, so that no sieve takes it out."""
    rewrite(exchange, with_rate("2025-02-20", "5.00000000"))

    first = fund([UM], "2025-02-19", "2025-02-21")
    again = fund([UM], "2025-02-19", "2025-02-21")

    text = "rates_are_finite_and_below_one does not hold for BTCUSDT (1 rows). Remedy: compare the month's archive"
    for results in (first, again):
        assert list(failures(results)) == ["2025-02-20"]
        assert failures(results)["2025-02-20"]["funding"].startswith(text)
        assert not any(day.may_pass for day in results if day.failures)
    rewrite(exchange, with_rate("2025-02-20", "0.00010000"))
    assert failures(fund([UM], "2025-02-19", "2025-02-21")) == {}
