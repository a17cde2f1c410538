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
    try:
        lake.publish(paths.klines, b"of the one who stood still")
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


def holder(front: Front, root: str, seconds: float) -> "subprocess.Popen[str]":
    """A process that holds the day."""
    command = [sys.executable, "-c", HOLD, root, front.url, str(seconds)]
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
            lake.publish(PATHS.klines, f"{time.monotonic()}".encode())
            time.sleep(0.1)

    lease_of(lake).acquire(0)


def test_who_stood_still_for_longer_than_the_lease_writes_nothing_more(front: Front, s3_root: str) -> None:
    lake = lake_by(front, s3_root)
    with holder(front, s3_root, 1) as process:
        process.send_signal(signal.SIGSTOP)
        with lake.locked(PATHS):
            lake.publish(PATHS.klines, b"of the one who came then")
        process.send_signal(signal.SIGCONT)
        said, _ = process.communicate("\n", timeout=30)

    assert said.startswith("TransientError")
    assert "did not renew its lease in time" in said
    assert lake.read(PATHS.klines) == b"of the one who came then"


def test_a_store_away_for_a_moment_does_not_end_the_lease(front: Front, s3_root: str) -> None:
    lake = lake_by(front, s3_root)
    lease = lease_of(lake)
    front.lose = 1

    lease.acquire(60)
    assert lease.is_held
    lease.release()

    with lake.locked(PATHS):
        front.lose = 1
        assert lake.publish(PATHS.klines, b"whole") is True
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
            assert lake.publish(PATHS.klines, content) is True

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
        assert lake.publish(PATHS.klines, b"whole") is True
