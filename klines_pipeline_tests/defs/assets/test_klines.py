"""Assets on a real Dagster instance: what a range run records, good days and bad."""

from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from klines_pipeline.defs.automation.run_requests import KIND
from klines_pipeline.domain.wanted import Kind
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline_tests.defs.conftest import built

VISION, REST, KLINES = (
    dg.AssetKey(["binance", "spot", f"{name}_1m"]) for name in ("vision_klines", "rest_klines", "klines")
)
RESAMPLED = dg.AssetKey(["binance", "spot", "resampled_klines_1h"])
CONFIG = """
datasets:
  - interval: 1m
    start: 2024-01-01
    symbols: [BTCUSDT, ETHUSDT]
    resample: [1h]
"""


@pytest.fixture
def definitions(exchange: EmbeddedExchange, tmp_path: Path) -> dg.Definitions:
    return built(exchange, tmp_path, CONFIG)


def run(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    first: str,
    last: str,
    *keys: dg.AssetKey,
    kind: Kind | None = None,
) -> dg.ExecuteInProcessResult:
    """One run over a range of days, checks included, as the CLI's --partition-range makes it; or as a sensor's."""
    job = definitions.resolve_implicit_global_asset_job_def()
    days = {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}
    tags = {**({} if first == last else days), **({KIND: kind.value} if kind else {})}
    return job.execute_in_process(
        instance=instance,
        asset_selection=list(keys or (VISION, REST, KLINES)),
        partition_key=first if first == last else None,
        tags=tags,
        raise_on_error=False,
    )


def metadata_of(instance: dg.DagsterInstance, key: dg.AssetKey) -> dict[str, dict[str, Any]]:
    """Metadata values of each partition's latest materialization."""
    records = instance.fetch_materializations(key, limit=100, ascending=True).records
    return {
        str(record.partition_key): {name: value.value for name, value in record.asset_materialization.metadata.items()}
        for record in records
        if record.asset_materialization
    }


def failed_partitions(instance: dg.DagsterInstance, key: dg.AssetKey, days: list[str]) -> set[str]:
    return set(days) - instance.get_materialized_partitions(key)


def test_a_range_is_one_run_with_its_own_metadata_for_each_day(
    definitions: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    result = run(definitions, instance, "2025-03-01", "2025-03-04")

    assert result.success
    assert len(instance.get_runs()) == 1
    days = metadata_of(instance, KLINES)
    assert {day: values["rows"] for day, values in days.items()} == {
        "2025-03-01": 2880,
        "2025-03-02": 2784,
        "2025-03-03": 2880,
        "2025-03-04": 1080,
    }
    assert days["2025-03-02"]["symbols_missing"] == 2
    assert days["2025-03-02"]["klines_missing"] == 96
    assert days["2025-03-02"]["klines_missing_unexplained"] == 0
    assert days["2025-03-02"]["completeness_pct"] == pytest.approx(96.6667)
    assert (
        "| BTCUSDT | 1440 | 1392 | 48 | exchange_halt | 10:17:00 to 11:05:00 |" in days["2025-03-02"]["worst_symbols"]
    )
    assert Path(days["2025-03-01"]["path"]).is_file()
    assert Path(days["2025-03-01"]["certificates"]).is_file()
    assert Path(metadata_of(instance, VISION)["2025-03-01"]["ledger"]).is_file()
    assert [days[day]["rest_share_pct"] for day in ("2025-03-01", "2025-03-04")] == [0.0, 100.0]
    assert 0 < days["2025-03-01"]["archive_lag_hours"] < 24
    assert "archive_lag_hours" not in days["2025-03-04"]
    assert all(values["seconds"] > 0 for values in days.values())
    assert metadata_of(instance, VISION)["2025-03-04"]["symbols_not_published"] == 2
    assert metadata_of(instance, REST)["2025-03-01"]["requests"] == 0


def test_good_days_are_green_and_the_bad_day_is_red_in_the_same_run(
    definitions: dg.Definitions, instance: dg.DagsterInstance, exchange: EmbeddedExchange
) -> None:
    exchange.add_fault(kind="status", status=503, match="*ETHUSDT-1m-2024-03-02.zip")

    result = run(definitions, instance, "2024-03-01", "2024-03-03")

    assert not result.success
    days = ["2024-03-01", "2024-03-02", "2024-03-03"]
    assert failed_partitions(instance, VISION, days) == {"2024-03-02"}
    assert failed_partitions(instance, REST, days) == set()
    assert failed_partitions(instance, KLINES, days) == {"2024-03-02"}
    assert metadata_of(instance, KLINES)["2024-03-03"]["rows"] == 2880
    [failure] = [event for event in result.all_events if event.is_step_failure and "checks" not in str(event.step_key)]
    message = str(failure.step_failure_data.user_failure_data.description)
    assert "2024-03-02: 1 symbol(s) failed: ETHUSDT" in message
    assert "HTTP 503" in message


def test_a_failed_symbol_day_is_retried_alone(
    definitions: dg.Definitions, instance: dg.DagsterInstance, exchange: EmbeddedExchange
) -> None:
    exchange.add_fault(kind="status", status=503, match="*ETHUSDT-1m-2024-03-02.zip")
    run(definitions, instance, "2024-03-01", "2024-03-03")
    exchange.clear_faults()
    exchange.reset_requests()

    result = run(definitions, instance, "2024-03-02", "2024-03-02")

    assert result.success
    counts = exchange.requests()
    assert (counts["archives"], counts["checksums"], counts["rest_total"]) == (1, 1, 0)
    assert metadata_of(instance, KLINES)["2024-03-02"]["rows"] == 2880


def test_a_range_without_failures_records_each_day_once(
    definitions: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    run(definitions, instance, "2024-03-01", "2024-03-03")

    assert len(instance.fetch_materializations(KLINES, limit=100).records) == 3


def test_one_step_may_run_without_the_others(
    definitions: dg.Definitions, instance: dg.DagsterInstance, exchange: EmbeddedExchange
) -> None:
    first = run(definitions, instance, "2025-03-02", "2025-03-02", VISION)
    exchange.reset_requests()
    second = run(definitions, instance, "2025-03-02", "2025-03-02", REST)
    listings_for_rest = exchange.requests()["listing"]
    exchange.reset_requests()
    third = run(definitions, instance, "2025-03-02", "2025-03-02", KLINES)

    assert first.success
    assert second.success
    assert third.success
    assert listings_for_rest == 0
    assert exchange.requests()["total"] == 0
    assert metadata_of(instance, KLINES)["2025-03-02"]["rows"] == 2784


def test_the_table_alone_cannot_be_made_from_nothing(definitions: dg.Definitions, instance: dg.DagsterInstance) -> None:
    result = run(definitions, instance, "2025-03-02", "2025-03-02", KLINES)

    [failure] = [event for event in result.all_events if event.is_step_failure and "checks" not in str(event.step_key)]
    assert "Materialize vision_klines_1m first" in str(failure.step_failure_data.user_failure_data.description)


def test_a_day_that_has_not_begun_on_the_exchange_fails_with_its_time(
    definitions: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    result = run(definitions, instance, "2025-03-04", "2025-03-05")

    assert not result.success
    assert instance.get_materialized_partitions(KLINES) == {"2025-03-04"}
    [failure] = [event for event in result.all_events if event.is_step_failure and "checks" not in str(event.step_key)]
    message = str(failure.step_failure_data.user_failure_data.description)
    assert "2025-03-05 has not begun yet: on binance it is 2025-03-04 09:00 UTC" in message


def test_resampled_days_follow_the_table(definitions: dg.Definitions, instance: dg.DagsterInstance) -> None:
    result = run(definitions, instance, "2025-03-02", "2025-03-04", VISION, REST, KLINES, RESAMPLED)

    assert result.success
    rows = {day: values["rows"] for day, values in metadata_of(instance, RESAMPLED).items()}
    assert rows == {"2025-03-02": 48, "2025-03-03": 48, "2025-03-04": 18}


def test_a_resampled_day_without_its_table_fails_and_says_what_to_do(
    definitions: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    result = run(definitions, instance, "2025-03-02", "2025-03-02", RESAMPLED)

    [failure] = [event for event in result.all_events if event.is_step_failure]
    assert "Materialize binance/spot/klines_1m for that day first" in str(
        failure.step_failure_data.user_failure_data.description
    )


def test_a_range_that_runs_backwards_is_refused_in_a_sentence(
    definitions: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    result = run(definitions, instance, "2024-03-05", "2024-03-01")

    [failure] = [event for event in result.all_events if event.is_step_failure and "checks" not in str(event.step_key)]
    assert "The range holds no day" in str(failure.step_failure_data.user_failure_data.description)
