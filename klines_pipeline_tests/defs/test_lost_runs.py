"""A run whose process is gone is declared failed; one whose process lives, or lives elsewhere, is not."""

import os
import subprocess
import sys
from collections.abc import Iterator
from uuid import uuid4

import dagster as dg
import pytest

from klines_pipeline.defs.lost_runs import PROCESS, build_lost_runs, give_up_lost_runs, signature
from klines_pipeline.domain.automation import Automation

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only /proc tells processes of one id apart")


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """Another process of this host."""
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()


def started(instance: dg.DagsterInstance, signed: str | None, *, owner: str = "") -> str:
    """A run under way, signed by itself or by another."""
    name = str(uuid4())
    tags = {PROCESS: f"{signed} {owner or name}"} if signed else {}
    run = dg.DagsterRun("__ASSET_JOB", name, tags=tags, status=dg.DagsterRunStatus.STARTED)
    return instance.add_run(run).run_id


def status(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRunStatus:
    run = instance.get_run_by_id(run_id)
    assert run is not None
    return run.status


def test_a_killed_process_takes_its_run_with_it(instance: dg.DagsterInstance, sleeper: subprocess.Popen[bytes]) -> None:
    run_id = started(instance, signature(sleeper.pid))
    assert give_up_lost_runs(instance) == []

    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)  # a zombie: nobody has asked for its end yet

    assert give_up_lost_runs(instance) == [run_id]
    assert status(instance, run_id) is dg.DagsterRunStatus.FAILURE
    assert give_up_lost_runs(instance) == []


def test_another_process_with_its_number_does_not_stand_in_for_it(instance: dg.DagsterInstance) -> None:
    host, pid, began = signature(os.getpid()).rsplit(" ", 2)
    run_id = started(instance, f"{host} {pid} {int(began) - 1}")

    assert give_up_lost_runs(instance) == [run_id]


def test_runs_of_other_hosts_and_runs_that_have_not_signed_are_left_to_run_monitoring(
    instance: dg.DagsterInstance,
) -> None:
    elsewhere = started(instance, "another-host 1 1")
    unsigned = started(instance, None)

    assert give_up_lost_runs(instance) == []
    assert {status(instance, run_id) for run_id in (elsewhere, unsigned)} == {dg.DagsterRunStatus.STARTED}


def test_a_run_made_again_is_not_taken_for_the_lost_one_before_it_has_signed(instance: dg.DagsterInstance) -> None:
    started(instance, signature(os.getpid()) + "0", owner=str(uuid4()))

    assert give_up_lost_runs(instance) == []


def test_the_sensor_says_what_it_gave_up(instance: dg.DagsterInstance) -> None:
    sensor = build_lost_runs(Automation())
    assert sensor.default_status is dg.DefaultSensorStatus.RUNNING

    with dg.build_sensor_context(instance) as context:
        assert "has its process" in str(sensor(context))
        run_id = started(instance, signature(os.getpid()) + "0")
        assert run_id in str(sensor(context))
