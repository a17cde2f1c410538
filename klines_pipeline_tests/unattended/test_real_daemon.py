"""Dagster's own daemon on an exchange whose days pass in a minute: nobody switches anything on, and the days arrive."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from klines_pipeline.domain.utc_day import day_end, days_between
from klines_pipeline.query.certificates import certificates, is_settled
from klines_pipeline.settings import Settings
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.unattended.families import wait_for, working_in

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PROJECT = Path(__file__).parents[2]
BEGINS = datetime(2025, 2, 12, 20, tzinfo=UTC)
FIRST, LAST = BEGINS.date() - timedelta(days=2), BEGINS.date() + timedelta(days=2)
KLINES = dg.AssetKey(["binance", "spot", "klines_1m"])
CONFIG = f"""\
lake: ./lake
automation: {{freshness_minutes: 1}}
datasets:
  - {{market: spot, interval: 1m, start: {FIRST}, resample: [1h], symbols: [BTCUSDT, ETHUSDT, SOLUSDT]}}
"""


@contextmanager
def daemon(folder: Path, exchange: EmbeddedExchange) -> "Iterator[subprocess.Popen[bytes]]":
    """`dagster-daemon run` in this folder; stopped as an operator stops it, and gone with all its processes."""
    own = {"DAGSTER_HOME": str(folder), "KLINES_CONFIG": str(folder / "klines.yaml"), "PYTHONPATH": str(PROJECT)}
    with (folder / "daemon.log").open("wb") as log:
        process = subprocess.Popen(
            [str(Path(sys.executable).with_name("dagster-daemon")), "run", "-m", "klines_pipeline.definitions"],
            cwd=folder,
            env={**os.environ, **exchange.environment(), **own},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield process
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0
            wait_for(lambda: not working_in(folder), 60, what="processes of the daemon end")
        finally:
            if working_in(folder):
                os.killpg(process.pid, signal.SIGKILL)


def is_materialized(folder: Path) -> bool:
    """Whether Dagster shows every day green."""
    days = [str(day) for day in days_between(FIRST, LAST)]
    with dg.DagsterInstance.from_config(str(folder)) as instance:
        return set(days) <= set(instance.get_materialized_partitions(KLINES))


def test_days_arrive_by_themselves_and_nothing_is_left_when_the_daemon_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # dagster.yaml names folders that are relative
    (tmp_path / "dagster.yaml").write_text((PROJECT / "dagster.yaml").read_text("utf-8"), "utf-8")
    (tmp_path / "klines.yaml").write_text(CONFIG, "utf-8")
    settings = Settings.from_env({"KLINES_CONFIG": str(tmp_path / "klines.yaml")})
    [dataset], lake = settings.datasets, Lake(settings.lake)

    def all_published() -> bool:
        proofs = certificates(lake, dataset, first=FIRST, last=LAST)
        return proofs["from_vision"].sum() == 3 * 1440 * len(list(days_between(FIRST, LAST)))

    with EmbeddedExchange(now=BEGINS, rate=1440) as exchange, daemon(tmp_path, exchange) as process:
        wait_for(lambda: exchange.now() > day_end(LAST) + timedelta(hours=6), 300, what="the last day is published")
        exchange.set_clock(rate=0)
        wait_for(lambda: process.poll() is not None or all_published(), 300, what="every archive is in the table")
        wait_for(lambda: is_materialized(tmp_path), 60, what="every day is green")

    assert is_settled(certificates(lake, dataset, first=FIRST, last=LAST))
    assert set(exchange.requests()["duplicate_downloads"]) == set()
