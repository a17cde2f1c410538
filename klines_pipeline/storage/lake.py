"""The lake as a place of bytes: read, list, publish whole, lock a day. Local folder or any fsspec URI.

Publishing is atomic. Local: temporary name, fsync, rename, fsync of the folder. Elsewhere: one PUT, on S3 over the
version that was compared, and of a day only while its lease is held.
What the bytes mean is not known here.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import fsspec
from botocore.exceptions import BotoCoreError
from fsspec.implementations.local import LocalFileSystem

from klines_pipeline.domain.errors import ConfigurationError, TransientError
from klines_pipeline.storage import layout
from klines_pipeline.storage.bucket import Bucket
from klines_pipeline.storage.disk import locked, settle, sweep, write_whole
from klines_pipeline.storage.leases import LEASE_SECONDS
from klines_pipeline.storage.objects import Objects, broke_off, of_s3, read_whole
from klines_pipeline.storage.s3_readers import reader_options

_REMEDY = "Set `lake:` in klines.yaml, or KLINES_LAKE, to a folder that can be read and written."
_LOCK_SECONDS = 3600.0


@dataclass(slots=True)
class Lake:
    """One root."""

    root: str
    options: Mapping[str, Any] = field(default_factory=dict)
    lease_seconds: float = LEASE_SECONDS
    fs: fsspec.AbstractFileSystem = field(init=False, repr=False)
    base: str = field(init=False)
    _bucket: Bucket = field(init=False, repr=False)

    def __post_init__(self) -> None:
        try:
            self.fs, base = fsspec.url_to_fs(self.root, use_listings_cache=False, **self.options)
        except (ImportError, ValueError) as error:
            raise ConfigurationError(
                f"lake: {self.root!r} cannot be opened ({error}). Use a folder such as ./lake, or s3://bucket/prefix."
            ) from None
        self.base = base.rstrip("/")
        self._bucket = Bucket(self.fs, self.base, layout.CONDITIONS, layout.DELETIONS, self.lease_seconds)

    @property
    def is_local(self) -> bool:
        """Whether the root is a folder of this machine."""
        return isinstance(self.fs, LocalFileSystem)

    def uri(self, path: str) -> str:
        """The full address of a path, for people and for readers such as Polars and DuckDB."""
        return f"{self.base}/{path}" if self.is_local else self.fs.unstrip_protocol(f"{self.base}/{path}")

    @contextmanager
    def _reached(self) -> Iterator[None]:
        """Errors of the place itself, in words: a store that cannot be reached, a root that is no folder."""
        try:
            yield
        except NotADirectoryError:
            raise ConfigurationError(f"The lake {self.root} is not a folder. {_REMEDY}") from None
        except Exception as error:
            if not self.is_local and broke_off(error):
                raise TransientError(f"An answer of the lake {self.root} broke off ({error}); try again.") from error
            if isinstance(error, BotoCoreError):
                raise ConfigurationError(
                    f"The lake {self.root} cannot be reached ({error}). Look at AWS_ACCESS_KEY_ID, "
                    "AWS_SECRET_ACCESS_KEY, AWS_PROFILE, AWS_REGION and AWS_ENDPOINT_URL."
                ) from None
            raise

    def _writable(self, folder: Path) -> Path:
        """Make a folder of the lake, or say that it cannot be written."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(f"The lake {self.root} cannot be written ({error.strerror}). {_REMEDY}") from None
        return folder

    def reader_options(self) -> dict[str, str]:
        """What Polars needs to read `uri`s of an object store."""
        return reader_options(self.options) if of_s3(self.fs) else {}

    def read(self, path: str) -> bytes | None:
        """The whole file; None where there is none."""
        with self._reached():
            return read_whole(self.fs, f"{self.base}/{path}")

    @contextmanager
    def opened(self, path: str) -> Iterator[IO[bytes]]:
        """The file for reading parts of it; FileNotFoundError where there is none."""
        with self._reached(), self.fs.open(f"{self.base}/{path}", "rb") as file:
            yield file

    def size(self, path: str) -> int | None:
        """Bytes; None where there is no such file."""
        with self._reached():
            if of_s3(self.fs):
                found = Objects(self.fs).look(f"{self.base}/{path}")
                return found.size if found else None
            try:
                return int(self.fs.info(f"{self.base}/{path}")["size"])
            except FileNotFoundError:
                return None

    def digest(self, path: str) -> str | None:
        """SHA-256 of the file in hex, read piece by piece; None where there is none."""
        try:
            with self.opened(path) as file:
                return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
        except FileNotFoundError:
            return None

    def folders(self, path: str, *, holding: str) -> list[str]:
        """Names of the folders inside one that have the file `holding`, sorted; a killed run may leave empty ones."""
        return sorted(self.sizes(path, holding=holding))

    def sizes(self, path: str, *, holding: str) -> dict[str, int]:
        """Bytes of the file `holding` in each folder inside one that has it, by the folder's name."""
        root = f"{self.base}/{path}"
        with self._reached():
            if self.is_local:
                return dict(_sizes_in(Path(root), holding))
            found = self.fs.find(root, detail=True)  # one listing of everything: a request a thousand files
        depth = root.count("/") + 2
        parts = ((name.split("/"), int(info["size"])) for name, info in found.items() if name.count("/") == depth)
        return {name: size for (*_, name, last), size in parts if last == holding}

    def publish(self, path: str, content: bytes, *, under: layout.Lockable | None = None) -> bool:
        """Make `content` the file, whole; False where it already is. `under`: what this run has `locked` for it; on an
        object store it is a TransientError if that is not so any more.
        """
        if not self.is_local:
            with self._reached():
                return self._bucket.put(path, content, under.lock if under else None)
        if self.read(path) == content:
            return False
        write_whole(Path(self.base, path), content)
        return True

    def publish_file(self, path: str, source: Path, *, under: layout.Lockable | None = None) -> None:
        """Move a finished file from `incoming` to its place, whole; `under` as in `publish`."""
        if not self.is_local:
            with self._reached():
                self._bucket.put_file(path, source, under.lock if under else None)
            source.unlink(missing_ok=True)
            return
        target = Path(self.base, path)
        target.parent.mkdir(parents=True, exist_ok=True)
        settle(source, target)

    @contextmanager
    def incoming(self) -> Iterator[Path]:
        """A folder for downloads, on the lake's own disk where it has one; emptied when done."""
        if self.is_local:
            home = self._writable(Path(self.base, layout.INCOMING))
            sweep(home)
            folder = Path(tempfile.mkdtemp(prefix=f".{os.getpid()}-", dir=home))
        else:
            folder = Path(tempfile.mkdtemp(prefix="klines-"))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def locked(self, paths: layout.Lockable) -> Iterator[None]:
        """Hold what is to be written against other runs: on a disk by a file lock, on S3 by a lease.

        Where the store keeps no conditions on writes, nobody is held off: whole files win or lose.
        """
        if not self.is_local:
            with self._leased(paths):
                yield
            return
        path = Path(self.base, paths.lock)
        self._writable(path.parent)
        with locked(path, _LOCK_SECONDS):
            yield

    @contextmanager
    def _leased(self, paths: layout.Lockable) -> Iterator[None]:
        with self._reached():
            self._bucket.lease(paths.lock, _LOCK_SECONDS)
        try:
            yield
        finally:
            self._bucket.give_back(paths.lock)


def _sizes_in(root: Path, holding: str) -> Iterator[tuple[str, int]]:
    try:
        folders = list(root.iterdir())
    except FileNotFoundError:
        return
    for folder in folders:
        with suppress(FileNotFoundError, NotADirectoryError):
            yield folder.name, (folder / holding).stat().st_size
