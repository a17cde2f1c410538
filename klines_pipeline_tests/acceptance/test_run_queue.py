"""The project's dagster.yaml under a real daemon: one run a REST host, what is fresh first, and no run that is lost
for ever. Also without a daemon: a killed command holds nobody up."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import dagster as dg
import pytest

from klines_pipeline.defs.automation.run_requests import DATASET, FIRST, KIND, LAST, REQUESTED_AT
from klines_pipeline.defs.operations.lost_runs import PROCESS
from klines_pipeline.domain.wanted import PRIORITY, Kind
from klines_pipeline.klines.quality import RULES
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline_tests.acceptance.conftest import PROJECT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

LOCATION = str(Path(__file__).with_name("queued_jobs.py"))
DAY = "2024-03-01"
CONFIG = """
automation: {enabled: false}
datasets:
  - {interval: 1h, start: 2024-01-01, symbols: [BTCUSDT], resample: [4h]}
  - {interval: 1d, start: 2024-01-01, symbols: [BTCUSDT]}
  - {market: um, interval: 1h, start: 2024-01-01, symbols: [BTCUSDT]}
"""
PATIENCE = 180.0


class Home:
    """A folder with klines.yaml and the project's dagster.yaml, which is DAGSTER_HOME too."""

    def __init__(self, folder: Path, exchange: EmbeddedExchange) -> None:
        self.folder = folder
        self.environment = {
            **os.environ,
            **exchange.environment(),
            "DAGSTER_HOME": str(folder),
            "PYTHONPATH": str(PROJECT),
        }
        (folder / "klines.yaml").write_text(CONFIG, "utf-8")
        (folder / "dagster.yaml").write_text((PROJECT / "dagster.yaml").read_text("utf-8"), "utf-8")

    def start(self, command: str, *words: str) -> "subprocess.Popen[bytes]":
        """A command of Dagster's, in a process group of its own."""
        with Path(self.folder, f"{command}.log").open("ab") as log:
            return subprocess.Popen(
                [str(Path(sys.executable).with_name(command)), *words],
                cwd=self.folder,
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def dagster(self, *words: str) -> None:
        """A command that must succeed."""
        command = self.start("dagster", *words)
        assert command.wait(PATIENCE) == 0, Path(self.folder, "dagster.log").read_text("utf-8")[-3000:]

    def daemon(self) -> "subprocess.Popen[bytes]":
        """The daemon and the code server it starts."""
        return self.start("dagster-daemon", "run", "-f", LOCATION)

    def launch(self, job: str, kind: Kind, *, last: str = DAY) -> None:
        """Put a run of one day, or of some, into the queue, as a sensor would."""
        tags = {
            FIRST: DAY,
            LAST: last,
            KIND: kind.value,
            "dagster/priority": str(PRIORITY[kind]),
            DATASET: "binance/spot/klines_1h",
            REQUESTED_AT: "2025-03-04T09:00:00+00:00",
        }
        self.dagster("job", "launch", "-f", LOCATION, "-j", job, "--tags", json.dumps(tags))


@pytest.fixture
def home(tmp_path: Path, exchange: EmbeddedExchange) -> Home:
    return Home(tmp_path, exchange)


@pytest.fixture
def instance(home: Home) -> Iterator[dg.DagsterInstance]:
    previous = Path.cwd()
    os.chdir(home.folder)  # its folders are relative
    try:
        with dg.DagsterInstance.from_config(str(home.folder)) as made:
            yield made
    finally:
        os.chdir(previous)


@pytest.fixture
def daemon(home: Home, instance: dg.DagsterInstance) -> Iterator[Callable[[], "subprocess.Popen[bytes]"]]:
    """Starts a daemon; whatever it started is gone after the test."""
    started: list[subprocess.Popen[bytes]] = []

    def start() -> "subprocess.Popen[bytes]":
        started.append(home.daemon())
        return started[-1]

    assert instance.get_runs() == []  # the files are there before two processes make them
    yield start
    for process in started:
        kill_group(process)


def kill_group(process: "subprocess.Popen[bytes]") -> None:
    """As a power cut does it."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def until(holds: Callable[[], bool], what: str) -> None:
    """Wait for it."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, f"not within {PATIENCE:.0f} s: {what}"
        time.sleep(0.25)


def spans(instance: dg.DagsterInstance) -> dict[str, tuple[datetime, datetime]]:
    """From when to when each run had its process, by job and kind."""
    return {
        f"{record.dagster_run.job_name} {record.dagster_run.tags['klines/kind']}": (
            datetime.fromtimestamp(record.start_time or 0, UTC),
            datetime.fromtimestamp(record.end_time or 0, UTC),
        )
        for record in instance.get_run_records()
    }


def succeeded(instance: dg.DagsterInstance, count: int) -> bool:
    return len(instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.SUCCESS]))) == count


def meet_the_pools(home: Home, instance: dg.DagsterInstance, daemon: Callable[[], "subprocess.Popen[bytes]"]) -> None:
    """The sensor `lost_runs`, on wherever automation is, opens every pool in its first tick, before any run."""
    home.dagster("sensor", "start", "-f", LOCATION, "lost_runs")
    started = daemon()
    until(lambda: len(instance.event_log_storage.get_pool_limits()) == 2, "the pools of two hosts")
    kill_group(started)
    limits = instance.event_log_storage.get_pool_limits()
    assert [(pool.name, pool.limit) for pool in limits] == [("binance_spot_rest", 1), ("binance_um_rest", 1)]


def test_two_runs_of_one_host_never_overlap_and_what_is_fresh_goes_first(
    home: Home,
    exchange: EmbeddedExchange,
    instance: dg.DagsterInstance,
    daemon: Callable[[], "subprocess.Popen[bytes]"],
) -> None:
    exchange.add_fault(kind="delay", group="archives", seconds=5.0)
    meet_the_pools(home, instance, daemon)
    home.launch("spot_1h", Kind.PUBLISHED)
    home.launch("um_1h", Kind.PUBLISHED)
    home.launch("spot_1d", Kind.HISTORY)
    home.launch("spot_1d", Kind.FRESHNESS)

    daemon()
    until(lambda: succeeded(instance, 4), "four runs")

    found = spans(instance)
    on_spot = sorted((span, name) for name, span in found.items() if name.startswith("spot"))
    assert [name for _, name in on_spot] == ["spot_1d freshness", "spot_1h published", "spot_1d history"]
    assert all(earlier[1] <= later[0] for (earlier, _), (later, _) in pairwise(on_spot)), on_spot
    assert found["um_1h published"][0] < on_spot[-1][0][0], "another host waits for nobody"


def test_a_power_cut_leaves_a_run_that_is_given_up_and_done_again(
    home: Home,
    exchange: EmbeddedExchange,
    instance: dg.DagsterInstance,
    daemon: Callable[[], "subprocess.Popen[bytes]"],
) -> None:
    exchange.add_fault(kind="delay", group="archives", seconds=600.0)
    home.launch("spot_1h", Kind.HISTORY)
    before = daemon()
    until(lambda: any(PROCESS in run.tags for run in instance.get_runs()), "a run that has begun")
    [lost] = instance.get_runs()
    kill_group(before)
    os.kill(int(lost.tags[PROCESS].split()[1]), signal.SIGKILL)
    exchange.clear_faults()

    home.dagster("sensor", "start", "-f", LOCATION, "lost_runs")
    daemon()
    until(lambda: succeeded(instance, 1), "the run, done again")

    again, given_up = instance.get_runs()
    assert (given_up.run_id, given_up.status) == (lost.run_id, dg.DagsterRunStatus.FAILURE)
    assert again.parent_run_id == lost.run_id
    [failure] = instance.all_logs(lost.run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
    assert "is gone: killed, or the host stopped" in failure.message


def test_a_run_that_failed_on_one_day_is_followed_by_what_it_left_out_of_the_others(
    home: Home, instance: dg.DagsterInstance, daemon: Callable[[], "subprocess.Popen[bytes]"]
) -> None:
    bad = home.folder / "lake/ledger/archives/exchange=binance/market=spot/interval=1h/date=2024-03-02/part.parquet"
    bad.parent.mkdir(parents=True)
    bad.write_bytes(b"PAR1")
    home.launch("spot_4h", Kind.REPAIR, last="2024-03-03")
    home.dagster("sensor", "start", "-f", LOCATION, "left_behind")

    daemon()
    until(lambda: succeeded(instance, 2), "a run for each stretch of good days")

    keys = [dg.AssetKey(["binance", "spot", name]) for name in ("klines_1h", "resampled_klines_4h")]
    assert [instance.get_materialized_partitions(key) for key in keys] == [{DAY, "2024-03-03"}] * 2
    followers = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.SUCCESS]))
    for run in followers:
        checked = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
        assert len(checked) >= len(RULES)


def test_a_command_that_was_killed_holds_up_no_other(
    home: Home, exchange: EmbeddedExchange, instance: dg.DagsterInstance
) -> None:
    exchange.add_fault(kind="delay", group="archives", seconds=600.0)
    words = ["asset", "materialize", "-f", LOCATION, "--select", "+binance/spot/klines_1h", "--partition", DAY]
    killed = home.start("dagster", *words)
    until(lambda: any(PROCESS in run.tags for run in instance.get_runs()), "a run that has begun")
    kill_group(killed)
    exchange.clear_faults()

    home.dagster(*words)

    assert succeeded(instance, 1)
