"""Runs whose process is gone. Dagster's launcher does not look after its processes: after a power cut a run would count
as started for hours, and hold its pool and its days.

Each run signs with its process and where that runs: machine, boot, PID namespace. Whoever runs in the same place can
tell that it is gone; so can, after a reboot, who runs on the machine itself. In a container nobody can say more of
another one than that it is another: its runs end by `dagster/max_runtime`.
"""

import os
import socket
from collections.abc import Collection
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import dagster as dg

from klines_pipeline.defs.automation.ticks import sensor_status
from klines_pipeline.defs.unpublished import open_pools
from klines_pipeline.domain.automation import Automation

PROCESS = "klines/process"
_UNFINISHED = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
_SECONDS = 60
_STATE, _BEGAN = 0, 19  # fields of /proc/PID/stat behind the command's name
_NOWHERE = "-"
"""Stands for what is not there: the process; without /proc also boot and namespace, so that none is declared lost."""
_NO_CONTAINER = "pid:[4026531836]"
"""The PID namespace that the kernel boots with, the same number everywhere (PROC_PID_INIT_INO)."""


class Signature(NamedTuple):
    """Which process it is, in words without spaces."""

    host: str
    pid: str
    began: str
    """In clock ticks since boot; `-` for a process that is gone."""
    boot: str
    """The kernel's own id of the boot: no two are alike."""
    namespace: str
    """Within which `pid` counts."""
    machine: str
    """Digest of /etc/machine-id: systemd asks that the id itself is not passed on."""


def sign_run(context: dg.AssetExecutionContext) -> None:
    """Write into the run which process it is; with its id, since a run made again inherits the tags of the first."""
    run_id = context.run.run_id
    context.instance.add_run_tags(run_id, {PROCESS: f"{signature(os.getpid())} {run_id}"})


def signature(pid: int) -> str:
    """Of a process seen from here: no other has the same."""
    return " ".join(_signature(str(pid)))


def is_lost(signed: str) -> bool:
    """Whether the process that signed is surely no more; False for a signature of another form."""
    words = signed.split()
    if len(words) != len(Signature._fields):
        return False
    then = Signature(*words)
    return is_gone(then, _signature(then.pid))


def is_gone(then: Signature, now: Signature) -> bool:
    """Whether a process is, by what it signed and by what its number says now, here.

    Of another boot nothing runs any more if it was this machine's: same host and machine id, and no container on either
    side, whose host and machine id are whatever its image says.
    """
    if then.boot != now.boot:
        is_this_machine = _place(then) == _place(now) and now.machine != _NOWHERE
        return is_this_machine and now.namespace == _NO_CONTAINER
    return then.host == now.host and then.namespace == now.namespace and then.began != now.began


def _place(found: Signature) -> tuple[str, str, str]:
    return found.host, found.machine, found.namespace


def _signature(pid: str) -> Signature:
    boot, machine = _text(Path("/proc/sys/kernel/random/boot_id")), _text(Path("/etc/machine-id"))
    return Signature(
        host=socket.gethostname(),
        pid=pid,
        began=_began(pid),
        boot=boot,
        namespace=_namespace(),
        machine=machine if machine == _NOWHERE else blake2b(machine.encode(), digest_size=4).hexdigest(),
    )


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8").strip() or _NOWHERE
    except (OSError, UnicodeDecodeError):
        return _NOWHERE


def _namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return _NOWHERE


def _began(pid: str) -> str:
    try:
        fields = Path("/proc", pid, "stat").read_text("utf-8").rpartition(")")[2].split()
    except (OSError, UnicodeDecodeError):
        return _NOWHERE
    return _NOWHERE if fields[_STATE] == "Z" else fields[_BEGAN]


def give_up_lost_runs(instance: dg.DagsterInstance) -> list[str]:
    """Declare lost runs failed, which frees their pools and days and lets run retries start them again; their ids."""
    lost = list[str]()
    for run in instance.get_runs(dg.RunsFilter(statuses=_UNFINISHED)):
        signed, _, owner = run.tags.get(PROCESS, "").rpartition(" ")
        if owner != run.run_id or not is_lost(signed):
            continue
        now = instance.get_run_by_id(run.run_id)
        if now is not None and not now.is_finished:  # a process that has just ended said so before
            instance.report_run_failed(now, f"Its process ({signed}) is gone: killed, or the host stopped.")
            lost.append(run.run_id)
    return lost


def build_lost_runs(automation: Automation, pools: Collection[str]) -> dg.SensorDefinition:
    """The sensor that looks for them. It opens the pools too, lest a run that a person launches on a new instance meets
    one without a limit.
    """

    @dg.sensor(
        name="lost_runs",
        minimum_interval_seconds=_SECONDS,
        default_status=sensor_status(automation),
        description="Declares runs failed whose process on this machine is gone (killed, power cut), so that the next "
        "ones need not wait for them. What they had done is in the lake.",
    )
    def lost_runs(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        open_pools(context.instance, pools)
        lost = give_up_lost_runs(context.instance)
        return dg.SkipReason(f"Gave up {', '.join(lost)}." if lost else "Every run under way has its process.")

    return lost_runs
