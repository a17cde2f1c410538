"""Asset checks: every rule shows up by itself, sees the range of the run, and names the bad days."""

from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from klines_pipeline.klines.agreement import RESAMPLED_EQUALS, REST_AGREES
from klines_pipeline.klines.quality import RULES
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.storage.tables import klines_to_parquet
from klines_pipeline_tests.defs.assets.test_klines import (
    KLINES,
    RESAMPLED,
    REST,
    VISION,
    definitions,
    failed_partitions,
    run,
)
from klines_pipeline_tests.faults.archives import key_of, rewrite, with_cell

__all__ = ["definitions"]


def outcomes(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    return {check.check_name: check for check in result.get_asset_check_evaluations()}


def rows(check: dg.AssetCheckEvaluation) -> list[dict[str, Any]]:
    """What the check shows at once."""
    worst = check.metadata["worst"]
    assert isinstance(worst, dg.TableMetadataValue)
    return [dict(record.data) for record in worst.records]


def test_every_rule_is_a_check_of_the_table(definitions: dg.Definitions, instance: dg.DagsterInstance) -> None:
    result = run(definitions, instance, "2024-03-01", "2024-03-02")

    checks = outcomes(result)
    assert set(checks) == set(RULES)
    assert all(check.passed for check in checks.values())
    assert {checks[name].metadata["days_examined"].value for name in RULES} == {2}


def test_only_wrong_data_blocks_what_is_made_from_it(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()

    blocking = {key.name for key in graph.asset_check_keys if graph.get_check_spec(key).blocking}

    assert blocking == {name for name, rule in RULES.items() if rule.truth.severity.value == "ERROR"}
    assert {key.name for key in graph.asset_check_keys} == {*RULES, REST_AGREES.name, RESAMPLED_EQUALS.name}


def test_a_day_on_which_the_exchange_halted_passes_because_it_is_explained(
    definitions: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    result = run(definitions, instance, "2025-03-02", "2025-03-02")

    assert outcomes(result)["klines_are_complete_or_explained"].passed


def test_an_archive_that_differs_from_its_checksum_is_a_warning_with_the_day_and_symbol(
    definitions: dg.Definitions, instance: dg.DagsterInstance, exchange: EmbeddedExchange
) -> None:
    exchange.add_fault(kind="checksum", match="*ETHUSDT-1m-2024-03-02.zip*")

    result = run(definitions, instance, "2024-03-01", "2024-03-03")

    check = outcomes(result)["archive_matches_checksum"]
    assert result.success
    assert not check.passed
    assert check.severity == dg.AssetCheckSeverity.WARN
    assert check.metadata["bad_days"].value == ["2024-03-02"]
    assert check.description == "1 of 3 days bad, 1 archive refused: 2024-03-02 ETHUSDT."
    assert rows(check) == [{"day": "2024-03-02", "symbol": "ETHUSDT", "found": "1 archive refused"}]
    assert str(check.metadata["remedy"].value).startswith("see state in the archives ledger;")


def test_a_gap_nobody_explains_is_shown_with_the_command_that_says_more(
    definitions: dg.Definitions, instance: dg.DagsterInstance, exchange: EmbeddedExchange
) -> None:
    exchange.add_fault(kind="blocked", group="rest")
    exchange.add_fault(kind="checksum", match="*ETHUSDT-1m-2024-03-02.zip*")

    checks = outcomes(run(definitions, instance, "2024-03-01", "2024-03-03"))

    lacking = "1,440 klines missing without explanation"
    check = checks["klines_are_complete_or_explained"]
    assert check.description == f"1 of 3 days bad, {lacking}: 2024-03-02 ETHUSDT (1,440)."
    command = "klines certificate ETHUSDT --dataset binance/spot/klines_1m --day 2024-03-02"
    assert rows(check) == [{"day": "2024-03-02", "symbol": "ETHUSDT", "found": lacking, "remedy": command}]
    fine = checks["key_is_unique_and_sorted"]
    looked = "3 days (2024-03-01 to 2024-03-03) and 2 symbols looked at"
    assert fine.description == f"{looked}: no row out of order or twice there."
    assert set(fine.metadata) == {"breaches", "days_examined"}


def spoil(path: Path, change: pl.Expr) -> None:
    """Rewrite a published file with one column changed, as a broken disk or a careless hand would."""
    frame = pl.read_parquet(path, hive_partitioning=False).with_columns(change)
    path.write_bytes(klines_to_parquet(frame, {}))


def test_a_day_with_a_wrong_row_is_red_and_nothing_is_made_from_it(
    definitions: dg.Definitions, instance: dg.DagsterInstance, exchange: EmbeddedExchange
) -> None:
    """The row opens above its high, which no sieve minds."""
    key = key_of("ETHUSDT", "2024-03-02")
    rewrite(exchange, key, lambda lines: [*lines[:700], with_cell(lines[700], 1, "999999"), *lines[701:]])

    result = run(definitions, instance, "2024-03-01", "2024-03-03", VISION, REST, KLINES, RESAMPLED)

    days = ["2024-03-01", "2024-03-02", "2024-03-03"]
    assert not result.success
    assert failed_partitions(instance, VISION, days) == failed_partitions(instance, REST, days) == set()
    assert failed_partitions(instance, KLINES, days) == {"2024-03-02"}
    assert failed_partitions(instance, RESAMPLED, days) == {*days}
    [failure] = [event for event in result.all_events if event.is_step_failure and "checks" not in str(event.step_key)]
    text = "2024-03-02: high_and_low_bound_open_and_close does not hold for ETHUSDT (1 rows). Remedy: compare"
    assert text in str(failure.step_failure_data.user_failure_data.description)


def selected(definitions: dg.Definitions, selection: dg.AssetSelection) -> dg.JobDefinition:
    """A job of the assets and checks selected, no others."""
    job = dg.define_asset_job("selected", selection=selection)
    return dg.Definitions.merge(definitions, dg.Definitions(jobs=[job])).resolve_job_def("selected")


@pytest.mark.parametrize("starts", [False, True], ids=["an ERROR", "a WARN"])
def test_what_is_resampled_does_not_start_from_wrong_data(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    exchange: EmbeddedExchange,
    tmp_path: Path,
    *,
    starts: bool,
) -> None:
    """Volumes that the archive itself has wrong are certified as they are; prices that were changed since are not."""
    if starts:
        rewrite(exchange, key_of("ETHUSDT", "2024-03-02"), lambda lines: [with_cell(line, 5, "7") for line in lines])
    run(definitions, instance, "2024-03-02", "2024-03-02")
    if not starts:
        change = (pl.col("low") - 1).alias("high")
        spoil(tmp_path / "lake/klines/exchange=binance/market=spot/interval=1m/date=2024-03-02/part.parquet", change)
    job = selected(definitions, dg.AssetSelection.assets(RESAMPLED) | dg.AssetSelection.checks_for_assets(KLINES))

    result = job.execute_in_process(instance=instance, partition_key="2024-03-02", raise_on_error=False)

    failed = {name for name, check in outcomes(result).items() if not check.passed}
    wrong = {"high_and_low_bound_open_and_close", "table_is_what_was_certified"}
    assert failed >= ({"average_price_lies_between_low_and_high"} if starts else wrong)
    assert result.success is starts
    assert failed_partitions(instance, RESAMPLED, ["2024-03-02"]) == (set() if starts else {"2024-03-02"})


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        ("key_is_unique_and_sorted", pl.col("open_time").reverse()),
        ("rows_lie_in_their_day", pl.col("open_time") + pl.duration(days=1)),
        ("prices_are_finite_and_positive", pl.lit(float("nan")).alias("open")),
        ("high_and_low_bound_open_and_close", (pl.col("low") - 1).alias("high")),
    ],
)
def test_checks_read_what_lies_in_the_lake(
    definitions: dg.Definitions, instance: dg.DagsterInstance, tmp_path: Path, rule: str, change: pl.Expr
) -> None:
    run(definitions, instance, "2024-03-01", "2024-03-02")
    spoil(tmp_path / "lake/klines/exchange=binance/market=spot/interval=1m/date=2024-03-02/part.parquet", change)

    result = selected(definitions, dg.AssetSelection.checks_for_assets(KLINES)).execute_in_process(
        instance=instance, raise_on_error=False
    )

    check = outcomes(result)[rule]
    assert not check.passed
    assert check.severity == dg.AssetCheckSeverity.ERROR
    assert check.metadata["bad_days"].value == ["2024-03-02"]


def test_run_alone_it_misses_the_days_that_dagster_says_were_made(
    definitions: dg.Definitions, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    run(definitions, instance, "2024-03-01", "2024-03-02")
    for table in ("klines", "ledger/certificates"):
        (tmp_path / f"lake/{table}/exchange=binance/market=spot/interval=1m/date=2024-03-02/part.parquet").unlink()

    result = selected(definitions, dg.AssetSelection.checks_for_assets(KLINES)).execute_in_process(
        instance=instance, raise_on_error=False
    )

    check = outcomes(result)["table_is_what_was_certified"]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert check.metadata["bad_days"].value == ["2024-03-02"]
    assert "are missing. Materialize the day again" in str(check.description)
