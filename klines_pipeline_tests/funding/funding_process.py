"""Runs of funding in a process of its own, each killed one rename later than the one before, until one lives.

`python funding_process.py '{"before": folder, "into": folder, "endpoints": {...}, "symbols": [...], "days": [...]}'`
"""

import itertools
import json
import os
import shutil
import sys
from datetime import date
from pathlib import Path
from typing import Any

from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.interval import Interval
from klines_pipeline.exchanges.registry import connect
from klines_pipeline.stages.funding.dataset import FundingDataset
from klines_pipeline.stages.funding.ingest import FundingIngest
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.faults.ingest_process import die_at_rename


def ingest(lake: str, order: dict[str, Any]) -> bool:
    """Run the days; whether all were good."""
    paragraph = Dataset("binance", "um", Interval.parse("1h"), tuple(order["symbols"]), date(2019, 9, 1), funding=True)
    market = connect("binance", "um", order["endpoints"])
    run = FundingIngest(Lake(lake), market, FundingDataset("binance", "um", (paragraph,)))
    results = list(run.days([date.fromisoformat(day) for day in order["days"]]))
    return not any(day.failures for day in results)


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    for number in itertools.count(1):
        copy = Path(given["into"], f"{number:03}")
        shutil.copytree(given["before"], copy)
        child = os.fork()
        if not child:
            die_at_rename(number)
            os._exit(0 if ingest(str(copy), given) else 1)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            sys.exit(os.WEXITSTATUS(status))
