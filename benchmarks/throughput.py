"""CPU of one symbol-day from the bucket to the table, against the same files done one by one.

    python -m benchmarks.throughput [--symbols 50] [--days 8] [--rounds 3]

Loopback, the embedded exchange in a process of its own, archives warmed first, checksums compared in both designs, one
Parquet a day against one a symbol-day. Rounds alternate. CPU of this process alone is counted (`process_time`); the
claim is the ratio, which holds on a busy machine where seconds do not.
"""

import argparse
import hashlib
import io
import multiprocessing
import statistics
import tempfile
import time
import zipfile
from collections.abc import Callable
from datetime import date, timedelta
from multiprocessing.connection import Connection
from pathlib import Path

import httpx
import polars as pl

from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.interval import Interval
from klines_pipeline.exchanges.registry import connect
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.stages.ingest import Ingest
from klines_pipeline.storage.lake import Lake

FIRST = date(2024, 3, 1)
_COLUMNS = 12


def serve(symbols: int, pipe: Connection) -> None:
    """The exchange, until the other side says stop."""
    with EmbeddedExchange(rate=0, extra_symbols=symbols) as exchange:
        pipe.send(exchange.environment())
        pipe.recv()


def ours(endpoints: dict[str, str], symbols: list[str], days: list[date], folder: Path) -> None:
    """The project: survey, threads, batched parse, one table a day with ledgers and certificates."""
    dataset = Dataset("binance", "spot", Interval.parse("1m"), tuple(symbols), FIRST)
    flow = Ingest(Lake(str(folder)), connect("binance", "spot", endpoints), dataset, log=lambda _: None)
    assert not any(result.failures for result in flow.days(days))


def one_by_one(endpoints: dict[str, str], symbols: list[str], days: list[date], folder: Path) -> None:
    """What a script does: httpx, hash, unzip, parse and write, file after file; no ledgers, no certificates."""
    with httpx.Client() as client:
        for day in days:
            for symbol in symbols:
                name = f"{symbol}-1m-{day}"
                url = f"{endpoints['vision_download_url']}/data/spot/daily/klines/{symbol}/1m/{name}.zip"
                body, checksum = client.get(url).content, client.get(f"{url}.CHECKSUM").text
                assert hashlib.sha256(body).hexdigest() == checksum.split()[0]
                with zipfile.ZipFile(io.BytesIO(body)) as archive:
                    text = archive.read(f"{name}.csv")
                pl.read_csv(text, has_header=False).write_parquet(folder / f"{name}.parquet", compression="zstd")


def cpu_per_symbol_day(work: Callable[[Path], None], count: int) -> float:
    """Milliseconds of this process' CPU for one symbol-day."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        work(Path(folder))
        return 1000 * (time.process_time() - began) / count


def main() -> None:
    """Print both designs and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--symbols", type=int, default=50)
    parser.add_argument("--days", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    symbols = [f"X{number:04d}USDT" for number in range(1, options.symbols + 1)]
    days = [FIRST + timedelta(days=offset) for offset in range(options.days)]
    here, there = multiprocessing.get_context("spawn").Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(options.symbols, there))
    server.start()
    endpoints = {name.removeprefix("KLINES_").lower(): url for name, url in here.recv().items()}
    designs = {"klines_pipeline": ours, "one by one": one_by_one}
    count = len(symbols) * len(days)
    measured: dict[str, list[float]] = {name: [] for name in designs}
    for round_number in range(options.rounds + 1):
        for name, design in designs.items():
            spent = cpu_per_symbol_day(lambda folder, run=design: run(endpoints, symbols, days, folder), count)
            if round_number:  # the first round warms the exchange's archives and this process
                measured[name].append(spent)
    here.send("stop")
    server.join()
    for name, values in measured.items():
        print(f"{name:16s} {statistics.median(values):6.2f} ms CPU a symbol-day (median of {len(values)})")
    ratio = statistics.median(measured["one by one"]) / statistics.median(measured["klines_pipeline"])
    print(f"{'ratio':16s} {ratio:6.2f} x less CPU, with mirror, ledgers and certificates included")


if __name__ == "__main__":
    main()
