"""An object store as the lake's place: a file is one PUT over the version that was compared, under the lease handed
over.

What is a path of the lake is not known here, nor how a lease is kept.
"""

from dataclasses import dataclass, field
from pathlib import Path

import fsspec

from klines_pipeline.domain.errors import TransientError
from klines_pipeline.storage.leases import LEASE_SECONDS, Lease
from klines_pipeline.storage.objects import Objects, conditional, read_whole

_LARGEST_PUT = 100 * 2**20
"""Bytes; more goes up in parts, which know no conditions."""


@dataclass(slots=True)
class Bucket:
    """One prefix. `writes`, `deletions`: paths by which it is tried whether the store keeps conditions on them."""

    fs: fsspec.AbstractFileSystem
    base: str
    writes: str
    deletions: str
    lease_seconds: float = LEASE_SECONDS
    _leases: dict[str, Lease] = field(default_factory=dict)

    def put(self, path: str, content: bytes, lock: str | None) -> bool:
        """Make `content` the file; False where it already is. TransientError if another run was first, or `lock` is not
        held any more.
        """
        place, objects = f"{self.base}/{path}", self._objects()
        if objects is None or len(content) >= _LARGEST_PUT:
            if read_whole(self.fs, place) == content:
                return False
            self._fence(path, lock)
            self.fs.pipe_file(place, content)
            return True
        found = objects.look(place)
        if found is not None and found.size == len(content):
            found = objects.read(place)
            if found is not None and found.content == content:
                return False
        self._fence(path, lock)
        if objects.write(place, content, over=found.version if found else None) is None:
            self._must_be(place, content)
        return True

    def put_file(self, path: str, source: Path, lock: str | None) -> None:
        """The same with a finished file of this machine, whatever is there: a new path costs one request."""
        place, objects = f"{self.base}/{path}", self._objects()
        self._fence(path, lock)
        if objects is None or source.stat().st_size >= _LARGEST_PUT:
            self.fs.put_file(str(source), place)
            return
        content = source.read_bytes()
        if objects.write(place, content, over=None) is None:
            self.put(path, content, lock)

    def _must_be(self, place: str, content: bytes) -> None:
        """A write that was sent twice is refused, too."""
        if read_whole(self.fs, place) != content:
            address = self.fs.unstrip_protocol(place)
            raise TransientError(f"Another run has written {address} meanwhile; materialize again.")

    def _objects(self) -> Objects | None:
        """The store, if it keeps conditions on writes."""
        return conditional(self.fs, f"{self.base}/{self.writes}")

    def _fence(self, path: str, lock: str | None) -> None:
        """TransientError where the lease handed over is not held, or no more."""
        if lock is None or self._objects() is None:
            return
        lease = self._leases.get(lock)
        if lease is None or not lease.is_held:
            raise TransientError(
                f"{self.fs.unstrip_protocol(f'{self.base}/{path}')} was not written: this run did not renew its lease "
                "in time, so that another may have begun the day. Materialize it again."
            )

    def lease(self, lock: str, patience: float) -> None:
        """Hold it until `give_back`, where the store keeps conditions. TransientError after `patience` seconds."""
        objects = self._objects()
        if objects is None:
            return
        lease = Lease(objects, f"{self.base}/{lock}", self.lease_seconds, probe=f"{self.base}/{self.deletions}")
        lease.acquire(patience)
        self._leases[lock] = lease

    def give_back(self, lock: str) -> None:
        """Nothing is written under it any more."""
        lease = self._leases.pop(lock, None)
        if lease is not None:
            lease.release()
