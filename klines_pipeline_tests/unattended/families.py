"""Processes that belong together by the folder they work in: waiting for them, and proof that none is left."""

import os
import time
from collections.abc import Callable
from pathlib import Path

PAUSE = 0.25


def working_in(folder: Path) -> dict[int, str]:
    """Every other process whose working folder is this one or below, by id, with its command line."""
    found = dict[int, str]()
    others = (process for process in Path("/proc").glob("[0-9]*") if int(process.name) != os.getpid())
    for process in others:
        try:
            if (process / "cwd").readlink().is_relative_to(folder):
                found[int(process.name)] = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return found


def wait_for(holds: Callable[[], object], seconds: float, *, what: str) -> None:
    """Until it holds; AssertionError after so many seconds."""
    ends = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < ends, f"not within {seconds} s: {what}"
        time.sleep(PAUSE)
