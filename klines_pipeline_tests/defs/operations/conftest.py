"""Alerts under test: the sensor's ticks with their cursor, a real receiver on loopback, a job that breaks."""

import json
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from klines_pipeline.defs.build import build_definitions
from klines_pipeline.defs.operations.alerts import tell
from klines_pipeline.settings import Settings
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline_tests.defs.assets.test_klines import CONFIG
from klines_pipeline_tests.exchanges.script import ScriptedServer


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


def the_sensor(definitions: dg.Definitions) -> dg.SensorDefinition:
    [sensor] = [sensor for sensor in definitions.sensors or () if sensor.name == "alerts"]
    assert isinstance(sensor, dg.SensorDefinition)
    return sensor


@dg.op
def breaks() -> None:
    raise ValueError("the disk is full")


@dg.job
def broken() -> None:
    breaks()


def break_down(instance: dg.DagsterInstance, **tags: str) -> None:
    """A job of another kind that fails with an error nobody foresaw."""
    broken.execute_in_process(instance=instance, raise_on_error=False, tags=tags)
