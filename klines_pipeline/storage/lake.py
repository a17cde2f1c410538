"""The lake as a place of bytes: read, list, publish whole, lock a day. Local folder or any fsspec URI.

Publishing is atomic. Local: temporary name, fsync, rename, fsync of the folder. Elsewhere: one PUT.
What the bytes mean is not known here.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

import fsspec
from botocore.exceptions import BotoCoreError
from filelock import FileLock, Timeout
from fsspec.implementations.local import LocalFileSystem

from klines_pipeline.domain.errors import ConfigurationError, TransientError
from klines_pipeline.storage import layout

_REMEDY = "Set `lake:` in klines.yaml, or KLINES_LAKE, to a folder that can be read and written."
_LOCK_SECONDS = 3600.0
_LEFTOVER_SECONDS = 86_400.0


@dataclass(slots=True)
class Lake:
    """One root."""

    root: str
    options: Mapping[str, Any] = field(default_factory=dict)
    fs: fsspec.AbstractFileSystem = field(init=False, repr=False)
    base: str = field(init=False)

    def __post_init__(self) -> None:
        try:
            self.fs, base = fsspec.url_to_fs(self.root, use_listings_cache=False, **self.options)
        except (ImportError, ValueError) as error:
            raise ConfigurationError(
                f"lake: {self.root!r} cannot be opened ({error}). Use a folder such as ./lake, or s3://bucket/prefix."
            ) from None
        self.base = base.rstrip("/")

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
        except BotoCoreError as error:
            raise ConfigurationError(
                f"The lake {self.root} cannot be reached ({error}). Look at AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, "
                "AWS_PROFILE, AWS_REGION and AWS_ENDPOINT_URL."
            ) from None
        except NotADirectoryError:
            raise ConfigurationError(f"The lake {self.root} is not a folder. {_REMEDY}") from None

    def _writable(self, folder: Path) -> Path:
        """Make a folder of the lake, or say that it cannot be written."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(f"The lake {self.root} cannot be written ({error.strerror}). {_REMEDY}") from None
        return folder

    def reader_options(self) -> dict[str, str]:
        """What Polars needs to read `uri`s of an object store; credentials come from the usual AWS_* variables."""
        if self.is_local:
            return {}
        endpoint = self.options.get("endpoint_url")
        return _s3_options(str(endpoint)) if endpoint else {}

    def read(self, path: str) -> bytes | None:
        """The whole file; None where there is none."""
        with self._reached():
            try:
                content: bytes = self.fs.cat_file(f"{self.base}/{path}")
            except FileNotFoundError:
                return None
            return content

    @contextmanager
    def opened(self, path: str) -> Iterator[IO[bytes]]:
        """The file for reading parts of it; FileNotFoundError where there is none."""
        with self._reached(), self.fs.open(f"{self.base}/{path}", "rb") as file:
            yield file

    def size(self, path: str) -> int | None:
        """Bytes; None where there is no such file."""
        with self._reached():
            try:
                return int(self.fs.info(f"{self.base}/{path}")["size"])
            except FileNotFoundError:
                return None

    def folders(self, path: str, *, holding: str) -> list[str]:
        """Names of the folders inside one that have the file `holding`, sorted; a killed run may leave empty ones."""
        root = f"{self.base}/{path}"
        with self._reached():
            if self.is_local:
                try:
                    return sorted(folder.name for folder in Path(root).iterdir() if (folder / holding).exists())
                except FileNotFoundError:
                    return []
            found = self.fs.find(root)  # one listing of everything: a request a thousand files
        depth = root.count("/") + 2
        parts = (name.split("/") for name in found if name.count("/") == depth)
        return sorted(name for *_, name, last in parts if last == holding)

    def files(self, start: str) -> list[tuple[str, datetime]]:
        """Paths that begin with `start`, in its folder, and when each was written by the place's own clock (UTC)."""
        folder = start.rpartition("/")[0]
        with self._reached():
            try:
                found = self.fs.ls(f"{self.base}/{folder}", detail=False)
            except FileNotFoundError:
                return []
            names = sorted(f"{folder}/{name.rpartition('/')[2]}" for name in found)
            chosen = [name for name in names if name.startswith(start)]
            return [(name, self.fs.modified(f"{self.base}/{name}").astimezone(UTC)) for name in chosen]

    def publish(self, path: str, content: bytes) -> bool:
        """Make `content` the file, whole; False where it already is."""
        if self.read(path) == content:
            return False
        if not self.is_local:
            with self._reached():
                self.fs.pipe_file(f"{self.base}/{path}", content)
            return True
        target = Path(self.base, path)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{uuid4().hex}.tmp")
        try:
            with temporary.open("wb") as file:
                file.write(content)
            _settle(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
        return True

    def publish_file(self, path: str, source: Path) -> None:
        """Move a finished file from `incoming` to its place, whole."""
        if not self.is_local:
            with self._reached():
                self.fs.put_file(str(source), f"{self.base}/{path}")
            source.unlink(missing_ok=True)
            return
        target = Path(self.base, path)
        target.parent.mkdir(parents=True, exist_ok=True)
        _settle(source, target)

    @contextmanager
    def incoming(self) -> Iterator[Path]:
        """A folder for downloads, on the lake's own disk where it has one; emptied when done."""
        if self.is_local:
            home = self._writable(Path(self.base, layout.INCOMING))
            _sweep(home)
            folder = Path(tempfile.mkdtemp(prefix=f".{os.getpid()}-", dir=home))
        else:
            folder = Path(tempfile.mkdtemp(prefix="klines-"))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def locked(self, paths: layout.Lockable) -> Iterator[None]:
        """Hold what is to be written against other runs on this disk.

        Object stores have no lock: there, whole files win or lose.
        """
        if not self.is_local:
            yield
            return
        path = Path(self.base, paths.lock)
        self._writable(path.parent)
        lock = FileLock(path)
        try:
            lock.acquire(timeout=_LOCK_SECONDS)
        except Timeout:
            raise TransientError(f"Another run has held {path.stem} for {_LOCK_SECONDS:.0f} s; wait for it.") from None
        try:
            yield
        finally:
            lock.release()


def _s3_options(endpoint: str) -> dict[str, str]:
    return {
        "aws_endpoint_url": endpoint,
        "aws_allow_http": str(endpoint.startswith("http://")).lower(),
        "aws_virtual_hosted_style_request": "false",
    }


def _sweep(home: Path) -> None:
    """Remove what killed runs left behind more than a day ago."""
    for leftover in home.iterdir():
        if time.time() - leftover.stat().st_mtime > _LEFTOVER_SECONDS:
            shutil.rmtree(leftover, ignore_errors=True)


def _settle(source: Path, target: Path) -> None:
    """fsync, rename, fsync of the folder: after a power cut the old file or the new one is there."""
    with source.open("rb+") as file:
        os.fsync(file.fileno())
    source.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
