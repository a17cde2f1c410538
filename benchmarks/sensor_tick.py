"""What a tick of the published-days sensor costs: listing requests, seconds, bytes of cursor, run requests.

    python -m benchmarks.sensor_tick [--symbols 500] [--days 3400] [--rounds 3]

The real sensor on an ephemeral Dagster instance, the embedded exchange in a process of its own, one core for both. A
lake that knows all days is made by writing the same ledger everywhere. Counts hold on any machine; seconds are the
median of the rounds, beside the 60 s after which Dagster ends a tick.
"""

import argparse
import json
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import httpx

from benchmarks.throughput import serve
from klines_pipeline.defs.build import build_definitions
from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.interval import Interval
from klines_pipeline.domain.states import ArchiveState
from klines_pipeline.domain.utc_day import days_between
from klines_pipeline.klines.ledgers import ARCHIVE_SCHEMA, ArchiveEntry, to_frame
from klines_pipeline.settings import Settings
from klines_pipeline.storage.layout import DayPaths
from klines_pipeline.storage.tables import to_parquet

NEWEST = date(2025, 3, 3)
MORNING, NIGHT = datetime(2025, 3, 4, 9, tzinfo=UTC), datetime(2025, 3, 4, 0, 30, tzinfo=UTC)
LATE_SHARE = 0.08


class Bench:
    """One lake and its sensor."""

    def __init__(self, environment: dict[str, str], folder: Path, symbols: Sequence[str], start: date) -> None:
        config = {"datasets": [{"interval": "1m", "start": str(start), "symbols": [*symbols]}]}
        path = folder / "klines.yaml"
        path.write_text(json.dumps(config), "utf-8")
        self.lake, self.symbols = folder / "lake", symbols
        self.dataset = Dataset("binance", "spot", Interval.parse("1m"), tuple(symbols), start)
        settings = {**environment, "KLINES_CONFIG": str(path), "KLINES_LAKE": str(self.lake)}
        self.definitions = build_definitions(Settings.from_env(settings))
        self.control = f"{environment['KLINES_VISION_DOWNLOAD_URL']}/control"

    def fill(self, days: Iterable[date], late: Iterable[str] = ()) -> None:
        """Ledgers as runs would have left them."""
        missing = set(late)
        entries = [
            ArchiveEntry(symbol=name, key=name, state=ArchiveState.NOT_PUBLISHED)
            if name in missing
            else ArchiveEntry(symbol=name, key=name, state=ArchiveState.OK, etag="e", size=1, revision=1)
            for name in self.symbols
        ]
        content = to_parquet(to_frame(entries, ARCHIVE_SCHEMA))
        for day in days:
            path = self.lake / DayPaths.of(self.dataset, day).archives
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def tick(self, now: datetime, cursor: str | None) -> tuple[Any, dict[str, int], float]:
        """The sensor's answer, requests by kind, and seconds."""
        httpx.post(f"{self.control}/clock", json={"now": now.isoformat()}).raise_for_status()
        httpx.delete(f"{self.control}/requests").raise_for_status()
        with dg.DagsterInstance.ephemeral() as instance:
            context = dg.build_sensor_context(
                instance, cursor, definitions=self.definitions, resources=self.definitions.resources
            )
            sensor = self.definitions.resolve_sensor_def("binance__spot__klines_1m__published_days")
            began = time.perf_counter()
            answer = sensor.evaluate_tick(context)
            seconds = time.perf_counter() - began
        counts = httpx.get(f"{self.control}/requests").json()
        return answer, {"listing": counts["listing"], "rest": counts["rest_total"]}, seconds

    def show(self, title: str, now: datetime, rounds: int) -> None:
        """Tick some times from a lost cursor, and print."""
        answers = [self.tick(now, None) for _ in range(rounds)]
        answer, requests, _ = answers[-1]
        seconds = statistics.median(seconds for _, _, seconds in answers)
        size, days = len((answer.cursor or "").encode()), sum(map(_days, answer.run_requests or ()))
        print(
            f"{title:38s} {requests['listing']:5d} {requests['rest']:5d} {seconds:8.2f} {size:7d} "
            f"{len(answer.run_requests or ()):5d} {days:5d}  {(answer.skip_message or '')[:60]}"
        )


def _days(request: dg.RunRequest) -> int:
    first, last = (request.tags[f"dagster/asset_partition_range_{end}"] for end in ("start", "end"))
    return (date.fromisoformat(last) - date.fromisoformat(first)).days + 1


def main() -> None:
    """Print a line for each situation."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--symbols", type=int, default=500)
    parser.add_argument("--days", type=int, default=3400)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    symbols = [f"X{number:04d}USDT" for number in range(1, options.symbols + 1)]
    late = symbols[:: round(1 / LATE_SHARE)]
    start = NEWEST - timedelta(days=options.days - 1)
    here, there = multiprocessing.get_context("spawn").Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(options.symbols, there), daemon=True)
    server.start()
    environment = here.recv()
    print(f"{options.symbols} symbols, {options.days} days".ljust(38), " list  rest  seconds  cursor  runs  days")
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(environment, Path(folder), symbols, start)
        bench.show("first tick on an empty lake", MORNING, options.rounds)
        bench.fill(days_between(start, NEWEST - timedelta(days=1)))
        bench.show("all known, newest not published", NIGHT, options.rounds)
        bench.tick(MORNING, None)  # the exchange makes the archives it lists
        bench.show("all known, newest published", MORNING, options.rounds)
        bench.fill([NEWEST], late)
        for name in late:
            held = {"symbol": name, "day": str(NEWEST), "never": True}
            httpx.post(f"{bench.control}/publication", json=held).raise_for_status()
        bench.show(f"all known, {len(late)} stragglers", MORNING, options.rounds)
        bench.fill([NEWEST])
        bench.show("all known and complete", MORNING, options.rounds)
    here.send("stop")
    server.join()


if __name__ == "__main__":
    main()
