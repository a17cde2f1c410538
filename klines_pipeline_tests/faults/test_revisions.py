"""Archives rewritten in place: one more revision, the old bytes kept, the difference recorded, the day merged again."""

from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import polars as pl
import pytest

from klines_pipeline.domain.automation import Automation
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.stages.checking.examine import examine_days
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.conftest import archive_entry, certificate, make_dataset, read_day
from klines_pipeline_tests.faults.archives import body_of, key_of
from klines_pipeline_tests.faults.conftest import Runner, asked, assert_good
from klines_pipeline_tests.faults.lakes import table_files

DAY = "2024-03-01"
ETH = key_of("ETHUSDT", DAY)
LATER = datetime(2025, 3, 5, 9, tzinfo=UTC)


def market_values(lake: Lake) -> pl.DataFrame:
    """The day's rows without their provenance."""
    return read_day(lake, "klines", DAY).drop("source", "revision", "ingested_at")


def test_a_rewritten_archive_is_a_new_revision(
    exchange: EmbeddedExchange, run: Runner, lake: Lake, tmp_path: Path
) -> None:
    dataset = make_dataset("BTCUSDT", "ETHUSDT")
    run(dataset, DAY)
    old = body_of(exchange, ETH)
    exchange.set_clock(LATER)
    revised = exchange.revise(ETH)
    exchange.reset_requests()

    assert_good(run(dataset, DAY))

    entry, rows = archive_entry(lake, "ETHUSDT", DAY), read_day(lake, "klines", DAY)
    assert (entry["state"], entry["revision"], entry["sha256_actual"]) == ("ok", 2, revised.sha256)
    assert rows.group_by("symbol").agg(pl.col("revision").unique()).sort("symbol").rows() == [
        ("BTCUSDT", [1]),
        ("ETHUSDT", [2]),
    ]
    assert rows.filter(symbol="ETHUSDT")["ingested_at"].unique().to_list() == [LATER]
    assert Path(lake.base, "vision", ETH).read_bytes() == body_of(exchange, ETH)
    assert Path(lake.base, f"vision/revisions/{ETH}@{sha256(old).hexdigest()[:12]}").read_bytes() == old
    assert certificate(lake, "ETHUSDT", DAY)["reason"] == "exchange_halt"

    fresh = Lake(str(tmp_path / "fresh"))
    run(dataset, DAY, into=fresh)
    assert market_values(lake).equals(market_values(fresh))


def test_the_ledger_says_what_a_revision_changed(exchange: EmbeddedExchange, run: Runner, lake: Lake) -> None:
    dataset = make_dataset("BTCUSDT", "ETHUSDT")
    run(dataset, DAY)
    exchange.set_clock(LATER)
    revised = exchange.revise(ETH)

    run(dataset, DAY)

    columns = ["revision", "sha256", "seen_at", "rows_added", "rows_removed", "rows_changed"]
    first, second = read_day(lake, "ledger/revisions", DAY).filter(symbol="ETHUSDT").select(columns).rows(named=True)
    assert (first["revision"], first["rows_added"], first["rows_removed"], first["rows_changed"]) == (1, 1440, 0, 0)
    assert second == {
        "revision": 2,
        "sha256": revised.sha256,
        "seen_at": LATER,
        "rows_added": 0,
        "rows_removed": len(revised.removed),
        "rows_changed": len(revised.changed),
    }


def test_only_the_rewritten_archive_is_fetched_and_only_once(exchange: EmbeddedExchange, run: Runner) -> None:
    dataset = make_dataset("BTCUSDT", "ETHUSDT")
    run(dataset, DAY, "2024-03-02")
    exchange.set_clock(LATER)
    exchange.revise(ETH)
    exchange.reset_requests()

    assert_good(run(dataset, DAY, "2024-03-02"))

    objects = {path for path in exchange.requests()["by_path"] if path.startswith("/data/")}
    assert objects == {f"/{ETH}", f"/{ETH}.CHECKSUM"}

    exchange.reset_requests()
    assert_good(run(dataset, DAY, "2024-03-02"))

    assert asked(exchange) == {"archives": 0, "checksums": 0, "rest": 0}


def test_a_verified_archive_is_not_given_up_for_one_without_its_checksum(
    exchange: EmbeddedExchange, run: Runner, lake: Lake
) -> None:
    dataset = make_dataset("BTCUSDT", "ETHUSDT")
    run(dataset, DAY)
    before = table_files(lake)
    exchange.set_clock(LATER)
    exchange.revise(ETH, with_checksum=False)

    [result] = run(dataset, DAY)

    entry = archive_entry(lake, "ETHUSDT", DAY)
    assert_good([result])
    assert table_files(lake) == before
    assert (entry["state"], entry["revision"]) == ("ok", 1)
    assert "checksum_mismatch" in entry["error"]
    findings = {
        found.rule: [*map(str, found.worst)]
        for found in examine_days(lake, dataset, [result.day], Automation().cadence)
    }
    assert findings["archive_matches_checksum"] == [f"{DAY} ETHUSDT: 1"]


def test_when_the_checksum_follows_the_revision_is_taken(exchange: EmbeddedExchange, run: Runner, lake: Lake) -> None:
    dataset = make_dataset("BTCUSDT", "ETHUSDT")
    run(dataset, DAY)
    exchange.set_clock(LATER)
    revised = exchange.revise(ETH, with_checksum=False)
    run(dataset, DAY)
    exchange.put_object(ETH, body_of(exchange, ETH))

    assert_good(run(dataset, DAY))

    entry = archive_entry(lake, "ETHUSDT", DAY)
    assert (entry["state"], entry["revision"], entry["sha256_actual"]) == ("ok", 2, revised.sha256)
    assert entry["error"] is None
    assert read_day(lake, "klines", DAY).filter(symbol="ETHUSDT")["revision"].unique().to_list() == [2]


@pytest.mark.parametrize("harm", [{"kind": "corrupt"}, {"kind": "status", "status": 503}], ids=["corrupt", "outage"])
def test_a_revision_that_cannot_be_had_leaves_the_old_one_in_use(
    exchange: EmbeddedExchange, run: Runner, lake: Lake, harm: dict[str, object]
) -> None:
    dataset = make_dataset("BTCUSDT", "ETHUSDT")
    run(dataset, DAY)
    before = table_files(lake)
    exchange.set_clock(LATER)
    exchange.revise(ETH)
    exchange.add_fault(**harm, match=f"/{ETH}")

    run(dataset, DAY)

    assert table_files(lake) == before
    assert (archive_entry(lake, "ETHUSDT", DAY)["state"], archive_entry(lake, "ETHUSDT", DAY)["revision"]) == ("ok", 1)

    exchange.clear_faults()
    assert_good(run(dataset, DAY))

    assert archive_entry(lake, "ETHUSDT", DAY)["revision"] == 2


def test_every_version_of_an_archive_rewritten_thrice_is_kept(
    exchange: EmbeddedExchange, run: Runner, lake: Lake
) -> None:
    dataset, versions = make_dataset("ETHUSDT"), [body_of(exchange, ETH)]
    run(dataset, DAY)
    for hour in (10, 11, 12):
        exchange.set_clock(LATER.replace(hour=hour))
        exchange.revise(ETH)
        versions.append(body_of(exchange, ETH))
        assert_good(run(dataset, DAY))

    kept = Path(lake.base, "vision/revisions", ETH).parent.iterdir()

    assert {path.read_bytes() for path in kept} == set(versions[:-1])
    assert Path(lake.base, "vision", ETH).read_bytes() == versions[-1]
    assert read_day(lake, "ledger/revisions", DAY)["revision"].to_list() == [1, 2, 3, 4]


def test_a_gap_filled_by_a_revision_no_longer_comes_from_rest(
    exchange: EmbeddedExchange, run: Runner, lake: Lake
) -> None:
    dataset, day = make_dataset("SOLUSDT"), "2025-03-01"
    run(dataset, day)
    exchange.set_clock(LATER)
    revised = exchange.revise(key_of("SOLUSDT", day))

    assert_good(run(dataset, day))

    whole = certificate(lake, "SOLUSDT", day)
    assert whole["from_vision"] == revised.rows == 1439
    assert read_day(lake, "ledger/revisions", day)["rows_added"].to_list()[-1] >= 309
    assert read_day(lake, "klines", day).filter(source="vision")["revision"].unique().to_list() == [2]
