"""Old top-ups are forgotten, and nothing that anybody could ask is: on a real SQLite instance."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from klines_pipeline.defs.automation.run_requests import days_of_run
from klines_pipeline.defs.build import build_definitions
from klines_pipeline.defs.operations.housekeeping import Latest, forget_runs, housekeeping, superseded
from klines_pipeline.domain.wanted import Kind
from klines_pipeline.settings import Settings
from klines_pipeline.simulator.server import EmbeddedExchange

NAME = "binance/spot/klines_1h"
REST, KLINES = (dg.AssetKey(["binance", "spot", name]) for name in ("rest_klines_1h", "klines_1h"))
CHAIN = [dg.AssetKey(["binance", "spot", "vision_klines_1h"]), REST, KLINES]
MUCH_LATER = timedelta(days=10)
NOON = datetime(2025, 3, 4, 12, tzinfo=UTC)
YESTERDAY, TODAY = "2025-03-03", "2025-03-04"
CONFIG = "datasets: [{interval: 1h, start: 2025-03-01, symbols: [BTCUSDT]}]"

Run = Callable[..., str]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Dagster's own files."""
    return tmp_path / "dagster"


@pytest.fixture
def instance(home: Path) -> Iterator[dg.DagsterInstance]:
    home.mkdir()
    with dg.DagsterInstance.local_temp(str(home)) as made:
        yield made


@pytest.fixture
def run(exchange: EmbeddedExchange, tmp_path: Path, instance: dg.DagsterInstance) -> Run:
    config = tmp_path / "klines.yaml"
    config.write_text(CONFIG, "utf-8")
    definitions = build_definitions(Settings.from_env({**exchange.environment(), "KLINES_CONFIG": str(config)}))
    job = definitions.resolve_implicit_global_asset_job_def()

    def run(kind: Kind | None, keys: list[dg.AssetKey], first: str, last: str) -> str:
        days = {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}
        asked = {"klines/dataset": NAME, "klines/kind": kind.value} if kind else {}
        done = job.execute_in_process(
            instance=instance, asset_selection=keys, tags={**days, **asked}, raise_on_error=False
        )
        return done.run_id

    return run


def latest(instance: dg.DagsterInstance, day: str) -> str:
    """The run that last materialized the table's day."""
    of_day = dg.AssetRecordsFilter(asset_key=KLINES, asset_partitions=[day])
    [record] = instance.fetch_materializations(of_day, limit=1).records
    return record.run_id


def test_a_day_keeps_its_newest_run_its_status_and_its_checks(
    run: Run, instance: dg.DagsterInstance, home: Path
) -> None:
    old = run(Kind.FRESHNESS, CHAIN, YESTERDAY, TODAY)
    archive = run(Kind.PUBLISHED, CHAIN, YESTERDAY, YESTERDAY)
    newest = run(Kind.FRESHNESS, CHAIN, TODAY, TODAY)
    assert [*home.rglob(f"{old}*")]

    assert forget_runs(instance, datetime.now(UTC) + timedelta(minutes=1)) == 1

    assert {found.run_id for found in instance.get_runs()} == {archive, newest}
    assert (latest(instance, YESTERDAY), latest(instance, TODAY)) == (archive, newest)
    assert event_run(instance) == newest
    days = dg.DailyPartitionsDefinition("2025-03-01", end_offset=1)
    status = instance.get_status_by_partition(KLINES, [YESTERDAY, TODAY], days)
    assert status is not None
    assert {str(found) for found in status.values()} == {"AssetPartitionStatus.MATERIALIZED"}
    assert [*home.rglob(f"{old}*")] == []
    check = dg.AssetCheckKey(KLINES, "key_is_unique_and_sorted")
    assert evaluated_by(instance, check) == [newest]


def event_run(instance: dg.DagsterInstance) -> str:
    event = instance.get_latest_materialization_event(KLINES)
    assert event is not None
    return event.run_id


def evaluated_by(instance: dg.DagsterInstance, check: dg.AssetCheckKey) -> list[str]:
    """The run of the newest evaluation."""
    return [found.run_id for found in instance.event_log_storage.get_asset_check_execution_history(check, limit=1)]


def record(
    number: int,
    kind: Kind | None,
    first: str = TODAY,
    last: str = TODAY,
    keys: Sequence[dg.AssetKey] = tuple(CHAIN),
) -> dg.RunRecord:
    """A successful run that ended `number` hours after NOON."""
    tags = {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}
    asked = {"klines/kind": kind.value} if kind else {}
    ended = NOON + timedelta(hours=number)
    run = dg.DagsterRun("__ASSET_JOB", f"run {number}", tags={**tags, **asked}, asset_selection=frozenset(keys))
    return dg.RunRecord(
        storage_id=number, dagster_run=run, create_timestamp=ended, update_timestamp=ended, end_time=ended.timestamp()
    )


def left(records: Sequence[dg.RunRecord], before: datetime, *, failed: Sequence[dg.RunRecord] = ()) -> list[str]:
    """What is superseded where each record materialized what it selected, and those that failed nothing."""
    newest = dict[tuple[dg.AssetKey, date], Latest]()
    for found in records:
        for key in found.dagster_run.asset_selection or ():
            for day in days_of_run(found.dagster_run):
                newest[key, day] = Latest(found.dagster_run.run_id, (found.end_time or 0.0) - 1)
    return superseded([*records, *failed], before, lambda key, day: newest.get((key, day)))


def test_of_many_top_ups_of_a_day_the_last_stays() -> None:
    records = [record(number, Kind.FRESHNESS) for number in range(5)]

    assert left(records, NOON + MUCH_LATER) == ["run 0", "run 1", "run 2", "run 3"]


def test_the_last_that_tells_of_an_asset_or_a_day_stays() -> None:
    whole, without_archives = record(0, Kind.FRESHNESS), record(1, Kind.FRESHNESS, keys=CHAIN[1:])
    two_days, one_day = record(0, Kind.FRESHNESS, YESTERDAY, TODAY), record(1, Kind.PUBLISHED)

    assert left([whole, without_archives], NOON + MUCH_LATER) == []
    assert left([two_days, one_day], NOON + MUCH_LATER) == []


def test_young_runs_runs_of_other_kinds_and_runs_of_people_stay() -> None:
    old = [record(number, kind) for number, kind in enumerate([None, *(kind for kind in Kind if kind != "freshness")])]
    young = [record(20 + number, Kind.FRESHNESS) for number in range(3)]

    assert left([*old, *young], NOON + timedelta(hours=20)) == []


def test_a_failure_is_forgotten_once_a_later_run_has_mended_it() -> None:
    mended, standing = record(0, Kind.FRESHNESS), record(2, Kind.FRESHNESS)

    assert left([record(1, Kind.FRESHNESS)], NOON + MUCH_LATER, failed=[mended, standing]) == ["run 0"]


def test_failed_top_ups_are_found_page_after_page(
    run: Run, instance: dg.DagsterInstance, exchange: EmbeddedExchange
) -> None:
    exchange.add_fault(kind="status", status=400, match="/api/v3/klines*")
    failed = [run(Kind.FRESHNESS, CHAIN, TODAY, TODAY) for _ in range(3)]
    exchange.clear_faults()
    newest = run(Kind.FRESHNESS, CHAIN, TODAY, TODAY)

    assert forget_runs(instance, datetime.now(UTC) + timedelta(minutes=1), page=2) == len(failed)

    assert {found.run_id for found in instance.get_runs()} == {newest}


def test_the_job_says_how_many_it_forgot() -> None:
    with dg.DagsterInstance.ephemeral() as empty:
        done = housekeeping.execute_in_process(instance=empty)

    [output] = [event for event in done.all_events if event.is_successful_output]
    assert output.step_output_data.metadata["runs_forgotten"].value == 0
