"""A requested run in a process of its own, killed with -9 when half of its archives are there.

As a script: `python -m klines_pipeline_tests.unattended.killed_run FOLDER`, the request as JSON on standard input.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg

from klines_pipeline.defs.automation.run_requests import days_of_run
from klines_pipeline.defs.build import build_definitions
from klines_pipeline.settings import Settings
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline_tests.unattended.stepped_daemon import Ask, subset_of

PROJECT = Path(__file__).parents[2]
_SOME = 10
"""Archives downloaded before the run is killed."""


def killed_in_the_middle(
    exchange: EmbeddedExchange, folder: Path, instance: dg.DagsterInstance, ask: Ask
) -> tuple[dg.DagsterRun, set[str]] | None:
    """The run it left behind, begun and never ended, and the archives asked for that it had not kept by then.

    None if it was over too soon: a run with few archives to fetch.
    """
    exchange.add_fault(kind="delay", group="archives", seconds=0.2)
    process = subprocess.Popen(
        [sys.executable, "-m", "klines_pipeline_tests.unattended.killed_run", str(folder)],
        cwd=PROJECT,
        env={"PYTHONPATH": str(PROJECT), "KLINES_CONFIG": str(folder / "klines.yaml"), **exchange.environment()},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdin is not None
    process.stdin.write(order_of(ask.request))
    process.stdin.close()
    before = exchange.requests()["archives"]
    while process.poll() is None and exchange.requests()["archives"] - before < _SOME:
        time.sleep(0.02)
    process.kill()
    process.wait()
    exchange.clear_faults()
    left = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
    return (left[0], _not_kept(exchange, folder / "lake", left[0])) if left else None


def _not_kept(exchange: EmbeddedExchange, lake: Path, run: dg.DagsterRun) -> set[str]:
    keys = {
        f"data/spot/daily/klines/{symbol}/1m/{symbol}-1m-{day}.zip"
        for symbol in exchange.market.listings
        for day in days_of_run(run)
    }
    return {key for key in keys if not (lake / "vision" / key).is_file()}


def order_of(request: dg.RunRequest) -> str:
    """A request as JSON."""
    checks = request.asset_check_keys
    named = None if checks is None else [[key.asset_key.path, key.name] for key in checks]
    assets = [key.path for key in request.asset_selection or ()]
    return json.dumps({"assets": assets, "checks": named, "tags": dict(request.tags)})


def request_of(order: str) -> dg.RunRequest:
    """The request again."""
    read = json.loads(order)
    checks = read["checks"]
    return dg.RunRequest(
        asset_selection=[dg.AssetKey(path) for path in read["assets"]],
        asset_check_keys=None
        if checks is None
        else [dg.AssetCheckKey(dg.AssetKey(path), name) for path, name in checks],
        tags=read["tags"],
    )


def main() -> None:
    """The victim."""
    folder, request = sys.argv[1], request_of(sys.stdin.read())
    with dg.DagsterInstance.local_temp(folder, overrides={"telemetry": {"enabled": False}}) as instance:
        definitions = build_definitions(Settings.from_env())
        subset_of(definitions, request).execute_in_process(instance=instance, tags=dict(request.tags))


if __name__ == "__main__":
    main()
