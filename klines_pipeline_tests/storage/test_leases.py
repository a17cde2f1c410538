"""A day on an object store has one writer at a time, too: by leases, and by the store's own clock."""

import logging
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path

import pytest

from klines_pipeline.domain.errors import ConfigurationError, TransientError
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.layout import DayPaths
from klines_pipeline.storage.leases import Lease
from klines_pipeline.storage.objects import Objects
from klines_pipeline_tests.storage.front import Front
from klines_pipeline_tests.storage.s3 import KEYS, endpoint

PATHS = DayPaths("binance", "spot", "1m", date(2024, 3, 1))
OF_ITS_OWN = """
import sys, time
from datetime import date
from pathlib import Path
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.layout import DayPaths
root, url, seconds = sys.argv[1:4]
lake = Lake(root, {"endpoint_url": url, "key": "anything", "secret": "anything"}, float(seconds))
paths = DayPaths("binance", "spot", "1m", date(2024, 3, 1))
"""
COUNT = f"""{OF_ITS_OWN}
counter = Path(sys.argv[4])
for _ in range(6):
    with lake.locked(paths):
        before = int(counter.read_text())
        time.sleep(0.01)
        counter.write_text(str(before + 1))
"""
HOLD = f"""{OF_ITS_OWN}
with lake.locked(paths):
    print("held", flush=True)
    sys.stdin.readline()
    late = Path(sys.argv[4], "late.zip")
    late.write_bytes(b"of the one who stood still")
    for write in (
        lambda: lake.publish(paths.klines, b"of the one who stood still", under=paths),
        lambda: lake.publish("vision/x.zip.CHECKSUM", b"of the one who stood still", under=paths),
        lambda: lake.publish_file("vision/x.zip", late, under=paths),
    ):
        try:
            write()
        except Exception as error:
            print(type(error).__name__, error, flush=True)
"""


@pytest.fixture
def front(s3_root: str) -> Iterator[Front]:
    """The way to the store."""
    with Front(endpoint()) as front:
        yield front


def lake_by(front: Front, root: str, seconds: float = 60.0) -> Lake:
    """A lake of another run: no connection is shared."""
    return Lake(root, {"endpoint_url": front.url, **KEYS, "skip_instance_cache": True}, seconds)


def lease_of(lake: Lake, seconds: float = 60.0) -> Lease:
    """Somebody who wants the day."""
    return Lease(Objects(lake.fs), f"{lake.base}/{PATHS.lock}", seconds)


def holder(front: Front, root: str, seconds: float, folder: str = "") -> "subprocess.Popen[str]":
    """A process that holds the day."""
    command = [sys.executable, "-c", HOLD, root, front.url, str(seconds), folder]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_two_processes_hold_a_day_in_a_bucket_one_after_the_other(front: Front, s3_root: str, tmp_path: Path) -> None:
    counter = tmp_path / "counter"
    counter.write_text("0")
    command = [sys.executable, "-c", COUNT, s3_root, front.url, "60", str(counter)]

    both = [subprocess.Popen(command) for _ in range(2)]

    assert [process.wait(60) for process in both] == [0, 0]
    assert counter.read_text() == "12"


@pytest.mark.parametrize("days_ahead", [-3, 3])
def test_a_killed_holder_loses_the_day_when_its_lease_is_over_by_the_clock_of_the_store(
    front: Front, s3_root: str, days_ahead: int, caplog: pytest.LogCaptureFixture
) -> None:
    front.ahead = timedelta(days=days_ahead)
    with holder(front, s3_root, 60) as process:
        process.kill()
    lake = lake_by(front, s3_root)
    next_one = lease_of(lake)

    with pytest.raises(TransientError, match=rf"process {process.pid}, .* has held .*2024-03-01\.lock for 0 s; wait"):
        next_one.acquire(0)
    front.ahead += timedelta(seconds=30)
    with pytest.raises(TransientError, match="wait for it"):
        next_one.acquire(0)
    front.ahead += timedelta(seconds=32)

    next_one.acquire(0)

    assert next_one.is_held
    assert "is taken over" in caplog.text
    with pytest.raises(TransientError, match="wait for it"):
        lease_of(lake).acquire(0)
    next_one.release()
    lease_of(lake).acquire(0)


def test_a_lease_lasts_as_long_as_its_holder_said_and_not_as_long_as_the_waiting_one_would(
    front: Front, s3_root: str
) -> None:
    lease_of(lake_by(front, s3_root), seconds=600).acquire(0)
    front.ahead = timedelta(seconds=500)

    with pytest.raises(TransientError, match="wait for it"):
        lease_of(lake_by(front, s3_root), seconds=1).acquire(0)


def test_a_lease_is_renewed_for_as_long_as_it_is_held(front: Front, s3_root: str) -> None:
    lake, began = lake_by(front, s3_root, 1.0), time.monotonic()
    with lake.locked(PATHS):
        while time.monotonic() - began < 3.5:
            with pytest.raises(TransientError, match="wait for it"):
                lease_of(lake).acquire(0)
            lake.publish(PATHS.klines, f"{time.monotonic()}".encode(), under=PATHS)
            time.sleep(0.1)

    lease_of(lake).acquire(0)


def test_who_stood_still_for_longer_than_the_lease_writes_nothing_more_neither_tables_nor_archives(
    front: Front, s3_root: str, tmp_path: Path
) -> None:
    lake, written = lake_by(front, s3_root), [PATHS.klines, "vision/x.zip.CHECKSUM", "vision/x.zip"]
    with holder(front, s3_root, 1, str(tmp_path)) as process:
        process.send_signal(signal.SIGSTOP)
        with lake.locked(PATHS):
            for path in written:
                lake.publish(path, b"of the one who came then", under=PATHS)
        process.send_signal(signal.SIGCONT)
        said, _ = process.communicate("\n", timeout=30)

    assert [line.partition(" ")[0] for line in said.splitlines()] == ["TransientError"] * 3
    assert said.count("did not renew its lease in time") == 3
    assert [lake.read(path) for path in written] == [b"of the one who came then"] * 3


def test_what_is_still_on_its_way_when_the_day_is_given_back_is_not_written(front: Front, s3_root: str) -> None:
    lake = lake_by(front, s3_root)
    with lake.locked(PATHS):
        assert lake.publish(PATHS.klines, b"first", under=PATHS) is True

    with pytest.raises(TransientError, match="another may have begun the day"):
        lake.publish(PATHS.klines, b"second", under=PATHS)

    assert lake.read(PATHS.klines) == b"first"


def test_an_archive_is_moved_to_a_bucket_in_one_request_and_replaces_another_version(
    front: Front, s3_root: str, tmp_path: Path
) -> None:
    lake, source = lake_by(front, s3_root), tmp_path / "x.zip"
    with lake.locked(PATHS):
        for content in (b"first", b"second", b"second"):
            front.requests.clear()
            source.write_bytes(content)
            lake.publish_file("vision/x.zip", source, under=PATHS)
            assert lake.read("vision/x.zip") == content
            assert not source.exists()
            assert content != b"first" or front.requests == {"PUT": 1, "GET": 1}


def test_a_renewal_whose_answer_got_lost_makes_the_lease_no_longer_than_others_wait(front: Front, s3_root: str) -> None:
    lake = lake_by(front, s3_root)
    lease, front.lost_status = lease_of(lake), 403
    lease.acquire(0)
    until = lease.until

    for _ in range(3):  # the second and third find their own name, and cannot write it anew
        front.lose = 1
        with pytest.raises(OSError, match="Lost"):
            lease.renew()
        assert lease.until == until

    lease.renew()
    assert until < lease.until <= front.last_write + 60
    with pytest.raises(TransientError, match="wait for it"):
        lease_of(lake).acquire(0)
    lease.release()
    lease_of(lake).acquire(0)


def test_a_lease_whose_first_answer_got_lost_is_counted_from_a_write_that_was_answered(
    front: Front, s3_root: str
) -> None:
    lease = lease_of(lake_by(front, s3_root))
    front.lose = 1

    lease.acquire(60)

    assert lease.is_held
    assert lease.until <= front.last_write + 60


@pytest.mark.parametrize("deletions", ["kept", "ignored", "refused"])
def test_a_lease_that_is_given_back_leaves_nothing_where_deletions_keep_conditions(
    front: Front, s3_root: str, deletions: str
) -> None:
    front.deletions = deletions
    lake = lake_by(front, s3_root)

    with lake.locked(PATHS):
        pass

    assert (lake.size(PATHS.lock) is None) is (deletions == "kept")
    lease_of(lake).acquire(0)
    with pytest.raises(TransientError, match="wait for it"):
        lease_of(lake).acquire(0)


def test_a_lease_that_another_has_taken_over_is_not_deleted(front: Front, s3_root: str) -> None:
    lake = lake_by(front, s3_root)
    stale, taker = lease_of(lake), lease_of(lake)
    stale.acquire(0)
    front.ahead = timedelta(seconds=62)
    taker.acquire(0)

    stale.release()

    with pytest.raises(TransientError, match="wait for it"):
        lease_of(lake).acquire(0)


def test_a_body_that_breaks_off_is_asked_for_again(front: Front, s3_root: str) -> None:
    lake, content = lake_by(front, s3_root), b"whole" * 2000
    lake.publish("a/x", content)

    front.cut = 2
    assert lake.read("a/x") == content

    front.cut = 100
    with pytest.raises(TransientError, match=r"a/x broke off 4 times .* materialize again"):
        lake.read("a/x")
    with pytest.raises(TransientError, match="broke off"), lake.opened("a/x") as file:
        file.read()


def test_the_keeper_of_a_lease_outlives_an_answer_that_breaks_off(
    front: Front, s3_root: str, caplog: pytest.LogCaptureFixture
) -> None:
    lease, began = lease_of(lake_by(front, s3_root), seconds=4.0), time.monotonic()
    lease.acquire(0)
    front.lost_status, front.lose, front.cut = 403, 1, 4

    while "broke off 4 times" not in caplog.text:
        assert time.monotonic() - began < 30
        time.sleep(0.05)

    lease.release()
    assert "could not be renewed" in caplog.text


def test_a_store_away_for_a_moment_does_not_end_the_lease(front: Front, s3_root: str) -> None:
    lake = lake_by(front, s3_root)
    lease = lease_of(lake)
    front.lose = 1

    lease.acquire(60)
    assert lease.is_held
    lease.release()

    with lake.locked(PATHS):
        front.lose = 1
        assert lake.publish(PATHS.klines, b"whole", under=PATHS) is True
    assert front.lose == 0
    assert lake.read(PATHS.klines) == b"whole"


def test_of_several_who_write_one_file_at_once_nobody_is_overruled_unknowingly(front: Front, s3_root: str) -> None:
    lake, together = lake_by(front, s3_root), threading.Barrier(6)
    lake.publish("a/x", b"before")
    front.seconds_away = 0.02

    def write(number: int) -> str:
        together.wait()
        try:
            return "written" if lake.publish("a/x", b"%d" % number) else "there already"
        except TransientError as error:
            return str(error)

    with ThreadPoolExecutor(6) as pool:
        ended = [*pool.map(write, range(6))]

    last = int(lake.read("a/x") or b"-1")
    assert ended[last] == "written"
    overruled = f"Another run has written {lake.uri('a/x')} meanwhile; materialize again."
    assert {*ended} == {"written", overruled}


@pytest.mark.parametrize("conditions", ["ignored", "refused"])
def test_a_store_without_conditions_is_written_to_and_that_is_said_once(
    front: Front, s3_root: str, conditions: str, caplog: pytest.LogCaptureFixture
) -> None:
    front.conditions = conditions
    lake, caplog.handler.level = lake_by(front, s3_root), logging.WARNING

    for content in (b"first", b"second"):
        with lake.locked(PATHS):
            assert lake.publish(PATHS.klines, content, under=PATHS) is True

    assert lake.read(PATHS.klines) == b"second"
    [said] = [text for text in (record.getMessage() for record in caplog.records) if "keep conditions" in text]
    assert said == (
        f"The store of {lake.base} does not keep conditions on writes (If-None-Match, If-Match), so two runs of one "
        "day do not exclude each other: let one machine write to this lake."
    )


def test_a_bucket_that_is_not_there_is_named(front: Front, s3_root: str) -> None:
    lake = lake_by(front, "s3://no-such-bucket/lake")

    with pytest.raises(ConfigurationError, match="no bucket 'no-such-bucket'"), lake.locked(PATHS):
        pass


def test_other_days_of_a_bucket_are_not_held(front: Front, s3_root: str) -> None:
    lake = lake_by(front, s3_root)

    with lake.locked(PATHS), lake.locked(DayPaths("binance", "spot", "1h", PATHS.day)):
        assert lake.publish(PATHS.klines, b"whole", under=PATHS) is True
