"""Runs whose process is gone. Dagster's launcher does not look after its processes: after a power cut a run would count
as started for hours, and hold its pool and its days.

Each run signs with host, process and the moment that began; whoever runs on the same host can tell that it is gone.
"""

import os
import socket
from pathlib import Path

import dagster as dg

from klines_pipeline.domain.automation import Automation

PROCESS = "klines/process"
_UNFINISHED = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
_SECONDS = 60
_STATE, _BEGAN = 0, 19  # fields of /proc/PID/stat behind the command's name
_NOWHERE = "-"
"""Stands for a process that is not there; without /proc for every process, so that none is declared lost."""


def sign_run(context: dg.AssetExecutionContext) -> None:
    """Write into the run which process it is; with its id, since a run made again inherits the tags of the first."""
    run_id = context.run.run_id
    context.instance.add_run_tags(run_id, {PROCESS: f"{signature(os.getpid())} {run_id}"})


def signature(pid: int) -> str:
    """Host, process id and its start in clock ticks since boot: no other process has the same."""
    return f"{socket.gethostname()} {pid} {_began(pid)}"


def is_lost(signed: str) -> bool:
    """Whether the process that signed ran on this host and is no more."""
    host, pid, _ = signed.rsplit(" ", 2)
    return host == socket.gethostname() and signature(int(pid)) != signed


def _began(pid: int) -> str:
    try:
        fields = Path("/proc", str(pid), "stat").read_text("utf-8").rpartition(")")[2].split()
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


def build_lost_runs(automation: Automation) -> dg.SensorDefinition:
    """The sensor that looks for them."""

    @dg.sensor(
        name="lost_runs",
        minimum_interval_seconds=_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING if automation.enabled else dg.DefaultSensorStatus.STOPPED,
        description="Declares runs failed whose process on this host is gone (killed, power cut), so that the next "
        "ones need not wait for them. What they had done is in the lake.",
    )
    def lost_runs(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        lost = give_up_lost_runs(context.instance)
        return dg.SkipReason(f"Gave up {', '.join(lost)}." if lost else "Every run under way has its process.")

    return lost_runs
