"""`make dev EXCHANGE=embedded`: Dagster's UI and daemon on an embedded exchange whose days pass in minutes.

What happens there is told on the terminal as it happens; what Dagster makes of it is to be seen in the UI. All state is
in a folder of its own, made anew each time.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import FrameType

from klines_pipeline.domain.utc_day import days_between
from klines_pipeline.settings import child_environment
from klines_pipeline.simulator.happenings import Happenings, Plan, late_archives, rewrites
from klines_pipeline.simulator.server import EmbeddedExchange

FOLDER = Path(".dagster") / "embedded"
NOW = datetime(2025, 3, 2, 19, tzinfo=UTC)
"""On the exchange's clock. At midnight archives begin to come; at noon after it NOVAUSDT is listed."""
FIRST = date(2025, 2, 26)
CONFIG = f"""\
lake: ./lake
automation: {{freshness_minutes: 1}}
datasets:
  - {{market: spot, interval: 1m, start: {FIRST}, resample: [1h], symbols: {{quote: [USDT]}}}}
"""
_STORY = timedelta(days=120)
"""How long things happen; after that all archives are on time."""
_LATE_SHARE = 0.15
_SEED = 7
_PATIENCE = 30.0
"""Seconds that Dagster gets to end by itself."""


def main() -> None:
    """Run until Ctrl-C; exit code 1 if Dagster ends by itself."""
    parser = argparse.ArgumentParser(prog="python -m klines_pipeline.demo.live", description=__doc__)
    parser.add_argument("--port", type=int, default=3000, help="of the UI")
    parser.add_argument("--minutes-a-day", type=float, default=10.0, help="minutes here that a day takes there")
    options = parser.parse_args()
    finished, folder = _interruption(), _fresh_folder()
    with (
        EmbeddedExchange(now=NOW, rate=1440 / options.minutes_a_day, seed=_SEED) as exchange,
        _dagster(folder, exchange, options.port) as dagster,
    ):
        happenings = Happenings(exchange, _plan(exchange))
        happenings.begin()
        _introduce(happenings.plan, exchange, options.port, options.minutes_a_day)
        while not finished.wait(1.0) and dagster.poll() is None:
            for words in happenings.advance():
                print(f"{exchange.now():%Y-%m-%d %H:%M}  {words}", flush=True)
        if not finished.is_set():
            sys.exit(f"Dagster ended by itself, with exit code {dagster.returncode}; see {folder / 'dagster.log'}.")
    print("Everything has ended.", flush=True)


def _interruption() -> threading.Event:
    """Set by Ctrl-C, by SIGTERM and when the terminal closes."""
    finished = threading.Event()

    def finish(number: int, frame: FrameType | None) -> None:
        finished.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, finish)
    return finished


def _fresh_folder() -> Path:
    """A folder with its own klines.yaml and the project's dagster.yaml; what an earlier exchange left is removed."""
    if not Path("dagster.yaml").is_file():
        sys.exit("There is no dagster.yaml here. Start it from the project's folder, with make dev EXCHANGE=embedded.")
    folder = FOLDER.absolute()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copy("dagster.yaml", folder)
    (folder / "klines.yaml").write_text(CONFIG, "utf-8")
    return folder


@contextmanager
def _dagster(folder: Path, exchange: EmbeddedExchange, port: int) -> "Iterator[subprocess.Popen[bytes]]":
    """`dagster dev` in a session of its own, told of Ctrl-C once, by us; all of it is gone afterwards."""
    words = [sys.executable, "-m", "dagster", "dev", "-m", "klines_pipeline.definitions", "--port", str(port)]
    own = {
        "KLINES_CONFIG": str(folder / "klines.yaml"),
        "KLINES_LAKE": str(folder / "lake"),
        "DAGSTER_HOME": str(folder),
    }
    with (folder / "dagster.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter, fixed words
            words,
            cwd=folder,
            env=child_environment({**exchange.environment(), **own}),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(_PATIENCE)
            with suppress(ProcessLookupError):  # runs under way outlive it, and so does a server that hangs
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _plan(exchange: EmbeddedExchange) -> Plan:
    """From the day in progress on: some archives late each day, one of every second day rewritten."""
    symbols = [name for name, listing in exchange.market.listings.items() if listing.trades_on(NOW.date())]
    days = list(days_between(NOW.date() - timedelta(days=2), (NOW + _STORY).date()))
    late = late_archives(_SEED, symbols, days[2:], _LATE_SHARE)
    return Plan(late, rewrites(_SEED, symbols, days[::2], late))


def _introduce(plan: Plan, exchange: EmbeddedExchange, port: int, minutes_a_day: float) -> None:
    """Where to look, and what is going to be seen when."""
    midnight = timedelta(days=1) - timedelta(hours=NOW.hour)

    def minutes(hours: float) -> str:
        return f"in {(midnight + timedelta(hours=hours)) / timedelta(days=1) * minutes_a_day:.0f} min"

    first, rewritten = NOW.date(), plan.rewrites[0]
    late = ", ".join(f"{held.symbol} ({held.until:%d. %H:%M})" for held in plan.late if held.day == first)
    hours = (rewritten.at - NOW - midnight) / timedelta(hours=1)
    print(f"Dagster: 127.0.0.1:{port}, in a quarter of a minute. State, lake and log: {FOLDER}/. Ctrl-C ends it all.")
    print(
        f"The exchange: {exchange.url}, {NOW:%Y-%m-%d %H:%M} UTC; a day takes {minutes_a_day:g} min (/control/clock)."
    )
    print(f"Now: sensors ask for the days since {FIRST}; from then on the day in progress follows REST each minute.")
    print(f"Midnight there {minutes(0)}. Archives of {first} appear {minutes(2.2)}, late ones: {late or 'none'}.")
    print(f"{rewritten.symbol} of {rewritten.day} is rewritten {minutes(hours)}: klines revisions shows it then.")
    print(
        "Watch: Automation, with the reason of every tick; Runs, tag klines/reason; the asset binance/spot/klines_1m."
    )
    sys.stdout.flush()


if __name__ == "__main__":
    main()
