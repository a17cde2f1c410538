"""A folder of this machine as the lake's place: files appear whole or not at all, a lock holds other runs off.

What is a path of the lake is not known here.
"""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from filelock import FileLock, Timeout

from klines_pipeline.domain.errors import TransientError

_LEFTOVER_SECONDS = 86_400.0


def write_whole(target: Path, content: bytes) -> None:
    """A new file in the old one's place."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{uuid4().hex}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
        settle(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def settle(source: Path, target: Path) -> None:
    """fsync, rename, fsync of the folder: after a power cut the old file or the new one is there."""
    with source.open("rb+") as file:
        os.fsync(file.fileno())
    source.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def sweep(home: Path) -> None:
    """Remove what killed runs left behind more than a day ago."""
    for leftover in home.iterdir():
        if time.time() - leftover.stat().st_mtime > _LEFTOVER_SECONDS:
            shutil.rmtree(leftover, ignore_errors=True)


@contextmanager
def locked(path: Path, patience: float) -> Iterator[None]:
    """Hold a lock file; TransientError where another process has it for `patience` seconds."""
    lock = FileLock(path)
    try:
        lock.acquire(timeout=patience)
    except Timeout:
        raise TransientError(f"Another run has held {path.stem} for {patience:.0f} s; wait for it.") from None
    try:
        yield
    finally:
        lock.release()
