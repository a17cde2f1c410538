"""Bytes are published whole, or not at all; a day has one writer at a time."""

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from klines_pipeline.domain.errors import ConfigurationError
from klines_pipeline.storage.folders import written
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.layout import CONDITIONS, DayPaths
from klines_pipeline_tests.conftest import make_dataset

HUNDRED_KILOBYTES = 100_000
WRITE_FOR_EVER = f"""
import itertools, sys
from klines_pipeline.storage.lake import Lake
lake = Lake(sys.argv[1])
for number in itertools.cycle(range(256)):
    lake.publish("klines/part.parquet", bytes([number]) * {HUNDRED_KILOBYTES})
"""
COUNT_UNDER_LOCK = """
import sys, time
from datetime import date
from pathlib import Path
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.layout import DayPaths
lake, counter = Lake(sys.argv[1]), Path(sys.argv[2])
for _ in range(25):
    with lake.locked(DayPaths("binance", "spot", "1m", date(2024, 3, 1))):
        before = int(counter.read_text())
        time.sleep(0.002)
        counter.write_text(str(before + 1))
"""


def files(lake: Lake) -> set[str]:
    """Everything in the lake, hidden files and leftovers included, but for what an object store was tried with."""
    return {name.removeprefix(f"{lake.base}/") for name in lake.fs.find(lake.base)} - {CONDITIONS}


def test_a_published_file_is_read_back_and_listed(any_lake: Lake) -> None:
    assert any_lake.read("a/b=1/x") is None
    assert any_lake.size("a/b=1/x") is None
    assert any_lake.folders("a", holding="x") == []

    assert any_lake.publish("a/b=1/x", b"first") is True
    assert any_lake.publish("a/b=2/x", b"second") is True

    assert any_lake.read("a/b=1/x") == b"first"
    assert any_lake.size("a/b=2/x") == 6
    assert any_lake.folders("a", holding="x") == ["b=1", "b=2"]
    assert any_lake.folders("a", holding="y") == []
    assert files(any_lake) == {"a/b=1/x", "a/b=2/x"}


def test_a_file_is_replaced_by_other_bytes_and_no_listing_is_stale(any_lake: Lake) -> None:
    any_lake.publish("a/b=1/x", b"old")
    assert any_lake.folders("a", holding="x") == ["b=1"]

    assert any_lake.publish("a/b=1/x", b"newer") is True
    assert any_lake.publish("a/b=2/x", b"") is True

    assert (any_lake.read("a/b=1/x"), any_lake.size("a/b=1/x"), any_lake.read("a/b=2/x")) == (b"newer", 5, b"")
    assert any_lake.folders("a", holding="x") == ["b=1", "b=2"]


def test_a_folder_left_empty_by_a_killed_run_is_none(any_lake: Lake) -> None:
    any_lake.publish("a/b=1/x", b"whole")
    if any_lake.is_local:
        Path(any_lake.base, "a/b=2").mkdir()
    else:
        any_lake.fs.pipe_file(f"{any_lake.base}/a/b=2/", b"")
    any_lake.publish("a/b=3/.x.tmp", b"half")

    assert any_lake.folders("a", holding="x") == ["b=1"]


def test_files_of_one_name_are_listed_with_the_times_they_were_written(any_lake: Lake) -> None:
    began = datetime.now(UTC) - timedelta(seconds=2)
    for name in ("a.zip@01", "a.zip@02", "ab.zip@01"):
        any_lake.publish(f"kept/{name}", b"x")

    found = written(any_lake, "kept/a.zip@")

    assert [path for path, _ in found] == ["kept/a.zip@01", "kept/a.zip@02"]
    assert all(began <= moment <= datetime.now(UTC) + timedelta(seconds=2) for _, moment in found)
    assert written(any_lake, "nowhere/a.zip@") == []


def test_names_beyond_ascii_are_kept(any_lake: Lake) -> None:
    any_lake.publish("vision/币安人生USDT/币安人生USDT-1m.zip", b"zip")

    assert any_lake.folders("vision", holding="币安人生USDT-1m.zip") == ["币安人生USDT"]
    assert any_lake.read("vision/币安人生USDT/币安人生USDT-1m.zip") == b"zip"


def test_a_finished_download_is_moved_into_its_place(any_lake: Lake) -> None:
    with any_lake.incoming() as folder:
        (folder / "x.zip").write_bytes(b"zip")
        any_lake.publish_file("vision/data/x.zip", folder / "x.zip")
        (folder / "given up").write_bytes(b"half")

    assert any_lake.read("vision/data/x.zip") == b"zip"
    assert not folder.exists()
    assert files(any_lake) == {"vision/data/x.zip"}


def test_equal_bytes_do_not_touch_the_file(lake: Lake) -> None:
    lake.publish("a/x", b"same")
    before = Path(lake.base, "a/x").stat()

    assert lake.publish("a/x", b"same") is False

    after = Path(lake.base, "a/x").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_equal_bytes_are_not_sent_to_an_object_store(s3_root: str) -> None:
    lake = Lake(s3_root, {"endpoint_url": os.environ["AWS_ENDPOINT_URL"]})
    lake.publish("a/x", b"same")
    before = lake.fs.info(f"{lake.base}/a/x")["LastModified"]
    time.sleep(1.1)

    assert lake.publish("a/x", b"same") is False
    assert lake.fs.info(f"{lake.base}/a/x")["LastModified"] == before


def test_a_reader_that_has_the_old_file_open_keeps_it_whole(lake: Lake) -> None:
    lake.publish("a/x", b"old" * 1000)

    with Path(lake.base, "a/x").open("rb") as reader:
        lake.publish("a/x", b"new")

        assert reader.read() == b"old" * 1000


def test_a_writer_killed_at_any_moment_leaves_a_whole_file_and_the_next_one_goes_on(lake: Lake) -> None:
    target = Path(lake.base, "klines/part.parquet")
    for delay in (0.0, 0.001, 0.003, 0.007, 0.011, 0.02):
        writer = subprocess.Popen([sys.executable, "-c", WRITE_FOR_EVER, lake.root])
        while not target.exists() or target.stat().st_size == 0:
            assert writer.poll() is None
            time.sleep(0.001)
        for _ in range(20):
            content = target.read_bytes()
            assert content == content[:1] * HUNDRED_KILOBYTES
        time.sleep(delay)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        content = target.read_bytes()
        assert content == content[:1] * HUNDRED_KILOBYTES
        target.unlink()
    assert lake.publish("klines/part.parquet", b"whole") is True
    names = [path.name for path in Path(lake.base, "klines").iterdir()]
    assert names.count("part.parquet") == 1
    assert all(name == "part.parquet" or name.startswith(".") for name in names)


def test_a_full_disk_is_an_os_error_and_the_old_file_stays(lake: Lake) -> None:
    lake.publish("a/x", b"old")
    limited = (
        "import resource, sys\n"
        "from klines_pipeline.storage.lake import Lake\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        "try:\n    Lake(sys.argv[1]).publish('a/x', b'new' * 100_000)\n"
        "except OSError as error:\n    sys.exit(f'errno {error.errno}')\n"
    )

    done = subprocess.run([sys.executable, "-c", limited, lake.root], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr.strip()) == (1, "errno 27")
    assert lake.read("a/x") == b"old"
    assert files(lake) == {"a/x"}


def test_two_processes_hold_a_day_one_after_the_other(lake: Lake, tmp_path: Path) -> None:
    counter = tmp_path / "counter"
    counter.write_text("0")

    both = [subprocess.Popen([sys.executable, "-c", COUNT_UNDER_LOCK, lake.root, str(counter)]) for _ in range(2)]

    assert [process.wait(60) for process in both] == [0, 0]
    assert counter.read_text() == "50"


def test_a_killed_holder_does_not_keep_the_day_locked(lake: Lake) -> None:
    paths = DayPaths.of(make_dataset("BTCUSDT"), make_dataset("BTCUSDT").start)
    hold = (
        "import sys, time\nfrom datetime import date\nfrom klines_pipeline.storage.lake import Lake\n"
        "from klines_pipeline.storage.layout import DayPaths\n"
        f"with Lake(sys.argv[1]).locked(DayPaths('binance', 'spot', '1m', date.fromisoformat('{paths.day}'))):\n"
        "    print('held', flush=True)\n    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", hold, lake.root], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        holder.kill()

    started = time.monotonic()
    with lake.locked(paths):
        assert time.monotonic() - started < 5


def test_other_days_are_not_held(lake: Lake) -> None:
    dataset = make_dataset("BTCUSDT")
    started = time.monotonic()

    with (
        lake.locked(DayPaths.of(dataset, dataset.start)),
        lake.locked(DayPaths.of(make_dataset("BTCUSDT", interval="1h"), dataset.start)),
    ):
        assert time.monotonic() - started < 5


def test_only_what_runs_killed_long_ago_left_is_swept(lake: Lake) -> None:
    home = Path(lake.base, "vision/.incoming")
    old, new = home / ".1-old", home / ".2-new"
    for folder in (old, new):
        folder.mkdir(parents=True)
        (folder / "half.zip").write_bytes(b"half")
    two_days_ago = time.time() - 2 * 86_400
    os.utime(old, (two_days_ago, two_days_ago))

    with lake.incoming():
        assert not old.exists()
        assert new.exists()


@pytest.mark.parametrize("root", ["nosuch://bucket/x", "s4://bucket"])
def test_a_root_that_cannot_be_opened_is_refused_with_a_remedy(root: str) -> None:
    with pytest.raises(ConfigurationError, match=f"lake: '{root}' cannot be opened .* Use a folder such as"):
        Lake(root)


def test_addresses_are_those_that_readers_open(lake: Lake, s3_root: str) -> None:
    assert lake.uri("a/x") == f"{lake.base}/a/x"
    assert lake.is_local
    remote = Lake(s3_root, {"endpoint_url": os.environ["AWS_ENDPOINT_URL"]})
    assert remote.uri("a/x") == f"{s3_root}/a/x"
    assert not remote.is_local
    assert remote.reader_options()["aws_endpoint_url"] == os.environ["AWS_ENDPOINT_URL"]
