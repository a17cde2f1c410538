"""Leases: on an object store, who may write a day. An object says who holds it and is written anew while he does.

A holder that is killed, or stands still for longer than the lease, loses it: by the store's clock for those who wait,
by the time that has passed since his last renewal for himself. What a lease is for is not known here. A refused write
proves nothing: an earlier one whose answer was lost may be what stands in its way.
"""

import json
import logging
import os
import platform
import threading
import time
from dataclasses import dataclass, field
from uuid import uuid4

from botocore.exceptions import BotoCoreError, ClientError

from klines_pipeline.domain.errors import KlinesError, TransientError
from klines_pipeline.storage.objects import Objects, Stored

LEASE_SECONDS = 60.0
_RENEWALS = 4
"""In the time of one lease: three may fail."""
_RESOLUTION = 1.0
"""Of the store's dates, in seconds."""
_FIRST_LOOK, _LATER_LOOKS, _LONGEST_WAIT = 0.1, 1.5, 5.0
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Goes on while the machine sleeps, where there is one that does."""
_AWAY = (OSError, BotoCoreError, ClientError, KlinesError)
LOG = logging.getLogger(__name__)


@dataclass(slots=True)
class Lease:
    """One lease of one run, on the object `path`."""

    objects: Objects
    path: str
    seconds: float = LEASE_SECONDS
    owner: str = field(default_factory=lambda: f"{platform.node()}, process {os.getpid()}, {uuid4().hex[:12]}")
    probe: str = ""
    """An object by which it is tried whether deletions keep conditions; without one, nothing is deleted."""
    until: float = 0.0
    """Nobody else can have it before, by the clock that goes on while the machine sleeps."""
    _version: str = ""
    _over: threading.Event = field(default_factory=threading.Event)
    _keeper: threading.Thread | None = None

    def acquire(self, patience: float) -> None:
        """Hold it, as soon as nobody else does; TransientError after `patience` seconds."""
        began, wait = elapsed(), _FIRST_LOOK
        while holder := self._held_by_another():
            if elapsed() - began > patience:
                raise TransientError(f"Another run ({holder}) has held {self.path} for {patience:.0f} s; wait for it.")
            time.sleep(wait)
            wait = min(wait * _LATER_LOOKS, _LONGEST_WAIT)
        self._keeper = threading.Thread(target=self._keep, name="lease", daemon=True)
        self._keeper.start()

    @property
    def is_held(self) -> bool:
        """Whether nobody else can have it yet."""
        return elapsed() < self.until

    def release(self) -> None:
        """Let others have it at once; a store that cannot be reached lets them have it when it ends."""
        self._over.set()
        if self._keeper is not None:
            self._keeper.join()
        try:
            if self.is_held:
                self._give_back()
        except _AWAY as error:
            LOG.warning("%s could not be given back, and ends in %.0f s: %s", self.path, self.seconds, error)
        self.until = 0.0

    def renew(self) -> None:
        """Write it anew; it is lost where somebody else has it. Raises what keeps the store from being reached."""
        for _ in range(2):
            began = elapsed()
            written = self.objects.write(self.path, self._words(self.owner), over=self._version)
            if written is not None:
                self._is_ours(written, began)
                return
            found = self.objects.read(self.path)
            if found is None or _said(found, 0)[0] != self.owner:
                self.until = 0.0
                return
            self._version = found.version

    def _give_back(self) -> None:
        """Where the store keeps conditions on deletions nothing is left of it; elsewhere it says that nobody has it."""
        if self.probe and self.objects.deletes_conditionally(self.probe):
            self.objects.delete(self.path, over=self._version)
        else:
            self.objects.write(self.path, self._words(owner=""), over=self._version)

    def _held_by_another(self) -> str | None:
        """Who has it; None if it is ours now."""
        began, found = elapsed(), self.objects.read(self.path)
        if found is not None:
            owner, seconds = _said(found, self.seconds)
            is_ours = owner == self.owner  # by a write whose answer was lost, at a time that is not known
            if owner and not is_ours and (found.age is None or found.age <= seconds + _RESOLUTION):
                return owner
            if owner and not is_ours:
                LOG.warning("%s was not renewed by %s for %.0f s and is taken over.", self.path, owner, found.age)
        written = self.objects.write(self.path, self._words(self.owner), over=found.version if found else None)
        if written is None:
            return "that came first"
        self._is_ours(written, began)
        return None

    def _is_ours(self, version: str, since: float) -> None:
        self._version, self.until = version, since + self.seconds

    def _keep(self) -> None:
        while not self._over.wait(self.seconds / _RENEWALS) and self.is_held:
            try:
                self.renew()
            except _AWAY as error:
                LOG.warning("%s could not be renewed: %s", self.path, error)

    def _words(self, owner: str) -> bytes:
        """Never the same twice: versions may be digests of the content."""
        return json.dumps({"owner": owner, "seconds": self.seconds, "written": uuid4().hex}).encode()


def _said(found: Stored, seconds: float) -> tuple[str, float]:
    """Who has it and for how long; an object that says nothing legible is somebody's, for as long as ours would be."""
    try:
        words = json.loads(found.content)
        return str(words["owner"]), float(words["seconds"])
    except (ValueError, KeyError, TypeError):
        return "unknown", seconds


def elapsed() -> float:
    """Seconds of the clock that leases end by."""
    return time.clock_gettime(_CLOCK)
