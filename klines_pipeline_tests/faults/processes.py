"""Starting `ingest_process` and talking to it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline_tests.conftest import endpoints_of

_SCRIPT = Path(__file__).with_name("ingest_process.py")
_ROOT = Path(__file__).parents[2]


def start(exchange: EmbeddedExchange, **order: Any) -> "subprocess.Popen[str]":
    """A process about to ingest: it has said `ready`."""
    text = json.dumps({"endpoints": endpoints_of(exchange), **order})
    process = subprocess.Popen(
        [sys.executable, str(_SCRIPT), text],
        cwd=_ROOT,
        env={"PYTHONPATH": str(_ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    first = process.stdout.readline()
    assert first == "ready\n", first + process.stdout.read()
    return process


def finish(process: "subprocess.Popen[str]") -> tuple[int, str]:
    """Its exit code and what it said."""
    output, _ = process.communicate(timeout=120)
    return process.returncode, output
