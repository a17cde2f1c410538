"""What a browser needs to look at the project: the UI on an embedded exchange in a folder of its own, and Chromium."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from playwright.sync_api import Browser, sync_playwright

from klines_pipeline.simulator.server import EmbeddedExchange

PROJECT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium")
FLAGS = [
    "--no-sandbox",  # root has none
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",  # containers give it 64 MB
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
_START_SECONDS = 120.0
_STOP_SECONDS = 30.0


def furnish(folder: Path, config: str) -> None:
    """A workplace: klines.yaml and the project's own dagster.yaml and workspace.yaml."""
    (folder / "klines.yaml").write_text(config, "utf-8")
    for name in ("dagster.yaml", "workspace.yaml"):
        shutil.copy(PROJECT / name, folder / name)


@contextmanager
def user_interface(folder: Path, exchange: EmbeddedExchange) -> Iterator[str]:
    """`dagster dev` in the folder; yields its address once it answers. Nothing of it is left behind."""
    port = _free_port()
    words = [sys.executable, "-m", "dagster", "dev", "-w", "workspace.yaml", "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "dev.log").open("wb") as log:
        process = subprocess.Popen(
            words,
            cwd=folder,
            env=_environment(exchange),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a group of its own: it is stopped as one
        )
        try:
            _await(process, f"http://127.0.0.1:{port}/server_info", folder / "dev.log")
            yield f"http://127.0.0.1:{port}"
        finally:
            _stop(process)


def materialize(folder: Path, exchange: EmbeddedExchange, first: str, last: str) -> int:
    """Everything for a range of days by Dagster's own command, into the history that the UI shows; its exit code."""
    words = [
        "asset",
        "materialize",
        "-m",
        "klines_pipeline.definitions",
        "--select",
        "*",
        "--partition-range",
        f"{first}...{last}",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "dagster", *words],
        cwd=folder,
        env=_environment(exchange),
        capture_output=True,
        timeout=170,
        check=False,
    )
    return done.returncode


@contextmanager
def chromium(flags: Sequence[str] = FLAGS) -> Iterator[Browser]:
    """Debian's browser, with a profile of its own, headless."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, headless=True, args=[*flags])
        try:
            yield browser
        finally:
            browser.close()


def _environment(exchange: EmbeddedExchange) -> dict[str, str]:
    """The machine's, without what would point elsewhere than to the folder and the exchange."""
    ours = ("KLINES_", "DAGSTER_", "AWS_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**kept, **exchange.environment(), "PYTHONPATH": str(PROJECT), "NO_PROXY": "127.0.0.1"}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await(process: "subprocess.Popen[bytes]", address: str, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urlopen(address, timeout=5) as answer:  # noqa: S310 - our own loopback address
                if answer.status == 200:
                    return
        except (URLError, OSError):
            time.sleep(0.2)
    raise TimeoutError(f"The UI did not start:\n{log.read_text('utf-8', 'replace')[-4000:]}")


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """As Ctrl-C would; whatever is left of the group after a while is killed."""
    process.send_signal(signal.SIGINT)
    try:
        with suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_SECONDS)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
