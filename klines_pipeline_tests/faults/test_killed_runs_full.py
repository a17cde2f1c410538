"""kill -9 at any moment and a full disk: what readers see is as before or as after, and the next run completes it."""

import random
import shutil
import time
from datetime import UTC, datetime
from hashlib import sha512
from pathlib import Path

import polars as pl
import pytest

from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.conftest import archive_entry, make_dataset
from klines_pipeline_tests.faults.archives import body_of, key_of, rewrite, with_cell
from klines_pipeline_tests.faults.conftest import Recovery, Runner, assert_good
from klines_pipeline_tests.faults.lakes import all_files, table_files
from klines_pipeline_tests.faults.processes import finish, start

DAY = "2024-03-01"
DATASET = make_dataset("BTCUSDT", "ETHUSDT", "SOLUSDT", interval="1h")


def read_everything(lake: Lake) -> None:
    """Every table's file is whole."""
    for path in all_files(lake):
        if path.endswith(".parquet"):
            pl.read_parquet(Path(lake.base, path), hive_partitioning=False)


def first_publication(exchange: EmbeddedExchange) -> None:
    """An archive with an impossible row, one without its checksum, one in order."""
    rewrite(exchange, key_of("BTCUSDT", DAY, "1h"), lambda lines: [with_cell(lines[0], 1, "NaN"), *lines[1:]])
    unchecked = key_of("SOLUSDT", DAY, "1h")
    exchange.put_object(unchecked, body_of(exchange, unchecked), checksum="none")


def second_publication(exchange: EmbeddedExchange) -> None:
    """A day later: the missing checksum, and another version of the archive that was in order."""
    exchange.set_clock(datetime(2025, 3, 5, 9, tzinfo=UTC))
    unchecked = key_of("SOLUSDT", DAY, "1h")
    exchange.put_object(unchecked, body_of(exchange, unchecked))
    exchange.revise(key_of("ETHUSDT", DAY, "1h"))


def kill_at_each_rename(exchange: EmbeddedExchange, before: Lake, into: Path) -> list[Lake]:
    """Copies of a lake, each left behind by a run killed one rename later than the one before; the last run lived."""
    code, output = finish(
        start(
            exchange,
            symbols=DATASET.symbols,
            interval="1h",
            days=[DAY],
            kill_each={"before": before.base, "into": str(into)},
        )
    )
    assert code == 0, output
    return [Lake(str(folder)) for folder in sorted(into.iterdir())]


def test_a_first_run_killed_at_any_rename_is_completed_by_the_next(
    exchange: EmbeddedExchange, run: Runner, lake: Lake, tmp_path: Path
) -> None:
    first_publication(exchange)
    run(DATASET, DAY)
    Path(tmp_path, "empty").mkdir()

    killed = kill_at_each_rename(exchange, Lake(str(tmp_path / "empty")), tmp_path / "killed")

    assert len(killed) > 10
    for left in killed:
        read_everything(left)
        assert_good(run(DATASET, DAY, into=left))
        assert all_files(left) == all_files(lake), left.base


def test_a_second_run_killed_at_any_rename_is_completed_by_the_next(
    exchange: EmbeddedExchange, run: Runner, lake: Lake, tmp_path: Path
) -> None:
    first_publication(exchange)
    run(DATASET, DAY)
    before = Lake(str(tmp_path / "before"))
    shutil.copytree(lake.base, before.base)
    second_publication(exchange)
    run(DATASET, DAY)
    tables = [table_files(before), table_files(lake)]

    killed = kill_at_each_rename(exchange, before, tmp_path / "killed")

    assert archive_entry(lake, "ETHUSDT", DAY, interval="1h")["revision"] == 2
    assert len(killed) > 8
    for left in killed:
        read_everything(left)
        assert table_files(left) in tables
        assert_good(run(DATASET, DAY, into=left))
        assert all_files(left) == all_files(lake), left.base


def test_a_run_killed_again_and_again_at_random_moments_still_arrives(
    exchange: EmbeddedExchange, run: Runner, lake: Lake, tmp_path: Path
) -> None:
    days = [f"2025-02-{number:02}" for number in range(25, 29)] + ["2025-03-01", "2025-03-02"]
    dataset = make_dataset("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT")
    undisturbed = Lake(str(tmp_path / "undisturbed"))
    began = time.monotonic()
    assert_good(run(dataset, *days, into=undisturbed))
    duration, dice = time.monotonic() - began, random.Random(11)  # noqa: S311 - moments, not secrets

    for _ in range(6):
        process = start(exchange, lake=lake.base, symbols=dataset.symbols, interval="1m", days=days)
        time.sleep(dice.uniform(0, 0.5) * duration)
        process.kill()
        finish(process)
        read_everything(lake)

    assert_good(run(dataset, *days))
    assert all_files(lake) == all_files(undisturbed)


@pytest.mark.parametrize(
    ("largest_file", "what_fails"), [(20_000, "an archive"), (150_000, "the table")], ids=lambda value: str(value)
)
def test_a_full_disk_leaves_the_lake_as_it_was(
    exchange: EmbeddedExchange,
    run: Runner,
    lake: Lake,
    assert_recovers: Recovery,
    largest_file: int,
    what_fails: str,
) -> None:
    dataset, days = make_dataset("BTCUSDT", "ETHUSDT", "SOLUSDT"), ["2024-03-01", "2024-03-02", "2024-03-03"]
    assert_good(run(dataset, days[0]))
    before, zips = table_files(lake), len([*Path(lake.base).rglob("*.zip")])

    code, output = finish(
        start(
            exchange, lake=lake.base, symbols=dataset.symbols, interval="1m", days=days[1:], largest_file=largest_file
        )
    )

    assert code == 1
    assert "File too large" in output
    assert "Traceback" not in output
    assert table_files(lake) == before
    assert len([*Path(lake.base).rglob("*.zip")]) == zips + (0 if what_fails == "an archive" else 6)
    read_everything(lake)
    assert not [path for path in Path(lake.base).rglob("*.tmp") if not path.name.startswith(".")]
    assert_recovers(dataset, *days)


def with_long_lines(lines: list[str]) -> list[str]:
    """The same klines in an archive twice as large: the last column may hold anything."""
    return [f"{line[:-1]}0.{int.from_bytes(sha512(line.encode()).digest())}" for line in lines]


def test_a_disk_full_in_the_middle_of_a_range_keeps_the_days_before_it(
    exchange: EmbeddedExchange, run: Runner, lake: Lake, assert_recovers: Recovery
) -> None:
    dataset, days = make_dataset("BTCUSDT"), [f"2024-03-{number:02}" for number in range(1, 7)]
    rewrite(exchange, key_of("BTCUSDT", days[1]), with_long_lines)

    code, output = finish(
        start(exchange, lake=lake.base, symbols=["BTCUSDT"], interval="1m", days=days, largest_file=110_000)
    )

    assert code == 1
    assert "Not attempted: " in output
    assert [path for path in table_files(lake) if days[0] in path]
    assert not [path for path in table_files(lake) if days[1] in path]
    read_everything(lake)
    assert_recovers(dataset, *days)
