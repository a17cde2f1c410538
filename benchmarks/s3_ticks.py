"""What ticks cost on a lake in S3 that knows years: the reads of sensors and schedules, with a distance to the store.

    python -m benchmarks.s3_ticks [--symbols 500] [--days 3400] [--milliseconds 20]

A real S3-compatible server (moto) and the embedded exchange in processes of their own; in another a front that adds the
distance to every request and answers from memory what it was asked before. All share this machine's cores. Seconds, of
the second time, stand beside the 60 s after which Dagster ends a tick. The ratio compares reading ledgers as ticks do
with reading them one after the other, in the same run.
"""

import argparse
import logging
import multiprocessing
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from multiprocessing.connection import Connection
from typing import Any

import httpx
import polars as pl
from moto.server import ThreadedMotoServer

from benchmarks.sensor_tick import NEWEST, NIGHT
from benchmarks.throughput import serve
from klines_pipeline.domain.automation import Automation
from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.interval import Interval
from klines_pipeline.domain.states import ArchiveState
from klines_pipeline.domain.utc_day import day_end, days_between
from klines_pipeline.exchanges.registry import connect
from klines_pipeline.klines.ledgers import ARCHIVE_SCHEMA, CERTIFICATE_SCHEMA, ArchiveEntry, to_frame
from klines_pipeline.stages.watching.comparison_cursor import ComparisonCursor
from klines_pipeline.stages.watching.freshness import wanted_for_freshness
from klines_pipeline.stages.watching.held_versions import read_versions
from klines_pipeline.stages.watching.published_days import watch
from klines_pipeline.stages.watching.safety_net import examined_days, older_days, older_repairs, wanted_repairs
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.layout import DayPaths
from klines_pipeline.storage.tables import read_many, read_table, stored_days, to_parquet

TICK_LIMIT = 60
ONE_BY_ONE = 60
KEYS = {"key": "anything", "secret": "anything"}
MARKS = pl.Schema({name: ARCHIVE_SCHEMA[name] for name in ("symbol", "state", "etag", "size", "error")})
MINUTES = 1440


def serve_s3(pipe: Connection) -> None:
    """The store, until the other side says stop."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    pipe.send(f"http://{host}:{port}")
    pipe.recv()
    server.stop()


@contextmanager
def served(target: Callable[..., None], *arguments: Any) -> Iterator[Any]:
    """What a server in a process of its own says of itself."""
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    process = spawn.Process(target=target, args=(*arguments, there))
    process.start()
    try:
        yield here.recv()
    finally:
        here.send("stop")
        process.join()


@contextmanager
def away(url: str, milliseconds: float) -> Iterator[str]:
    """The same store at a distance."""
    command = [sys.executable, "-m", "klines_pipeline_tests.storage.front", url, str(milliseconds)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        assert process.stdin is not None
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.stdin.close()


def fill(lake: Lake, dataset: Dataset, days: Sequence[date]) -> None:
    """Archives and certificates as runs would have left them: all there, nothing missing."""
    entries = [
        ArchiveEntry(
            symbol=name, key=f"data/{name}", state=ArchiveState.OK, etag=f"{place:032x}", size=place, revision=1
        )
        for place, name in enumerate(dataset.symbols)
    ]
    archives = to_parquet(to_frame(entries, ARCHIVE_SCHEMA))
    whole = {"expected": MINUTES, "present": MINUTES, "from_vision": MINUTES, "missing": 0, "missing_ranges": []}
    told = {"reason": "complete", "checked_at": day_end(days[-1])}
    proofs = pl.DataFrame([{"symbol": name, **whole, **told} for name in dataset.symbols], schema=CERTIFICATE_SCHEMA)
    certificates, paths = to_parquet(proofs), [DayPaths.of(dataset, day) for day in days]
    lake.fs.pipe({f"{lake.base}/{path.archives}": archives for path in paths})
    lake.fs.pipe({f"{lake.base}/{path.certificates}": certificates for path in paths})


class Bench:
    """One lake at a distance, one exchange."""

    def __init__(self, lake: Lake, dataset: Dataset, endpoints: dict[str, str]) -> None:
        self.lake, self.dataset, self.endpoints, self.automation = lake, dataset, endpoints, Automation()

    def published(self) -> str:
        """The sensor of published days."""
        market = connect("binance", "spot", self.endpoints)
        return watch(self.lake, market, self.dataset, self.automation, None, log=lambda _: None).words

    def compared(self) -> str:
        """The sensor of rewritten archives, without the listings: the exchange here would make each archive first."""
        rounds, today = ComparisonCursor(passed=NIGHT.date()), NIGHT.date()
        stored = stored_days(self.lake, "ledger/archives", *self.dataset.prefix, str(self.dataset.interval))
        due = rounds.due(stored, today, self.automation.revisit_days)
        assert due is not None
        return f"{len(due.days)} days, {read_versions(self.lake, self.dataset, due.days)[0].height} versions"

    def fresh(self) -> str:
        """The freshness schedule."""
        return f"{len(wanted_for_freshness(self.lake, self.dataset, NIGHT, archived=True))} wish(es)"

    def repaired(self) -> str:
        """The safety net: the last month, and its seventh of all history."""
        today, longest = NIGHT.date(), 16
        days = examined_days(self.dataset.start, today, self.automation.safety_net_days)
        older = older_days(self.lake, self.dataset, days[0], today, longest)
        lately = wanted_repairs(self.lake, self.dataset, days, today, {})
        return f"{len(lately) + len(older_repairs(self.lake, self.dataset, older, today, {}, longest))} wish(es)"


def timed(work: Callable[[], object]) -> tuple[float, object]:
    """Seconds, and what came of it."""
    began = time.perf_counter()
    came = work()
    return time.perf_counter() - began, came


def show(title: str, work: Callable[[], object]) -> None:
    """A line."""
    work()
    seconds, came = timed(work)
    print(f"{title:42s} {seconds:7.2f} s of {TICK_LIMIT}   {str(came)[:70]}", flush=True)


def compare_reads(lake: Lake, paths: Sequence[str]) -> None:
    """All ledgers as ticks read them; some, one after the other."""
    read_many(lake, paths, MARKS)
    together, rows = timed(lambda: read_many(lake, paths, MARKS).height)
    some = paths[:: max(len(paths) // ONE_BY_ONE, 1)]
    for path in some:
        read_table(lake, path, ARCHIVE_SCHEMA)
    alone, _ = timed(lambda: [read_table(lake, path, ARCHIVE_SCHEMA) for path in some])
    ratio = (alone / len(some)) / (together / len(paths))
    print(f"{f'all {len(paths)} ledgers in one tick, {rows} rows':42s} {together:7.2f} s of {TICK_LIMIT}")
    print(
        f"{'one after the other':42s} {alone / len(some) * len(paths):7.2f} s, from {len(some)} of them: {ratio:.1f} x"
    )


def main() -> None:
    """Fill a bucket, and print a line for each tick."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--symbols", type=int, default=500)
    parser.add_argument("--days", type=int, default=3400)
    parser.add_argument("--milliseconds", type=float, default=20.0)
    options = parser.parse_args()
    symbols = tuple(f"X{number:04d}USDT" for number in range(1, options.symbols + 1))
    newest = NEWEST - timedelta(days=1)
    start = newest - timedelta(days=options.days - 1)
    days, dataset = [*days_between(start, newest)], Dataset("binance", "spot", Interval.parse("1m"), symbols, start)
    with (
        served(serve, options.symbols) as exchange,
        served(serve_s3) as store,
        away(store, options.milliseconds) as far,
    ):
        httpx.put(f"{store}/lake-of-bench").raise_for_status()
        fill(Lake("s3://lake-of-bench/lake", {"endpoint_url": store, **KEYS}), dataset, days)
        lake = Lake("s3://lake-of-bench/lake", {"endpoint_url": far, **KEYS})
        control = f"{exchange['KLINES_VISION_DOWNLOAD_URL']}/control"
        httpx.post(f"{control}/clock", json={"now": NIGHT.isoformat()}).raise_for_status()
        endpoints = {name.removeprefix("KLINES_").lower(): url for name, url in exchange.items()}
        bench = Bench(lake, dataset, endpoints)
        print(f"{options.symbols} symbols, {options.days} days, {options.milliseconds:g} ms to the store")
        show("published days, newest not published", bench.published)
        show("rewritten archives, a slice of all history", bench.compared)
        show("freshness", bench.fresh)
        show("safety net, a month and a seventh", bench.repaired)
        compare_reads(lake, [DayPaths.of(dataset, day).archives for day in days])


if __name__ == "__main__":
    main()
