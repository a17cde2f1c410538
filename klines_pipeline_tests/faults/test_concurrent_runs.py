"""Two runs of one partition at once: one after the other, the second finds nothing to do, no file is ever mixed."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.conftest import make_dataset
from klines_pipeline_tests.faults.archives import key_of
from klines_pipeline_tests.faults.conftest import Recovery, Runner, asked, assert_good
from klines_pipeline_tests.faults.lakes import all_files
from klines_pipeline_tests.faults.processes import finish, start

DAYS = ["2025-02-28", "2025-03-01", "2025-03-02"]


def test_two_processes_on_one_range_download_everything_once(
    exchange: EmbeddedExchange, lake: Lake, run: Runner, assert_recovers: Recovery
) -> None:
    dataset = make_dataset("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT")
    order = {"lake": lake.base, "symbols": dataset.symbols, "interval": "1m", "days": DAYS}

    ended = [finish(process) for process in [start(exchange, **order), start(exchange, **order)]]

    together = exchange.requests()
    assert [code for code, _ in ended] == [0, 0], ended
    assert together["duplicate_downloads"] == {}
    assert together["archives"] == 11
    assert together["rest"]["klines"] == 7
    assert_recovers(dataset, *DAYS)


@pytest.mark.parametrize("runs", [2, 4])
def test_threads_on_one_day_download_everything_once(
    exchange: EmbeddedExchange, run: Runner, assert_recovers: Recovery, runs: int
) -> None:
    dataset, day = make_dataset("BTCUSDT", "ETHUSDT", "SOLUSDT"), "2024-03-01"

    with ThreadPoolExecutor(runs) as pool:
        results = [*pool.map(lambda _: run(dataset, day), range(runs))]

    for result in results:
        assert_good(result)
    assert asked(exchange) == {"archives": 3, "checksums": 3, "rest": 0}
    assert sum(result.archived.downloads for [result] in results if result.archived) == 3
    assert_recovers(dataset, day)


def test_overlapping_ranges_wait_for_each_other_without_a_deadlock(
    exchange: EmbeddedExchange, run: Runner, assert_recovers: Recovery
) -> None:
    dataset, days = make_dataset("BTCUSDT", "ETHUSDT", interval="1h"), [f"2024-03-{day:02}" for day in range(1, 13)]
    ranges = [days[:8], days[4:], days[2:10], days]

    with ThreadPoolExecutor(len(ranges)) as pool:
        results = [*pool.map(lambda part: run(dataset, *part), ranges)]

    for result in results:
        assert_good(result)
    assert asked(exchange) == {"archives": 24, "checksums": 24, "rest": 0}
    assert_recovers(dataset, *days)


def test_a_run_that_waited_works_with_what_the_other_left(
    exchange: EmbeddedExchange, run: Runner, lake: Lake, assert_recovers: Recovery
) -> None:
    dataset, day = make_dataset("BTCUSDT", "ETHUSDT"), "2024-03-01"
    exchange.add_fault(kind="delay", seconds=1, match=f"/{key_of('BTCUSDT', day)}", times=1)
    slow = threading.Thread(target=run, args=(dataset, day))
    slow.start()
    while not exchange.requests()["listing"]:
        time.sleep(0.01)

    [result] = run(dataset, day)
    slow.join()

    assert_good([result])
    assert asked(exchange)["archives"] == 2
    assert_recovers(dataset, day)


def test_a_reader_sees_the_old_file_or_the_new_one_whole(exchange: EmbeddedExchange, run: Runner, lake: Lake) -> None:
    dataset, day = make_dataset("BTCUSDT", "ETHUSDT"), "2024-03-01"
    run(dataset, day)
    [table] = [Path(lake.base, path) for path in all_files(lake) if path.startswith("klines/")]
    done, seen = threading.Event(), list[tuple[int, ...]]()

    def read_on() -> None:
        last = False
        while not last:
            last = done.is_set()
            rows = pl.read_parquet(table.read_bytes(), hive_partitioning=False)
            archived = rows.filter(symbol="ETHUSDT", source="vision")
            seen.append(tuple(archived["revision"].unique().sort().to_list()))

    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read_on)
        while not seen:
            time.sleep(0.01)
        for hour in range(1, 5):
            exchange.set_clock(datetime(2025, 3, 5, tzinfo=UTC) + timedelta(hours=hour))
            exchange.revise(key_of("ETHUSDT", day))
            assert_good(run(dataset, day))
        done.set()
        reading.result()

    assert {len(revisions) for revisions in seen} == {1}
    assert seen == sorted(seen)
    assert {seen[0], seen[-1]} == {(1,), (5,)}
