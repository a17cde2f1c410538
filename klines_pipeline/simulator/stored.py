"""Objects that exist as bytes or files and not as arithmetic: real archives, junk, whatever a test put there."""

import threading
from bisect import bisect_left
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import md5, sha256
from pathlib import Path
from typing import Generic, TypeVar

Value = TypeVar("Value")
ALWAYS = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class StoredObject:
    """Content, `Last-Modified` (UTC), and from when on it may be seen."""

    content: bytes | Path
    last_modified: datetime
    visible_from: datetime = ALWAYS

    def read(self) -> bytes:
        """The bytes served."""
        return self.content.read_bytes() if isinstance(self.content, Path) else self.content


@dataclass(frozen=True, slots=True)
class ObjectFacts:
    """What a listing says of an object: size, MD5 (the ETag) and SHA-256, both hexadecimal."""

    size: int
    md5: str
    sha256: str

    @classmethod
    def of(cls, body: bytes) -> "ObjectFacts":
        """Facts of these bytes."""
        return cls(len(body), md5(body, usedforsecurity=False).hexdigest(), sha256(body).hexdigest())


class Shelf:
    """Stored objects by key, and keys that are to be missing although arithmetic knows them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._objects: dict[str, StoredObject] = {}
        self._sorted: list[bytes] = []
        self._missing: frozenset[str] = frozenset()

    def put(self, key: str, stored: StoredObject) -> None:
        """Place an object; it hides an archive of the same key."""
        with self._lock:
            self._objects = {**self._objects, key: stored}
            self._sorted = sorted(name.encode() for name in self._objects)
            self._missing -= {key}

    def put_all(self, objects: dict[str, StoredObject]) -> None:
        """Place many at once."""
        with self._lock:
            self._objects = {**self._objects, **objects}
            self._sorted = sorted(name.encode() for name in self._objects)
            self._missing -= objects.keys()

    def remove(self, key: str) -> None:
        """Make a key missing, whatever else would be there."""
        with self._lock:
            self._objects = {name: stored for name, stored in self._objects.items() if name != key}
            self._sorted = sorted(name.encode() for name in self._objects)
            self._missing |= {key}

    def get(self, key: str) -> StoredObject | None:
        """The object of a key."""
        return self._objects.get(key)

    def is_missing(self, key: str) -> bool:
        """Whether the key was removed."""
        return key in self._missing

    def first_from(self, bound: bytes, now: datetime) -> bytes | None:
        """The first visible key at or after `bound` in byte order."""
        keys, objects = self._sorted, self._objects
        for encoded in keys[bisect_left(keys, bound) :]:
            stored = objects.get(encoded.decode())
            if stored and stored.visible_from <= now:
                return encoded
        return None


class BoundedCache(Generic[Value]):
    """Most recently used values up to a total cost; safe between threads."""

    def __init__(self, most: int) -> None:
        self._lock = threading.Lock()
        self._most = most
        self._total = 0
        self._values: OrderedDict[str, tuple[Value, int]] = OrderedDict()

    def get(self, key: str) -> Value | None:
        """The value of a key, if still held."""
        with self._lock:
            found = self._values.get(key)
            if found is None:
                return None
            self._values.move_to_end(key)
            return found[0]

    def put(self, key: str, value: Value, *, cost: int = 1) -> None:
        """Hold a value; the least recently used make room."""
        with self._lock:
            self._total += cost - self._values.pop(key, (None, 0))[1]
            self._values[key] = (value, cost)
            while self._total > self._most and len(self._values) > 1:
                self._total -= self._values.popitem(last=False)[1][1]

    def drop(self, key: str) -> None:
        """Forget a key."""
        with self._lock:
            self._total -= self._values.pop(key, (None, 0))[1]
