"""Running the project as a user does: its commands, in a folder with a klines.yaml."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pytest

from klines_pipeline.simulator.server import EmbeddedExchange

PROJECT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Workplace:
    """A folder with klines.yaml and the project's dagster.yaml, and the exchange its commands talk to."""

    folder: Path
    exchange: EmbeddedExchange

    def run(self, command: str, *words: str) -> "subprocess.CompletedProcess[str]":
        """`dagster ...` or `klines ...` of this very interpreter; DAGSTER_HOME is not set."""
        return subprocess.run(
            [str(Path(sys.executable).with_name(command)), *words],
            cwd=self.folder,
            env={**os.environ, **self.exchange.environment()},
            capture_output=True,
            text=True,
            timeout=170,
            check=False,
        )

    def materialize(self, *words: str, table: str = "klines_1m") -> "subprocess.CompletedProcess[str]":
        """`dagster asset materialize` with the table and everything it needs."""
        select = ["--select", f"+binance/spot/{table}"]
        return self.run("dagster", "asset", "materialize", "-m", "klines_pipeline.definitions", *select, *words)

    def digests(self) -> dict[str, str]:
        """SHA-256 of every file of the lake, locks excepted."""
        lake = self.folder / "lake"
        files = (path for path in lake.rglob("*") if path.is_file() and ".locks" not in path.parts)
        return {str(path.relative_to(lake)): sha256(path.read_bytes()).hexdigest() for path in files}


def workplace(folder: Path, exchange: EmbeddedExchange, symbols: Sequence[str], *intervals: str) -> Workplace:
    """Write klines.yaml for these symbols."""
    paragraphs = [
        f"  - interval: {interval}\n    start: 2017-08-17\n    symbols: [{', '.join(symbols)}]"
        for interval in intervals
    ]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "klines.yaml").write_text("\n".join(["datasets:", *paragraphs]), "utf-8")
    (folder / "dagster.yaml").write_text((PROJECT / "dagster.yaml").read_text("utf-8"), "utf-8")
    return Workplace(folder, exchange)


@pytest.fixture
def project() -> Path:
    """The checkout."""
    return PROJECT
