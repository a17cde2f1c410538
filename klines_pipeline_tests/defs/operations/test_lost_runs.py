"""A run whose process is gone is declared failed; one whose process lives, or lives elsewhere, is not."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from uuid import uuid4

import dagster as dg
import pytest

from klines_pipeline.defs.operations.lost_runs import (
    PROCESS,
    Signature,
    build_lost_runs,
    give_up_lost_runs,
    is_gone,
    is_lost,
    signature,
)
from klines_pipeline.domain.automation import Automation

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only /proc tells processes of one id apart")


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


def earlier(signed: str) -> str:
    """The signature of the process that had this number before."""
    found = Signature(*signed.split())
    return " ".join(found._replace(began=f"{int(found.began) - 1}"))


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
    run_id = started(instance, earlier(signature(os.getpid())))

    assert give_up_lost_runs(instance) == [run_id]


def test_runs_of_other_hosts_and_runs_that_have_not_signed_are_left_to_run_monitoring(
    instance: dg.DagsterInstance,
) -> None:
    elsewhere = started(instance, signature(os.getpid()).replace(socket.gethostname(), "another-host"))
    unsigned = started(instance, None)

    assert give_up_lost_runs(instance) == []
    assert {status(instance, run_id) for run_id in (elsewhere, unsigned)} == {dg.DagsterRunStatus.STARTED}


def test_a_living_run_in_another_container_of_the_same_name_is_left_alone(instance: dg.DagsterInstance) -> None:
    here = Signature(*signature(os.getpid()).split())
    for there in (here._replace(namespace="pid:[4026532999]", began="1"), here._replace(namespace="pid:[4026532999]")):
        started(instance, " ".join(there._replace(pid=f"{2**22 + 1}")))

    assert give_up_lost_runs(instance) == []


HOST = Signature("tokyo", "17", "300", boot="before", namespace="pid:[4026531836]", machine="5eed0001")
REBOOTED = HOST._replace(boot="after", began="-")


@pytest.mark.parametrize(
    ("then", "now", "gone"),
    [
        (HOST, REBOOTED, True),
        (HOST, REBOOTED._replace(began="300"), True),
        (HOST, REBOOTED._replace(machine="5eed0002"), False),
        (HOST._replace(machine="-"), REBOOTED._replace(machine="-"), False),
        (HOST, REBOOTED._replace(namespace="pid:[4026532999]"), False),
        (HOST._replace(namespace="pid:[4026532999]"), REBOOTED._replace(namespace="pid:[4026532999]"), False),
        (HOST, HOST, False),
        (HOST, HOST._replace(began="-"), True),
    ],
    ids=[
        "rebooted",
        "rebooted, another process began at the same tick",
        "another machine of that name",
        "machines without an id",
        "a container sees the host's run",
        "containers on two machines",
        "alive",
        "killed",
    ],
)
def test_another_boot_ends_every_process_of_this_machine_and_of_no_container(
    then: Signature, now: Signature, *, gone: bool
) -> None:
    assert is_gone(then, now) is gone


def test_a_signature_of_another_form_says_nothing() -> None:
    assert not is_lost(f"{socket.gethostname()} 1 1")


def test_a_run_made_again_is_not_taken_for_the_lost_one_before_it_has_signed(instance: dg.DagsterInstance) -> None:
    started(instance, earlier(signature(os.getpid())), owner=str(uuid4()))

    assert give_up_lost_runs(instance) == []


def test_the_sensor_says_what_it_gave_up(instance: dg.DagsterInstance) -> None:
    sensor = build_lost_runs(Automation(), [])
    assert sensor.default_status is dg.DefaultSensorStatus.RUNNING

    with dg.build_sensor_context(instance) as context:
        assert "has its process" in str(sensor(context))
        run_id = started(instance, earlier(signature(os.getpid())))
        assert run_id in str(sensor(context))
