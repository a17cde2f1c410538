"""Archives whose .CHECKSUM is absent or says something else: quarantined, or used if REST vouches for them."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from klines_pipeline.domain.automation import Automation
from klines_pipeline.domain.states import ArchiveState, ChecksumPolicy
from klines_pipeline.klines.ledgers import QUARANTINE_SCHEMA, ArchiveEntry
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.stages import quarantine
from klines_pipeline.stages.checking.examine import examine_days
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.layout import DayPaths
from klines_pipeline.storage.tables import read_table
from klines_pipeline_tests.conftest import archive_entry, certificate, make_dataset, read_day
from klines_pipeline_tests.faults.archives import body_of, key_of, lines_of, member_of, pack, with_cell
from klines_pipeline_tests.faults.conftest import Recovery, Runner, asked, asked_klines, assert_good

DAY = "2024-03-01"
ETH = key_of("ETHUSDT", DAY)
POLICIES = {"absent": "checksum_absent", "different": "checksum_mismatch"}


def spoil(exchange: EmbeddedExchange, how: str) -> None:
    """Take the checksum beside ETHUSDT's archive away, or leave one of other bytes."""
    body = body_of(exchange, ETH)
    exchange.put_object(ETH, body, checksum="none")
    if how == "different":
        exchange.put_object(f"{ETH}.CHECKSUM", f"{'ab' * 32}  {ETH.rpartition('/')[2]}".encode())


def mend(exchange: EmbeddedExchange) -> None:
    """An hour later the exchange publishes the checksum that belongs to the bytes."""
    exchange.set_clock(datetime(2025, 3, 4, 10, tzinfo=UTC))
    exchange.put_object(ETH, body_of(exchange, ETH))


@pytest.mark.parametrize(("how", "state"), POLICIES.items(), ids=POLICIES)
def test_by_default_the_archive_is_quarantined_and_rest_fills_the_day(
    exchange: EmbeddedExchange, run: Runner, lake: Lake, how: str, state: str
) -> None:
    dataset = make_dataset("BTCUSDT", "ETHUSDT")
    spoil(exchange, how)

    assert_good(run(dataset, DAY))

    entry, filled = archive_entry(lake, "ETHUSDT", DAY), certificate(lake, "ETHUSDT", DAY)
    assert (entry["state"], entry["rows"]) == (state, 1440)
    assert entry["sha256_published"] == (None if how == "absent" else "ab" * 32)
    assert (filled["from_vision"], filled["from_rest"], filled["missing"]) == (0, 1440, 0)
    assert certificate(lake, "BTCUSDT", DAY)["from_vision"] == 1440
    assert not Path(lake.base, "vision", ETH).exists()
    assert Path(lake.base, "vision/quarantine", f"{ETH}@{entry['sha256_actual'][:12]}").is_file()


@pytest.mark.parametrize("how", POLICIES)
def test_the_archive_is_fetched_twice_and_then_left_alone(exchange: EmbeddedExchange, run: Runner, how: str) -> None:
    dataset = make_dataset("BTCUSDT", "ETHUSDT")
    spoil(exchange, how)
    exchange.reset_requests()

    run(dataset, DAY)

    assert exchange.requests()["by_path"][f"/{ETH}"] == 2

    exchange.reset_requests()
    assert_good(run(dataset, DAY))

    assert asked(exchange) == {"archives": 0, "checksums": 0, "rest": 0}


@pytest.mark.parametrize("policy", ChecksumPolicy)
@pytest.mark.parametrize("how", POLICIES)
def test_a_check_warns_whatever_the_policy(
    exchange: EmbeddedExchange, run: Runner, lake: Lake, how: str, policy: ChecksumPolicy
) -> None:
    dataset = make_dataset("BTCUSDT", "ETHUSDT", on_checksum_mismatch=policy)
    spoil(exchange, how)
    results = run(dataset, DAY)

    findings = {
        found.rule: [*map(str, found.worst)]
        for found in examine_days(lake, dataset, [results[0].day], Automation().cadence)
    }

    assert findings["archive_matches_checksum"] == [f"{DAY} ETHUSDT: 1"]


@pytest.mark.parametrize("how", POLICIES)
def test_cross_check_uses_the_archive_if_rest_agrees(
    exchange: EmbeddedExchange, run: Runner, lake: Lake, how: str
) -> None:
    dataset = make_dataset("BTCUSDT", "ETHUSDT", on_checksum_mismatch=ChecksumPolicy.CROSS_CHECK)
    spoil(exchange, how)
    exchange.reset_requests()

    assert_good(run(dataset, DAY))

    used = certificate(lake, "ETHUSDT", DAY)
    assert archive_entry(lake, "ETHUSDT", DAY)["state"] == POLICIES[how]
    assert (used["from_vision"], used["from_rest"], used["conflicts"]) == (1440, 0, 0)
    assert asked_klines(exchange) == 2


@pytest.mark.parametrize("how", POLICIES)
def test_cross_check_rejects_the_archive_if_rest_differs_in_one_number(
    exchange: EmbeddedExchange, run: Runner, lake: Lake, how: str
) -> None:
    dataset = make_dataset("BTCUSDT", "ETHUSDT", on_checksum_mismatch=ChecksumPolicy.CROSS_CHECK)
    lines = lines_of(exchange, ETH)
    lines[700] = with_cell(lines[700], 5, "0.12345678")
    text = "".join(f"{line}\n" for line in lines).encode()
    exchange.put_object(ETH, pack([(member_of(ETH), text)]))
    spoil(exchange, how)

    assert_good(run(dataset, DAY))

    rejected = certificate(lake, "ETHUSDT", DAY)
    assert (rejected["from_vision"], rejected["from_rest"], rejected["missing"]) == (0, 1440, 0)
    assert 0.12345678 not in read_day(lake, "klines", DAY)["volume"].to_list()


def test_cross_check_without_rest_uses_nothing(exchange: EmbeddedExchange, run: Runner, lake: Lake) -> None:
    dataset = make_dataset("BTCUSDT", "ETHUSDT", on_checksum_mismatch=ChecksumPolicy.CROSS_CHECK)
    spoil(exchange, "different")
    exchange.add_fault(kind="blocked", group="rest")

    assert_good(run(dataset, DAY))

    unproven = certificate(lake, "ETHUSDT", DAY)
    assert (unproven["from_vision"], unproven["missing"], unproven["reason"]) == (0, 1440, "blocked")
    assert certificate(lake, "BTCUSDT", DAY)["from_vision"] == 1440


@pytest.mark.parametrize("how", POLICIES)
@pytest.mark.parametrize("policy", ChecksumPolicy)
def test_the_right_checksum_ends_the_quarantine(
    exchange: EmbeddedExchange, run: Runner, lake: Lake, how: str, policy: ChecksumPolicy
) -> None:
    dataset = make_dataset("BTCUSDT", "ETHUSDT", on_checksum_mismatch=policy)
    spoil(exchange, how)
    run(dataset, DAY)

    mend(exchange)
    assert_good(run(dataset, DAY))

    entry, proven = archive_entry(lake, "ETHUSDT", DAY), certificate(lake, "ETHUSDT", DAY)
    assert (entry["state"], entry["revision"]) == ("ok", 1)
    assert (proven["from_vision"], proven["from_rest"], proven["conflicts"]) == (1440, 0, 0)
    assert Path(lake.base, "vision", ETH).read_bytes() == body_of(exchange, ETH)


def test_a_version_in_quarantine_is_released_whatever_was_seen_of_it_in_between(lake: Lake) -> None:
    """A download may have come damaged since: the ledger of archives then says corrupt, of the same version."""
    paths, seen = DayPaths.of(make_dataset("ETHUSDT"), date.fromisoformat(DAY)), datetime(2025, 3, 4, 9, tzinfo=UTC)
    entry = ArchiveEntry(symbol="ETHUSDT", key=ETH, state=ArchiveState.CHECKSUM_ABSENT, revision=1, first_seen_at=seen)
    later = seen + timedelta(days=1)

    quarantine.record(lake, paths, [entry])
    quarantine.record(lake, paths, [replace(entry, state=ArchiveState.CORRUPT)])
    quarantine.record(lake, paths, [replace(entry, state=ArchiveState.OK, fetched_at=later)])

    [row] = read_table(lake, paths.quarantine, QUARANTINE_SCHEMA).rows(named=True)
    assert (row["state"], row["seen_at"], row["verified_at"]) == ("checksum_absent", seen, later)


def test_a_checksum_wrong_once_is_forgotten(
    exchange: EmbeddedExchange, run: Runner, lake: Lake, assert_recovers: Recovery
) -> None:
    dataset = make_dataset("BTCUSDT", "ETHUSDT")
    exchange.add_fault(kind="checksum", match=f"/{ETH}", times=1)

    assert_good(run(dataset, DAY))

    assert archive_entry(lake, "ETHUSDT", DAY)["state"] == "ok"
    assert exchange.requests()["by_path"][f"/{ETH}"] == 2
    assert exchange.requests()["rest_total"] == 0
    assert_recovers(dataset, DAY)
