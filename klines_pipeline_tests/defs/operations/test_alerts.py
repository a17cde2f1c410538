"""Failures of a real instance, told to a real receiver on loopback: once, and nothing is lost while it is down."""

import json
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    SensorInstigatorData,
    TickData,
    TickStatus,
)
from dagster._utils.error import SerializableErrorInfo

from klines_pipeline.defs.automation.run_requests import DATASET, REASON
from klines_pipeline.defs.build import build_definitions
from klines_pipeline.defs.operations.alerts import tell
from klines_pipeline.domain.errors import ConfigurationError
from klines_pipeline.settings import Settings
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline_tests.defs.assets.test_klines import CONFIG, run
from klines_pipeline_tests.exchanges.script import Answer, ScriptedServer

DAY = "2024-03-02"


class Watch:
    """The sensor's ticks, with the cursor that the daemon would keep."""

    def __init__(self, instance: dg.DagsterInstance, url: str) -> None:
        self.instance, self.url = instance, url
        self.cursor: str | None = None
        self.now = datetime.now(UTC)

    def tick(self, *, later: timedelta = timedelta(), location: str | None = None, datasets: Sequence[str] = ()) -> str:
        """One tick; why it asked for no run."""
        self.now += later
        result = tell(self.instance, self.url, self.cursor, self.now, location, datasets)
        self.cursor = result.cursor
        assert not result.run_requests
        assert isinstance(result.skip_reason, dg.SkipReason)
        return str(result.skip_reason.skip_message)


@pytest.fixture
def receiver() -> Iterator[ScriptedServer]:
    """Takes everything, unless its script says otherwise."""
    with ScriptedServer() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def definitions(exchange: EmbeddedExchange, tmp_path: Path, receiver: ScriptedServer) -> dg.Definitions:
    config = tmp_path / "klines.yaml"
    config.write_text(CONFIG, "utf-8")
    alert = {"KLINES_ALERT_URL": f"{receiver.url}/hook", "KLINES_CONFIG": str(config)}
    return build_definitions(Settings.from_env({**exchange.environment(), **alert}))


@pytest.fixture
def watch(instance: dg.DagsterInstance, receiver: ScriptedServer) -> Watch:
    """A sensor that has begun."""
    watch = Watch(instance, f"{receiver.url}/hook")
    assert watch.tick() == "Begins now: what failed before is not told."
    return watch


def said(receiver: ScriptedServer) -> list[dict[str, Any]]:
    """Every message that came in."""
    return [json.loads(body) for body in receiver.bodies]


def fail(definitions: dg.Definitions, instance: dg.DagsterInstance, exchange: EmbeddedExchange, day: str = DAY) -> str:
    """A materialization that fails on one of three days; its run id."""
    exchange.add_fault(kind="status", status=404, match=f"*USDT-1m-{day}.zip*")
    exchange.add_fault(kind="status", status=418, group="rest", headers={"Retry-After": "1"})
    result = run(definitions, instance, "2024-03-01", "2024-03-03")
    assert not result.success
    exchange.clear_faults()
    return result.run_id


def the_sensor(definitions: dg.Definitions) -> dg.SensorDefinition:
    [sensor] = [sensor for sensor in definitions.sensors or () if sensor.name == "alerts"]
    assert isinstance(sensor, dg.SensorDefinition)
    return sensor


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


@dg.op
def breaks() -> None:
    raise ValueError("the disk is full")


@dg.job
def broken() -> None:
    breaks()


def break_down(instance: dg.DagsterInstance, **tags: str) -> None:
    """A job of another kind that fails with an error nobody foresaw."""
    broken.execute_in_process(instance=instance, raise_on_error=False, tags=tags)


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


def test_the_same_failing_again_within_the_hour_is_not_repeated(
    instance: dg.DagsterInstance, watch: Watch, receiver: ScriptedServer
) -> None:
    for minutes in (0, 5, 54):
        break_down(instance, **{DATASET: "binance/um/klines_1m", "dagster/partition": DAY})
        watch.tick(later=timedelta(minutes=minutes))
    assert len(receiver.bodies) == 1

    break_down(instance, **{DATASET: "binance/um/klines_1m", "dagster/partition": DAY})
    watch.tick(later=timedelta(minutes=1))

    first, second = said(receiver)
    assert (first["not_repeated"], second["not_repeated"]) == (0, 2)


def test_runs_of_another_code_location_are_told_by_that_one(
    instance: dg.DagsterInstance, watch: Watch, receiver: ScriptedServer
) -> None:
    for location in ("klines_pipeline.definitions", "another.definitions"):
        origin = RemoteJobOrigin(RemoteRepositoryOrigin(RegisteredCodeLocationOrigin(location), "repository"), "job")
        failed = dg.DagsterRun("job", status=dg.DagsterRunStatus.FAILURE, tags={DATASET: location})
        instance.add_run(failed.with_job_origin(origin))

    watch.tick(location="klines_pipeline.definitions")

    [alert] = said(receiver)[0]["alerts"]
    assert (alert["dataset"], alert["message"]) == ("klines_pipeline.definitions", "The run failed without a word.")


def test_a_receiver_that_was_down_gets_everything_later(
    instance: dg.DagsterInstance, watch: Watch, receiver: ScriptedServer
) -> None:
    receiver.script = [Answer(503)]
    break_down(instance, **{DATASET: "first"})
    before = watch.cursor
    assert watch.tick() == "127.0.0.1 answered HTTP 503. 1 alert(s) wait for the next tick."
    assert watch.cursor == before

    break_down(instance, **{DATASET: "second"})
    assert watch.tick() == "127.0.0.1 answered HTTP 503. 2 alert(s) wait for the next tick."
    receiver.script = [Answer()]

    assert watch.tick() == "Told 2 failure(s)."
    assert [alert["dataset"] for alert in said(receiver)[-1]["alerts"]] == ["first", "second"]


def test_a_receiver_that_refuses_three_times_loses_the_message_but_hears_how_many_it_lost(
    instance: dg.DagsterInstance, watch: Watch, receiver: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.script = [Answer(410)]
    break_down(instance, **{DATASET: "first"})
    for _ in range(2):
        assert watch.tick().endswith("1 alert(s) wait.")
    assert watch.tick().endswith("1 alert(s) are dropped after 3 tries.")
    assert watch.tick() == "0 run(s) ended, nothing failed."
    assert len(receiver.bodies) == 3
    assert "127.0.0.1 refused a message (HTTP 410)" in caplog.text
    assert "/hook" not in caplog.text

    receiver.script = [Answer()]
    break_down(instance, **{DATASET: "second"})
    watch.tick()

    assert [alert["dataset"] for alert in said(receiver)[-1]["alerts"]] == ["second"]
    assert said(receiver)[-1]["dropped"] == 1


@pytest.mark.parametrize("cursor", [None, "", "{", '{"until": "yesterday"}'])
def test_who_begins_or_lost_the_cursor_does_not_tell_old_failures(
    instance: dg.DagsterInstance, receiver: ScriptedServer, cursor: str | None
) -> None:
    break_down(instance, **{DATASET: "old"})
    watch = Watch(instance, receiver.url)
    watch.cursor = cursor

    assert watch.tick() == "Begins now: what failed before is not told."
    assert watch.tick() == "0 run(s) ended, nothing failed."
    break_down(instance, **{DATASET: "new"})
    watch.tick()

    assert [alert["dataset"] for message in said(receiver) for alert in message["alerts"]] == ["new"]


def test_a_run_that_is_tagged_after_its_end_is_not_told_again(
    instance: dg.DagsterInstance, watch: Watch, receiver: ScriptedServer
) -> None:
    break_down(instance)
    watch.tick()
    [failed] = instance.get_runs()
    instance.add_run_tags(failed.run_id, {"dagster/auto_retry_run_id": "another"})

    assert watch.tick(later=timedelta(hours=2)) == "0 run(s) ended, nothing failed."
    assert len(receiver.bodies) == 1


def test_the_same_is_told_from_a_storage_on_disk(tmp_path: Path, receiver: ScriptedServer) -> None:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        watch = Watch(instance, receiver.url)
        watch.tick()
        break_down(instance, **{DATASET: "binance/um/klines_1m"})
        watch.tick()

    assert [alert["dataset"] for message in said(receiver) for alert in message["alerts"]] == ["binance/um/klines_1m"]


def fail_tick(instance: dg.DagsterInstance, name: str, at: datetime, location: str = "here") -> None:
    """A tick of a sensor that raised, as the daemon writes it down."""
    origin = RemoteInstigatorOrigin(RemoteRepositoryOrigin(RegisteredCodeLocationOrigin(location), "repository"), name)
    state = InstigatorState(origin, InstigatorType.SENSOR, InstigatorStatus.DECLARED_IN_CODE, SensorInstigatorData())
    if instance.get_instigator_state(state.instigator_origin_id, state.selector_id) is None:
        instance.add_instigator_state(state)
    began = at.timestamp()
    cause = SerializableErrorInfo("PermissionError: the key has expired.\nmore", [], "PermissionError")
    error = SerializableErrorInfo("SensorExecutionError: in the evaluation", [], "SensorExecutionError", cause)
    tick = TickData(
        state.instigator_origin_id,
        name,
        InstigatorType.SENSOR,
        TickStatus.STARTED,
        began,
        selector_id=state.selector_id,
    )
    made = instance.create_tick(tick)
    instance.update_tick(made.with_status(TickStatus.FAILURE, error=error, end_timestamp=began + 1))


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


def test_an_address_that_is_none_is_refused_without_showing_it() -> None:
    with pytest.raises(ConfigurationError, match="KLINES_ALERT_URL: what it says is not a URL") as refused:
        Settings.from_env({"KLINES_ALERT_URL": "hooks.slack.com/services/secret"})

    assert "secret" not in str(refused.value)
