"""Archives of funding that are rewritten, unverified, none at all, damaged, or at odds with REST."""

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from klines_pipeline.domain.states import ChecksumPolicy
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.stages.funding.ingest import FundingStage
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.conftest import make_dataset
from klines_pipeline_tests.faults.archives import body_of, member_of, pack
from klines_pipeline_tests.faults.lakes import all_files
from klines_pipeline_tests.funding.conftest import Fund, asked, certificate, failures, row_of, table
from klines_pipeline_tests.funding.february import DAY, KEY, UM, rewrite, with_rate


def of_bitcoin(lake: Lake, name: str = "funding", day: str = DAY) -> pl.DataFrame:
    return table(lake, name, day).filter(pl.col("symbol") == "BTCUSDT")


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


@pytest.mark.parametrize("name", ["ledger/funding_archives", "ledger/funding_slices", "rest_funding"])
def test_a_damaged_file_fails_its_day_alone_and_says_what_to_do(lake: Lake, fund: Fund, name: str) -> None:
    fund([UM], "2025-03-01")
    path = Path(lake.base, name, "exchange=binance/market=um/date=2025-03-01/part.parquet")
    path.write_bytes(b"damaged")

    failed = failures(fund([UM], "2025-02-28", "2025-03-02"))

    assert list(failed) == ["2025-03-01"]
    assert f"{path} is damaged" in failed["2025-03-01"]["funding"]
    assert "Delete it, then materialize the day again" in failed["2025-03-01"]["funding"]
    path.unlink()
    assert failures(fund([UM], "2025-02-28", "2025-03-02")) == {}
