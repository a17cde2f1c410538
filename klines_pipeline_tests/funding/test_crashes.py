"""Runs of funding that are killed, and two at once."""

import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.conftest import endpoints_of
from klines_pipeline_tests.faults.lakes import all_files
from klines_pipeline_tests.funding.conftest import Fund, failures
from klines_pipeline_tests.funding.february import UM, rewrite, with_rate

ROOT = Path(__file__).parents[2]


def kill_at_each_rename(exchange: EmbeddedExchange, before: Path, into: Path, days: list[str]) -> list[Lake]:
    """Copies of a lake, each left behind by a run killed one rename later than the one before; the last run lived."""
    order = {"before": str(before), "into": str(into), "endpoints": endpoints_of(exchange)}
    into.mkdir()
    done = subprocess.run(
        [
            sys.executable,
            str(Path(__file__).with_name("funding_process.py")),
            json.dumps({**order, "symbols": UM.symbols, "days": days}),
        ],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=170,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [Lake(str(folder)) for folder in sorted(into.iterdir())]


def test_a_run_killed_at_any_rename_is_completed_by_the_next(
    exchange: EmbeddedExchange, lake: Lake, fund: Fund, tmp_path: Path
) -> None:
    fund([UM], "2025-02-12")
    fund([UM], "2025-02-20")
    before = tmp_path / "before"
    shutil.copytree(lake.base, before)
    exchange.set_clock(datetime(2025, 3, 5, 9, tzinfo=UTC))
    rewrite(exchange, lambda lines: with_rate("2025-02-12", "0.1")(with_rate("2025-02-20", "0.2")(lines)))
    fund([UM], "2025-02-12", "2025-02-13")
    fund([UM], "2025-03-01")

    killed = kill_at_each_rename(exchange, before, tmp_path / "killed", ["2025-02-12", "2025-02-13", "2025-03-01"])

    assert len(killed) > 10
    for left in killed:
        for path in all_files(left):
            if path.endswith(".parquet"):
                pl.read_parquet(Path(left.base, path), hive_partitioning=False)
        assert failures(fund([UM], "2025-02-12", "2025-02-13", into=left)) == {}
        assert failures(fund([UM], "2025-03-01", into=left)) == {}
        assert all_files(left) == all_files(lake), left.base


def test_two_runs_of_the_same_days_at_once_download_each_archive_once(
    exchange: EmbeddedExchange, lake: Lake, fund: Fund
) -> None:
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(fund, [UM], "2025-02-20", "2025-03-02") for _ in range(2)]
        results = [run.result() for run in runs]

    assert [failures(days) for days in results] == [{}, {}]
    assert exchange.requests()["duplicate_downloads"] == {}
    assert exchange.requests()["funding"] == 2
