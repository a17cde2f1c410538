"""A run in a process of its own, for tests that kill it, take its disk away, or start it twice.

`python ingest_process.py '{"lake": ..., "endpoints": {...}, "symbols": [...], "interval": ..., "days": [...]}'`

`store` holds options of an object store; `largest_file` limits what it can write; `state` is the folder in which it
hears of bans. `kill_each: {"before": folder,
"into": folder}` lets a run on a copy of `before` die at its first rename, a run on a second copy at its second, and so
on until one lives to the end.
"""

import itertools
import json
import os
import resource
import shutil
import signal
import sys
from datetime import date
from pathlib import Path
from typing import Any

from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.interval import Interval
from klines_pipeline.exchanges.registry import connect
from klines_pipeline.stages.ingest import Ingest
from klines_pipeline.storage.lake import Lake


def ingest(lake: str, order: dict[str, Any]) -> bool:
    """Run the days; whether all were good."""
    dataset = Dataset("binance", "spot", Interval.parse(order["interval"]), tuple(order["symbols"]), date(2017, 8, 17))
    market = connect("binance", "spot", order["endpoints"], order.get("state"))
    results = [
        *Ingest(Lake(lake, order.get("store", {})), market, dataset).days(
            [date.fromisoformat(day) for day in order["days"]]
        )
    ]
    for result in results:
        print(result.day, dict(result.failures), flush=True)
    return not any(result.failures for result in results)


def die_at_rename(number: int) -> None:
    """Be killed, as by `kill -9`, when this process is about to rename its file number `number`."""
    renames = itertools.count(1)

    def watch(event: str, _: tuple[Any, ...]) -> None:
        if event == "os.rename" and next(renames) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)


def kill_each(before: Path, into: Path, order: dict[str, Any]) -> None:
    """One run for each rename there is; each leaves its lake in `into`, named by the number of the rename."""
    for number in itertools.count(1):
        lake = into / f"{number:03}"
        shutil.copytree(before, lake)
        child = os.fork()
        if not child:
            die_at_rename(number)
            os._exit(0 if ingest(str(lake), order) else 1)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            sys.exit(os.WEXITSTATUS(status))


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    if "largest_file" in given:
        resource.setrlimit(resource.RLIMIT_FSIZE, (given["largest_file"], given["largest_file"]))
    print("ready", flush=True)
    if "kill_each" in given:
        kill_each(Path(given["kill_each"]["before"]), Path(given["kill_each"]["into"]), given)
    sys.exit(0 if ingest(given["lake"], given) else 1)
