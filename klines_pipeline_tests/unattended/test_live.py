"""`make dev EXCHANGE=embedded`: it runs by itself at once, and Ctrl-C ends all of it."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from klines_pipeline_tests.unattended.families import wait_for, working_in

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

PROJECT = Path(__file__).parents[2]
AUTOMATION = """{ repositoriesOrError { ... on RepositoryConnection { nodes {
    sensors { name sensorState { status } } schedules { name scheduleState { status } } } } } }"""
RUNS = "{ runsOrError(limit: 20) { ... on Runs { results { status tags { key value } } } } }"


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


def ask(port: int, query: str) -> Any:
    """What the UI's own server answers; None while it does not."""
    try:
        answer = httpx.post(f"http://127.0.0.1:{port}/graphql", json={"query": query}, timeout=20)
    except httpx.TransportError:
        return None
    return answer.json().get("data")


def states(port: int) -> dict[str, str]:
    """Whether sensors and schedules are on, by name."""
    repositories = (ask(port, AUTOMATION) or {}).get("repositoriesOrError", {}).get("nodes", [])
    sensors = {found["name"]: found["sensorState"]["status"] for node in repositories for found in node["sensors"]}
    schedules = {
        found["name"]: found["scheduleState"]["status"] for node in repositories for found in node["schedules"]
    }
    return sensors | schedules


def automatic_successes(port: int) -> list[dict[str, str]]:
    """Tags of runs that nobody began by hand and that went well."""
    runs = (ask(port, RUNS) or {}).get("runsOrError", {}).get("results", [])
    tagged = [{tag["key"]: tag["value"] for tag in run["tags"]} for run in runs if run["status"] == "SUCCESS"]
    return [tags for tags in tagged if "klines/reason" in tags]


def test_it_runs_by_itself_and_ctrl_c_leaves_no_process(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text((PROJECT / "dagster.yaml").read_text("utf-8"), "utf-8")
    port = free_port()
    words = ["-m", "klines_pipeline.demo.live", "--port", str(port), "--minutes-a-day", "4"]
    process = subprocess.Popen(
        [sys.executable, *words],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        wait_for(lambda: states(port), 120, what="the UI answers")
        assert set(states(port).values()) == {"RUNNING"}
        wait_for(lambda: automatic_successes(port), 240, what="a run that nobody began succeeds")
        process.send_signal(signal.SIGINT)
        told, _ = process.communicate(timeout=90)
    finally:
        for left in working_in(tmp_path):
            os.kill(left, signal.SIGKILL)

    assert process.returncode == 0, told
    assert f"127.0.0.1:{port}" in told
    assert told.endswith("Everything has ended.\n")
    assert working_in(tmp_path) == {}
    assert not (tmp_path / "lake").exists()
    assert (tmp_path / ".dagster" / "embedded" / "lake").is_dir()
