"""Failures of a real instance, told to a real receiver on loopback with what they mean. What is told of ticks and
datasets stands in `test_outages`, how often and what if nobody listens in `test_alert_delivery`."""

import errno
import os
from pathlib import Path

import dagster as dg

from klines_pipeline.defs.automation.run_requests import DATASET, REASON
from klines_pipeline.defs.build import build_definitions
from klines_pipeline.settings import Settings
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline_tests.defs.assets.test_klines import run
from klines_pipeline_tests.defs.operations.conftest import Watch, break_down, broken, said, the_sensor
from klines_pipeline_tests.exchanges.script import ScriptedServer
from klines_pipeline_tests.unpublished import of_location, report_error

DAY = "2024-03-02"


def fail(definitions: dg.Definitions, instance: dg.DagsterInstance, exchange: EmbeddedExchange, day: str = DAY) -> str:
    """A materialization that fails on one of three days; its run id."""
    exchange.add_fault(kind="status", status=404, match=f"*USDT-1m-{day}.zip*")
    exchange.add_fault(kind="status", status=418, group="rest", headers={"Retry-After": "1"})
    result = run(definitions, instance, "2024-03-01", "2024-03-03")
    assert not result.success
    exchange.clear_faults()
    return result.run_id


def test_without_an_address_there_is_no_sensor_and_with_one_it_is_on(
    definitions: dg.Definitions, exchange: EmbeddedExchange, tmp_path: Path
) -> None:
    assert the_sensor(definitions).default_status is dg.DefaultSensorStatus.RUNNING
    silent = build_definitions(Settings.from_env({"KLINES_CONFIG": str(tmp_path / "klines.yaml")}))
    assert "alerts" not in {sensor.name for sensor in silent.sensors or ()}


def test_a_day_that_failed_is_told_once_with_its_cause(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    exchange: EmbeddedExchange,
    watch: Watch,
    receiver: ScriptedServer,
) -> None:
    run_id = fail(definitions, instance, exchange)

    assert watch.tick() == "Told 1 failure(s)."
    assert watch.tick() == "0 run(s) ended, nothing failed."

    [message] = said(receiver)
    [alert] = message["alerts"]
    assert (alert["kind"], alert["run_id"], alert["days"]) == ("run_failed", run_id, [DAY])
    assert "binance/spot/klines_1m" in alert["asset"]
    assert "has banned this address until" in alert["message"]
    assert f"{DAY} failed: " in message["text"]


def test_the_sensor_itself_reads_the_instance_and_the_address(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    exchange: EmbeddedExchange,
    watch: Watch,
    receiver: ScriptedServer,
) -> None:
    fail(definitions, instance, exchange)
    context = dg.build_sensor_context(instance, cursor=watch.cursor)

    result = the_sensor(definitions)(context)

    assert isinstance(result, dg.SensorResult)
    assert (len(said(receiver)), result.cursor != watch.cursor) == (1, True)


def test_a_check_that_warns_is_told_with_its_days_and_what_it_means(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    exchange: EmbeddedExchange,
    watch: Watch,
    receiver: ScriptedServer,
) -> None:
    exchange.add_fault(kind="checksum", match=f"*ETHUSDT-1m-{DAY}.zip*")
    assert run(definitions, instance, "2024-03-01", "2024-03-03").success

    watch.tick()

    [alert] = [alert for message in said(receiver) for alert in message["alerts"]]
    assert alert["kind"] == "check_failed"
    assert (alert["check"], alert["severity"]) == ("archive_matches_checksum", "WARN")
    assert (alert["asset"], alert["days"]) == ("binance/spot/klines_1m", [DAY])
    assert alert["message"].splitlines()[0] == f"1 of 3 days bad, 1 archive refused: {DAY} ETHUSDT."
    assert alert["message"].splitlines()[1].startswith("Remedy: see state in the archives ledger;")


def test_any_run_is_told_with_what_was_asked_and_why(
    instance: dg.DagsterInstance, watch: Watch, receiver: ScriptedServer
) -> None:
    days = {"dagster/asset_partition_range_start": "2025-03-01", "dagster/asset_partition_range_end": "2025-03-03"}
    break_down(instance, **days, **{DATASET: "binance/um/klines_1m", REASON: "3 of 3 symbols published"})

    watch.tick()

    [alert] = said(receiver)[0]["alerts"]
    assert (alert["dataset"], alert["reason"]) == ("binance/um/klines_1m", "3 of 3 symbols published")
    assert alert["days"] == ["2025-03-01", "2025-03-02", "2025-03-03"]
    assert "the disk is full" in alert["message"]


def launched(instance: dg.DagsterInstance) -> dg.DagsterRun:
    """A run that was started and has not ended."""
    return instance.create_run_for_job(broken, status=dg.DagsterRunStatus.STARTED)


def test_a_run_that_was_killed_is_told_with_what_killed_it(
    instance: dg.DagsterInstance, watch: Watch, receiver: ScriptedServer
) -> None:
    """The words are those of Dagster's code server, and so is their order."""
    run = launched(instance)
    instance.report_engine_event("Started process for run (pid: 4711).", run)
    instance.report_engine_event(f"Run execution process for {run.run_id} unexpectedly exited with exit code -9.", run)
    instance.report_run_failed(run)

    watch.tick()

    [alert] = said(receiver)[0]["alerts"]
    assert alert["message"] == f"Run execution process for {run.run_id} unexpectedly exited with exit code -9."


def test_a_run_whose_klines_yaml_does_not_load_is_told_with_the_line(
    instance: dg.DagsterInstance, watch: Watch, receiver: ScriptedServer
) -> None:
    run, text = launched(instance), "ConfigurationError: klines.yaml, line 3: there is no interval '7m'."
    report_error(instance, run, "Could not load pipeline definition.", "DagsterUserCodeLoadError", text)
    instance.report_run_failed(run)

    watch.tick()

    assert said(receiver)[0]["alerts"][0]["message"] == text


@dg.op
def runs_full() -> None:
    try:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "part.parquet")
    finally:
        raise ValueError("the day was not begun")


@dg.job
def full() -> None:
    runs_full()


def test_a_full_disk_is_named_whatever_else_came_of_it(
    instance: dg.DagsterInstance, watch: Watch, receiver: ScriptedServer
) -> None:
    full.execute_in_process(instance=instance, raise_on_error=False)
    run = launched(instance)
    report_error(instance, run, "Lost.", "DagsterError", "OperationalError: database or disk is full")
    report_error(instance, run, "The end.", "DagsterError", "KeyError: 'run'")
    instance.report_run_failed(run)

    watch.tick()

    messages = [alert["message"] for alert in said(receiver)[0]["alerts"]]
    assert messages == ["The disk is full.\nValueError: the day was not begun", "The disk is full.\nKeyError: 'run'"]


def test_runs_of_another_code_location_are_told_by_that_one(
    instance: dg.DagsterInstance, watch: Watch, receiver: ScriptedServer
) -> None:
    for location in ("klines_pipeline.definitions", "another.definitions"):
        failed = dg.DagsterRun("job", status=dg.DagsterRunStatus.FAILURE, tags={DATASET: location})
        instance.add_run(of_location(failed, location))

    watch.tick(location="klines_pipeline.definitions")

    [alert] = said(receiver)[0]["alerts"]
    assert (alert["dataset"], alert["message"]) == ("klines_pipeline.definitions", "The run failed without a word.")
