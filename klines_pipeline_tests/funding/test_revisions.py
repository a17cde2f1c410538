"""An archive rewritten in place: every version is recorded, and no day of its month stays made from the old one."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from klines_pipeline.klines.ledgers import REVISION_SCHEMA
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.stages.funding.ingest import FundingStage
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.conftest import make_dataset
from klines_pipeline_tests.faults.archives import lines_of, member_of, pack
from klines_pipeline_tests.faults.lakes import all_files
from klines_pipeline_tests.funding.conftest import Fund, asked, certificate, failures, row_of, table
from klines_pipeline_tests.funding.february import KEY, UM, rewrite, with_rate

MONTH = "2025-02-01"
"""Where the revisions of the month lie."""
FIRST, SECOND, THIRD = "2025-02-20", "2025-02-22", "2025-02-27"


def rates(lake: Lake, day: str) -> list[float]:
    """BTCUSDT's of a day."""
    return table(lake, "funding", day).filter(pl.col("symbol") == "BTCUSDT")["funding_rate"].to_list()


def revisions(lake: Lake) -> pl.DataFrame:
    return table(lake, "ledger/funding_revisions", MONTH)


def test_every_version_of_an_archive_is_a_row_with_what_changed(
    exchange: EmbeddedExchange, lake: Lake, fund: Fund
) -> None:
    fund([UM], THIRD)
    exchange.set_clock(datetime(2025, 3, 5, 9, tzinfo=UTC))
    rewrite(exchange, lambda lines: [*with_rate(FIRST, "0.00777000")(lines)[:-2]])

    fund([UM], THIRD)
    fund([UM], FIRST)

    found = revisions(lake)
    assert found.schema == REVISION_SCHEMA
    counts = found.select("symbol", "date", "revision", "rows_added", "rows_removed", "rows_changed").rows()
    first = date(2025, 2, 1)
    assert counts == [
        ("BTCUSDT", first, 1, 84, 0, 0),
        ("BTCUSDT", first, 2, 0, 2, 1),
        ("SOLUSDT", first, 1, 28 * 6 - 1, 0, 0),
    ]
    entry = row_of(lake, "ledger/funding_archives", "BTCUSDT", THIRD)
    row = found.row(1, named=True)
    assert (row["key"], row["sha256"], row["seen_at"]) == (KEY, entry["sha256_actual"], entry["first_seen_at"])
    assert (row["etag"], row["last_modified"]) == (entry["etag"], entry["last_modified"])


def test_other_days_made_from_the_older_version_are_renewed_in_the_same_run(
    exchange: EmbeddedExchange, lake: Lake, fund: Fund
) -> None:
    for day in (FIRST, SECOND):
        fund([UM], day)
    untouched = row_of(lake, "ledger/funding_certificates", "SOLUSDT", FIRST)
    rewrite(exchange, with_rate(FIRST, "0.00777000"))
    exchange.reset_requests()

    [done] = fund([UM], THIRD)

    assert failures([done]) == {}
    assert done.renewed == (date(2025, 2, 20), date(2025, 2, 22))
    assert asked(exchange) == (2, 1, 1, 0)
    assert rates(lake, FIRST)[0] == 0.00777
    assert set(table(lake, "funding", FIRST).filter(pl.col("symbol") == "BTCUSDT")["revision"]) == {2}
    assert row_of(lake, "ledger/funding_archives", "BTCUSDT", FIRST)["revision"] == 2
    assert row_of(lake, "ledger/funding_certificates", "SOLUSDT", FIRST) == untouched
    before = all_files(lake)
    assert {day.renewed for day in fund([UM], FIRST, THIRD)} == {()}
    assert {path: all_files(lake)[path] for path in before} == before


def test_a_renewed_day_asks_rest_for_what_the_new_version_no_longer_has(
    exchange: EmbeddedExchange, lake: Lake, fund: Fund
) -> None:
    fund([UM], FIRST)
    start = int(datetime(2025, 2, 20, 8, tzinfo=UTC).timestamp())
    rewrite(exchange, lambda lines: [line for line in lines if not line.startswith(str(start))])

    [done] = fund([UM], THIRD)

    found = certificate(lake, "BTCUSDT", FIRST)
    assert (found["present"], found["from_vision"], found["from_rest"], found["missing"]) == (3, 2, 1, 0)
    assert done.topped_up is not None
    assert done.topped_up.requests == exchange.requests()["rest_total"] > 0


def test_a_day_that_could_not_be_renewed_fails_the_run_and_is_renewed_by_the_next(
    exchange: EmbeddedExchange, lake: Lake, fund: Fund
) -> None:
    fund([UM], FIRST)
    start = int(datetime(2025, 2, 20, 8, tzinfo=UTC).timestamp())
    rewrite(exchange, lambda lines: [line for line in lines if not line.startswith(str(start))])
    exchange.add_fault(kind="status", status=503, match="re:/fapi/v1/fundingRate.*")

    failed = failures(fund([UM], THIRD))

    assert set(failed[THIRD]) == {"funding"}
    assert "2025-02-20 was made from an archive rewritten since and could not be renewed" in failed[THIRD]["funding"]
    exchange.clear_faults()
    [done] = fund([UM], THIRD)
    assert failures([done]) == {}
    assert done.renewed == (date(2025, 2, 20),)
    assert certificate(lake, "BTCUSDT", FIRST)["missing"] == 0


@pytest.mark.parametrize("stages", [[FundingStage.VISION], [FundingStage.VISION, FundingStage.FUNDING]])
def test_a_run_of_some_stages_leaves_other_days_to_the_next_whole_one(
    exchange: EmbeddedExchange, lake: Lake, fund: Fund, stages: Sequence[FundingStage]
) -> None:
    fund([UM], FIRST)
    before = rates(lake, FIRST)
    rewrite(exchange, with_rate(FIRST, "0.00777000"))

    [some] = fund([UM], THIRD, stages=stages)
    assert (some.renewed, rates(lake, FIRST)) == ((), before)

    [whole] = fund([UM], THIRD)
    assert (whole.renewed, rates(lake, FIRST)[0]) == ((date(2025, 2, 20),), 0.00777)


def test_days_made_before_there_was_an_archive_are_left_to_their_own_run(
    exchange: EmbeddedExchange, lake: Lake, fund: Fund
) -> None:
    exchange.set_clock(datetime(2025, 2, 28, 9, tzinfo=UTC))
    fund([UM], FIRST)
    exchange.set_clock(datetime(2025, 3, 2, 9, tzinfo=UTC))

    [done] = fund([UM], THIRD)

    assert done.renewed == ()
    assert set(table(lake, "funding", FIRST)["source"]) == {"rest"}


def test_damage_is_no_version_to_renew_other_days_from(exchange: EmbeddedExchange, lake: Lake, fund: Fund) -> None:
    exchange.add_fault(kind="checksum", match=f"*{KEY}*")
    fund([UM], FIRST)
    exchange.put_object(KEY, b"<html>busy</html>")

    [done] = fund([UM], THIRD)

    assert row_of(lake, "ledger/funding_archives", "BTCUSDT", THIRD)["state"] == "corrupt"
    assert row_of(lake, "ledger/funding_archives", "BTCUSDT", FIRST)["state"] == "checksum_mismatch"
    assert done.renewed == ()


def test_a_checksum_put_right_renews_the_days_that_rest_filled(
    exchange: EmbeddedExchange, lake: Lake, fund: Fund
) -> None:
    exchange.add_fault(kind="checksum", match=f"*{KEY}*")
    fund([UM], FIRST)
    exchange.clear_faults()
    rewrite(exchange, lambda lines: lines)

    [done] = fund([UM], THIRD)

    assert done.renewed == (date(2025, 2, 20),)
    assert set(table(lake, "funding", FIRST)["source"]) == {"vision"}
    assert row_of(lake, "ledger/funding_archives", "BTCUSDT", FIRST)["state"] == "ok"


# ---- rows that are not in the table


def test_rows_an_archive_has_and_the_table_has_not_are_kept_with_their_reason(
    exchange: EmbeddedExchange, lake: Lake, fund: Fund
) -> None:
    midnight = int(datetime.fromisoformat(f"{THIRD}T00:00+00:00").timestamp()) * 1000
    before, after = midnight - 40 * 86_400_000, midnight + 40 * 86_400_000
    added = [f"{midnight},8,0.00123000", f"{before},8,0.1", f"{after},8,0.2"]
    text = "".join(f"{line}\n" for line in (*lines_of(exchange, KEY), *added))
    exchange.put_object(KEY, pack([(member_of(KEY), text.encode())]))

    days = fund([UM], "2025-02-01", "2025-02-28")

    assert failures(days) == {}
    assert rates(lake, THIRD)[0] == 0.00123
    where = {FIRST: 0, THIRD: 1, "2025-02-01": 1, "2025-02-28": 1}
    assert {str(day.day): day.merged.rejected for day in days if day.merged and str(day.day) in where} == where
    names = ["symbol", "source", "reason", "funding_rate"]
    [overruled] = table(lake, "ledger/funding_rejected", THIRD).select(names).rows()
    assert overruled[:3] == ("BTCUSDT", "vision", "duplicate")
    assert overruled[3] != 0.00123
    assert table(lake, "ledger/funding_rejected", "2025-02-01").select(names).rows() == [
        ("BTCUSDT", "vision", "outside_month", 0.1)
    ]
    assert table(lake, "ledger/funding_rejected", "2025-02-28")["funding_rate"].to_list() == [0.2]
    files = all_files(lake)
    again = fund([UM], "2025-02-01", "2025-02-28")
    assert sum(day.merged.rejected for day in again if day.merged) == 3
    assert all_files(lake) == files


def test_rows_rejected_from_one_version_are_gone_with_the_next(
    exchange: EmbeddedExchange, lake: Lake, fund: Fund
) -> None:
    whole = lines_of(exchange, KEY)
    rewrite(exchange, lambda lines: [*lines, f"{lines[-1].split(',')[0]},8,0.5"])
    fund([UM], "2025-02-28")
    assert table(lake, "ledger/funding_rejected", "2025-02-28").height == 1
    rewrite(exchange, lambda _: whole)

    [day] = fund([UM], "2025-02-28")

    assert table(lake, "ledger/funding_rejected", "2025-02-28").is_empty()
    assert day.merged is not None
    assert day.merged.rejected == 0


def test_two_rates_of_rest_for_one_key_are_not_settled_in_silence(
    exchange: EmbeddedExchange, lake: Lake, fund: Fund
) -> None:
    row = '{"symbol":"BTCUSDT","fundingTime":%d,"fundingRate":"%s","markPrice":"84000.5"}'
    start = int(datetime(2025, 3, 2, tzinfo=UTC).timestamp()) * 1000
    sent = [row % (start + hour * 3_600_000, rate) for hour, rate in ((0, "0.1"), (8, "0.2"), (8, "0.3"), (16, "0.4"))]
    exchange.add_fault(kind="status", status=200, match="/fapi/v1/fundingRate*", body=f"[{','.join(sent)}]")
    one = make_dataset("BTCUSDT", market="um", interval="1h", funding=True)

    [day] = fund([one], "2025-03-02")

    assert rates(lake, "2025-03-02") == [0.1, 0.3, 0.4]
    rejected = table(lake, "ledger/funding_rejected", "2025-03-02")
    assert rejected.select("source", "reason", "funding_rate").rows() == [("rest", "duplicate", 0.2)]
    assert day.merged is not None
    assert day.merged.rejected == 1
    assert Path(day.merged.path).is_file()
