"""The automation on a lake in a bucket: days come, are topped up, rewritten, compared and read as they were known."""

import json
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from klines_pipeline import cli, load
from klines_pipeline.defs.automation.run_requests import KIND
from klines_pipeline.settings import lake_options
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.defs.conftest import built, days, run_requested, tick
from klines_pipeline_tests.faults.archives import key_of
from klines_pipeline_tests.storage.s3 import s3_root

__all__ = ["s3_root"]

DAY, TODAY = "2025-03-02", "2025-03-04"
DATASET = "binance__spot__klines_1h__"
VENUE = ["--dataset", "binance/spot/klines_1h"]


def config(root: str) -> str:
    """Three days until now."""
    wanted = "{interval: 1h, start: 2025-03-02, symbols: [BTCUSDT, ETHUSDT], resample: [1d]}"
    return f"lake: {root}\ndatasets: [{wanted}]\n"


def sensed(
    definitions: dg.Definitions, instance: dg.DagsterInstance, name: str, cursor: str | None = None
) -> dg.SensorResult:
    """One tick of a sensor of the dataset."""
    with dg.build_sensor_context(
        instance, cursor=cursor, resources=definitions.resources, sensor_name=name, definitions=definitions
    ) as context:
        found = definitions.resolve_sensor_def(name)(context)
    assert isinstance(found, dg.SensorResult)
    return found


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[dict[str, object]]]:
    """The rows a command prints."""

    def run(*words: str) -> list[dict[str, object]]:
        monkeypatch.setattr(sys, "argv", ["klines", *words, "--json"])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert not ended.value.code
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return run


@pytest.mark.slow
def test_sensors_schedules_and_commands_work_on_a_bucket_as_on_a_disk(
    exchange: EmbeddedExchange,
    tmp_path: Path,
    s3_root: str,
    said: Callable[..., list[dict[str, object]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    definitions = built(exchange, tmp_path, config(s3_root))
    monkeypatch.setenv("KLINES_CONFIG", str(tmp_path / "klines.yaml"))
    with dg.DagsterInstance.ephemeral(tempdir=str(tmp_path)) as instance:
        published, rewritten = f"{DATASET}published_days", f"{DATASET}rewritten_archives"
        for request in sensed(definitions, instance, published).run_requests or []:
            assert run_requested(definitions, instance, request).success
        assert not sensed(definitions, instance, published).run_requests

        [fresh] = tick(definitions, instance, f"{DATASET}freshness", exchange)
        assert (fresh.tags[KIND], days(fresh)[1]) == ("freshness", TODAY)
        assert run_requested(definitions, instance, fresh).success
        assert isinstance(tick(definitions, instance, f"{DATASET}freshness", exchange), str)
        assert "lack nothing that a run could bring" in str(
            tick(definitions, instance, f"{DATASET}safety_net", exchange)
        )

        known = exchange.now() + timedelta(minutes=1)
        before = load("ETHUSDT", "1h", DAY, "2025-03-03", lake=s3_root)
        exchange.set_clock(exchange.now() + timedelta(hours=20))
        exchange.revise(key_of("ETHUSDT", DAY, "1h"))
        [asked] = sensed(definitions, instance, rewritten).run_requests or []
        assert (asked.tags[KIND], days(asked)) == ("rewritten", (DAY, DAY))
        assert run_requested(definitions, instance, asked).success

    assert load("ETHUSDT", "1h", DAY, "2025-03-03", lake=s3_root, as_of=known).equals(before)
    assert not load("ETHUSDT", "1h", DAY, "2025-03-03", lake=s3_root).equals(before)
    [revision] = said("revisions", *VENUE)
    assert (revision["symbol"], revision["date"], revision["revision"]) == ("ETHUSDT", DAY, 2)
    assert said("revisions", "ETHUSDT", *VENUE, "--day", DAY, "--rows")
    [status] = said("status")
    assert (status["days"], status["symbols"], status["incomplete"]) == (3, 2, "exchange_halt: 1")
    lake = Lake(s3_root, lake_options(s3_root))
    held = [name for name in lake.fs.find(f"{lake.base}/.locks") if b'"owner": ""' not in lake.fs.cat_file(name)]
    assert {name.rpartition("/")[2] for name in held} == {"conditional-deletions", "conditional-writes"}
