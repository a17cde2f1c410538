"""What hosts asked for, known to every process of this machine: bans (418) and silence (429), one small file each.

How long is left only the machine's clock can tell; it decides when to ask, and nothing about data. A file that cannot
be written, read or understood is no file: each process then learns from the host itself.
"""

import json
import logging
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from klines_pipeline.domain.errors import BannedError, RateLimitedError

LOG = logging.getLogger(__name__)

LONGEST_BAN = 3 * 86_400.0
"""Seconds; whatever asks for more is no note of ours."""
_BAN = "ban"


class Note(NamedTuple):
    """Until when nobody asks, by this machine's clock (seconds since 1970); and of a ban what its error says."""

    until: float
    text: str = ""
    status: int = 0
    told: datetime | None = None
    """End of a ban by the host's clock, UTC."""


class _Read(NamedTuple):
    stamp: tuple[int, int]
    note: Note | None


@dataclass(slots=True)
class Silence:
    """The notes about one service, named by its URL as far as what it counts together. Without a folder there are none.

    A URL and not a host alone, for the embedded exchange serves on one what Binance serves on three.
    """

    url: str = ""
    folder: str | None = None
    clock: Callable[[], float] = time.time
    read: dict[Path, _Read] = field(default_factory=dict)

    def seconds(self, endpoint: str | None) -> float:
        """How long to be silent still, as the service said of itself or of an endpoint that it counts apart.

        BannedError during a ban. It takes two looks at the folder.
        """
        if self.folder is None:
            return 0.0
        ban, quiet = self._note(_BAN), self._note(endpoint or "")
        now = self.clock()
        if ban and ban.told and ban.until > now:
            raise BannedError(ban.text, until=ban.told, seconds=ban.until - now, http_status=ban.status)
        return quiet.until - now if quiet and quiet.until > now else 0.0

    def keep(self, endpoint: str | None, error: RateLimitedError | BannedError) -> None:
        """Tell the others what was answered, unless they know of more."""
        if isinstance(error, BannedError):
            note = Note(self.clock() + error.seconds, str(error), error.http_status or 0, error.until)
            self._leave(_BAN, note)
        else:
            self._leave(endpoint or "", Note(self.clock() + error.retry_after))

    def _leave(self, name: str, note: Note) -> None:
        known = self._note(name) if self.folder else note
        if known and known.until >= note.until:
            return
        told = note.told.isoformat() if note.told else None
        try:
            _write(self._path(name), json.dumps({**note._asdict(), "told": told}))
        except OSError as error:
            LOG.info("%s: other processes do not hear that a host wants silence (%s).", self.folder, error)

    def _note(self, name: str) -> Note | None:
        """As written by whatever process; None for one that promises more than any host asks for."""
        path = self._path(name)
        try:
            found = path.stat()
            stamp = (found.st_mtime_ns, found.st_ino)
            known = self.read.get(path)
            if known is None or known.stamp != stamp:
                known = self.read[path] = _Read(stamp, _parsed(path.read_bytes()))
        except OSError:
            return None
        return known.note if known.note and known.note.until <= self.clock() + LONGEST_BAN else None

    def _path(self, name: str) -> Path:
        parts = urlsplit(self.url)
        address = f"{parts.netloc.rpartition('@')[2]}{parts.path}@{name}"
        return Path(self.folder or "", "hosts", quote(address, safe=":@"))


def _parsed(content: bytes) -> Note | None:
    try:
        fields = json.loads(content)
        told = fields["told"] and datetime.fromisoformat(fields["told"])
        return Note(float(fields["until"]), str(fields["text"]), int(fields["status"]), told)
    except (ValueError, TypeError, LookupError):
        return None


def _write(path: Path, text: str) -> None:
    """Whole or not at all; for this user only."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=".", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).replace(path)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise
