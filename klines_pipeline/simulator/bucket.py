"""The bucket `data.binance.vision`: which keys exist now, in byte order, and what lies behind each.

No HTTP and no XML here: those are `bucket_listing` and `bucket_answers`.
"""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from klines_pipeline.simulator.archives import Archives, checksum_text
from klines_pipeline.simulator.keyspace import CHECKSUM
from klines_pipeline.simulator.stored import BoundedCache, ObjectFacts, Shelf, StoredObject

_MOST_BYTES_HELD = 96 * 1024 * 1024
_MOST_FACTS_HELD = 200_000
_BEHIND = b"\xff"
"""After every key with a prefix: UTF-8 has no such byte."""


class Bucket:
    """The archives of every market, generated when asked for, and the stored objects beside them."""

    def __init__(self, archives: Sequence[Archives]) -> None:
        self.shelf = Shelf()
        self.stopping = threading.Event()
        self._making = threading.RLock()  # a zip and its checksum are often asked for at once: made once
        self._archives = sorted(archives, key=lambda kind: kind.prefix.encode())
        self._bodies: BoundedCache[bytes] = BoundedCache(_MOST_BYTES_HELD)
        self._facts: BoundedCache[ObjectFacts] = BoundedCache(_MOST_FACTS_HELD)

    def keys_from(self, bound: bytes, now: datetime) -> Iterator[bytes]:
        """Keys that exist at `now`, from `bound` on, ascending by their bytes."""
        stored = self.shelf.first_from(bound, now)
        for key in self._archive_keys_from(bound, now):
            while stored is not None and stored < key:
                yield stored
                stored = self.shelf.first_from(stored + b"\0", now)
            if stored == key:
                stored = self.shelf.first_from(key + b"\0", now)
            yield key
        while stored is not None:
            yield stored
            stored = self.shelf.first_from(stored + b"\0", now)

    def exists(self, key: str, now: datetime) -> bool:
        """Whether a key can be had at `now`."""
        stored = self.shelf.get(key)
        if stored is not None:
            return stored.visible_from <= now
        archives, zip_key = self._archives_of(key), key.removesuffix(CHECKSUM)
        return archives is not None and not self.shelf.is_missing(key) and archives.is_published(zip_key, now)

    def last_modified(self, key: str) -> datetime:
        """`Last-Modified` of an existing key, UTC, whole seconds."""
        stored = self.shelf.get(key)
        if stored is not None:
            return stored.last_modified
        archives = self._archives_of(key)
        if archives is None:
            raise KeyError(key)
        return archives.published_at(key.removesuffix(CHECKSUM))

    def facts(self, key: str) -> ObjectFacts:
        """Size and digests of an existing key; they are held longer than the bytes."""
        found = self._facts.get(key)
        if found is None:
            found = ObjectFacts.of(self.read(key))
            self._facts.put(key, found)
        return found

    def place(self, key: str, stored: StoredObject) -> None:
        """Put an object at a key, over whatever was there."""
        self.shelf.put(key, stored)
        self._forget(key)

    def hold(self, zip_key: str, *, until: datetime) -> None:
        """Let a stored zip and its checksum appear at `until` (UTC), and forget what was known of them."""
        for key in (zip_key, zip_key + CHECKSUM):
            stored = self.shelf.get(key)
            if stored is not None:
                self.shelf.put(key, replace(stored, visible_from=until))
            self._forget(key)

    def remove(self, key: str) -> None:
        """Make a key missing."""
        self.shelf.remove(key)
        self._forget(key)

    def _forget(self, key: str) -> None:
        self._facts.drop(key)
        self._bodies.drop(key)

    def has_ready(self, key: str) -> bool:
        """Whether `read` and `facts` answer at once, without generating an archive."""
        generated = self._bodies.get(key) is not None and self._facts.get(key) is not None
        return generated or self.shelf.get(key) is not None

    def read(self, key: str) -> bytes:
        """The bytes of an existing key."""
        stored = self.shelf.get(key)
        if stored is not None:
            return stored.read()
        with self._making:
            held = self._bodies.get(key)
            if held is None:
                held = self._generate(key)
                self._bodies.put(key, held, cost=len(held))
            return held

    def _generate(self, key: str) -> bytes:
        if self.stopping.is_set():
            raise ConnectionAbortedError("the embedded exchange is stopping. Start it again to read the bucket.")
        archives = self._archives_of(key)
        if archives is None:
            raise KeyError(key)
        if key.endswith(CHECKSUM):
            zip_key = key.removesuffix(CHECKSUM)
            return checksum_text(self.facts(zip_key).sha256, zip_key.rpartition("/")[2])
        return archives.body(key)

    def _archives_of(self, key: str) -> Archives | None:
        return next((kind for kind in self._archives if key.startswith(kind.prefix)), None)

    def _archive_keys_from(self, bound: bytes, now: datetime) -> Iterator[bytes]:
        for kind in self._archives:
            if bound > kind.prefix.encode() + _BEHIND:
                continue
            for zip_key in kind.keys_from(bound, now):
                for key in (zip_key, zip_key + CHECKSUM):
                    encoded = key.encode()
                    if encoded >= bound and not self.shelf.is_missing(key):
                        yield encoded
