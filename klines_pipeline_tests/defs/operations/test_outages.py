"""What fails without a run: ticks that raise, and datasets of which nothing succeeds."""

import json
from datetime import timedelta
from pathlib import Path

import dagster as dg

from klines_pipeline.defs.automation.run_requests import DATASET
from klines_pipeline.defs.build import build_definitions
from klines_pipeline.settings import Settings
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline_tests.defs.assets.test_klines import CONFIG
from klines_pipeline_tests.defs.operations.conftest import Watch, said, the_sensor
from klines_pipeline_tests.exchanges.script import ScriptedServer
from klines_pipeline_tests.unpublished import fail_tick


def test_a_tick_that_raised_is_told_with_its_sensor_and_the_cause(tmp_path: Path, receiver: ScriptedServer) -> None:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        watch = Watch(instance, receiver.url)
        watch.tick(location="here")
        fail_tick(instance, "published_days", watch.now + timedelta(minutes=1))
        fail_tick(instance, "published_days", watch.now + timedelta(minutes=2))
        fail_tick(instance, "of_another", watch.now + timedelta(minutes=2), location="another")

        assert watch.tick(later=timedelta(minutes=3), location="here") == "Told 1 failure(s)."
        assert watch.tick(later=timedelta(minutes=1), location="here") == "0 run(s) ended, nothing failed."

    [message] = said(receiver)
    [alert] = message["alerts"]
    assert (alert["kind"], alert["asset"], alert["run_id"]) == ("tick_failed", "published_days", None)
    told = "- Tick of published_days failed: PermissionError: the key has expired."
    assert message["text"].splitlines()[1:] == [told, "1 said before and not repeated."]


def test_a_dataset_of_which_nothing_succeeds_is_told_once_a_day(
    instance: dg.DagsterInstance, receiver: ScriptedServer
) -> None:
    dark, fine = datasets = ["binance/spot/klines_1m", "binance/um/klines_1m"]
    watch = Watch(instance, receiver.url)
    watch.now -= timedelta(hours=31)
    watch.tick(datasets=datasets)
    instance.add_run(dg.DagsterRun("job", status=dg.DagsterRunStatus.SUCCESS, tags={DATASET: fine}))

    watch.tick(later=timedelta(hours=29), datasets=datasets)
    assert said(receiver) == []
    for _ in range(26):
        watch.tick(later=timedelta(hours=1), datasets=datasets)

    told = [alert for message in said(receiver) for alert in message["alerts"]]
    assert [(alert["kind"], alert["dataset"]) for alert in told] == [("nothing_succeeds", dark)] * 2
    assert f"- {dark}: no run that a sensor or schedule asked for has succeeded" in said(receiver)[0]["text"]


def test_automation_that_is_off_misses_nothing(exchange: EmbeddedExchange, tmp_path: Path) -> None:
    for enabled, kept in ((True, 1), (False, 0)):
        off = f"automation: {{enabled: {str(enabled).lower()}}}\n"
        (tmp_path / "klines.yaml").write_text(f"{off}{CONFIG}", "utf-8")
        alert = {"KLINES_ALERT_URL": "http://127.0.0.1:9/hook", "KLINES_CONFIG": str(tmp_path / "klines.yaml")}
        sensor = the_sensor(build_definitions(Settings.from_env({**exchange.environment(), **alert})))
        with dg.DagsterInstance.ephemeral() as empty, dg.build_sensor_context(empty) as context:
            result = sensor(context)
        assert isinstance(result, dg.SensorResult)
        assert len(json.loads(str(result.cursor))["succeeded"]) == kept
