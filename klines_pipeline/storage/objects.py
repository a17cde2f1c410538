"""Objects of an S3 store with conditions: read with their version and age, write only over the version that was read.

Whether a store keeps conditions is tried, not believed: some ignore them, some refuse them. Ages are the store's own:
its `Date` less `Last-Modified`; the clock of this machine is not asked.
"""

import asyncio
import functools
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any
from uuid import uuid4

import fsspec
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    IncompleteReadError,
    ReadTimeoutError,
    ResponseStreamingError,
)
from fsspec.asyn import AsyncFileSystem, sync

from klines_pipeline.domain.errors import ConfigurationError, TransientError

_ABSENT = {404}
_REFUSED = {404, 409, 412}
"""412: another version is there. 409: another write was under way. 404: nothing is there to be written over."""
_UNKNOWN_TO_IT = {400, 405, 501}
_MAY_NOT = {401, 403}
_BROKEN = (
    ConnectionClosedError,
    IncompleteReadError,
    ReadTimeoutError,
    ResponseStreamingError,
    ConnectionError,
    TimeoutError,
)
_PAUSES = (0.1, 0.4, 1.5)
"""Seconds before a body that broke off is asked for again."""
NEVER = '"0"'
"""The version of no object."""
LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Stored:
    """An object as it was found. `age`: seconds since it was written; None if the store does not tell its time."""

    version: str
    size: int
    age: float | None
    content: bytes = b""


@dataclass(frozen=True, slots=True)
class Objects:
    """The objects of one store; paths begin with the bucket."""

    fs: AsyncFileSystem

    def look(self, path: str) -> Stored | None:
        """All about an object but its content; None where there is none."""
        try:
            return _stored(self.fs.call_s3("head_object", **self._place(path)))
        except (OSError, ClientError) as error:
            if _status(error) in _ABSENT:
                return None
            raise

    def read(self, path: str) -> Stored | None:
        """The object; None where there is none. TransientError where it breaks off each time."""
        try:
            found: Stored = sync(self.fs.loop, self._read, path)
        except (OSError, ClientError) as error:
            if _status(error) in _ABSENT:
                return None
            raise
        return found

    async def _read(self, path: str) -> Stored:
        for pause in (*_PAUSES, None):
            answer = await self.fs._call_s3("get_object", **self._place(path))
            try:
                async with answer["Body"] as body:
                    return _stored(answer, await body.read())
            except Exception as error:
                if not broke_off(error):
                    raise
                LOG.debug("%s broke off: %s", path, error)
                problem = error
            if pause is not None:
                await asyncio.sleep(pause)
        raise TransientError(f"{path} broke off {len(_PAUSES) + 1} times ({problem}); materialize again.") from problem

    def write(self, path: str, content: bytes, *, over: str | None) -> str | None:
        """The version written; None if what is there is not the version `over`, or, without one, if anything is.
        ConfigurationError where there is no such bucket.

        A write that was sent again because its answer got lost may be refused although it was done.
        """
        condition = {"IfNoneMatch": "*"} if over is None else {"IfMatch": over}
        try:
            answer = self.fs.call_s3("put_object", **self._place(path), Body=content, **condition)
        except (OSError, ClientError) as error:
            if _answer(error).get("Error", {}).get("Code") == "NoSuchBucket":
                bucket = self._place(path)["Bucket"]
                raise ConfigurationError(f"There is no bucket {bucket!r}: make it, or correct `lake:`.") from None
            if _status(error) in _REFUSED:
                return None
            raise
        return str(answer["ETag"])

    def delete(self, path: str, *, over: str) -> bool:
        """Whether the version `over` was there, and is no more. A store that knows no such condition deletes any."""
        try:
            self.fs.call_s3("delete_object", **self._place(path), IfMatch=over)
        except (OSError, ClientError) as error:
            if _status(error) in _REFUSED:
                return False
            raise
        return True

    def deletes_conditionally(self, probe: str) -> bool:
        """Whether the store keeps conditions on deletions, tried once. `probe`: an object of no other use."""
        return _keeps_deletions(self.fs, probe)

    def _place(self, path: str) -> dict[str, str]:
        bucket, key, _ = self.fs.split_path(path)
        return {"Bucket": bucket, "Key": key}


def of_s3(fs: fsspec.AbstractFileSystem) -> bool:
    """Whether it speaks S3; s3fs need not be imported to tell."""
    return "s3" in fs.protocol


def read_whole(fs: fsspec.AbstractFileSystem, path: str) -> bytes | None:
    """A file of any store; None where there is none. On S3 in one request: `cat_file` asks for the size first."""
    if of_s3(fs):
        found = Objects(fs).read(path)
        return found.content if found else None
    try:
        content: bytes = fs.cat_file(path)
    except FileNotFoundError:
        return None
    return content


def conditional(fs: fsspec.AbstractFileSystem, probe: str) -> Objects | None:
    """The store's objects, if it keeps conditions; None, and once a line in the log, if not. `probe`: an object of no
    other use.
    """
    return Objects(fs) if of_s3(fs) and _keeps_conditions(fs, probe) else None


@functools.cache
def _keeps_conditions(fs: AsyncFileSystem, probe: str) -> bool:
    objects = Objects(fs)
    try:
        objects.write(probe, b"", over=None)
        found = objects.look(probe)
        tells_time = found is not None and found.age is not None
        words = (uuid4().bytes, uuid4().bytes)
        kept = (
            tells_time
            and objects.write(probe, words[0], over=None) is None
            and objects.write(probe, words[1], over=NEVER) is None
        )
    except (OSError, ClientError) as error:
        if _status(error) not in _UNKNOWN_TO_IT:
            raise
        kept = False
    if not kept:
        LOG.warning(
            "The store of %s does not keep conditions on writes (If-None-Match, If-Match), so two runs of one day do "
            "not exclude each other: let one machine write to this lake.",
            probe.rpartition("/")[0].rpartition("/")[0],
        )
    return kept


@functools.cache
def _keeps_deletions(fs: AsyncFileSystem, probe: str) -> bool:
    """A refusal that is none of the condition's, such as of the right to delete, is one as well."""
    objects = Objects(fs)
    try:
        objects.write(probe, b"", over=None)
        return not objects.delete(probe, over=NEVER) and objects.look(probe) is not None
    except (OSError, ClientError) as error:
        if _status(error) in _MAY_NOT | _UNKNOWN_TO_IT:
            return False
        raise


def broke_off(error: BaseException) -> bool:
    """Whether an answer did not come to its end. By name: aiohttp comes with s3fs, and is not imported for a disk."""
    wire = {name.__name__ for name in type(error).__mro__ if name.__module__.startswith("aiohttp.")}
    return "ClientError" in wire or isinstance(error, _BROKEN)


def _stored(answer: Mapping[str, Any], content: bytes = b"") -> Stored:
    date = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    age = (parsedate_to_datetime(date) - answer["LastModified"]).total_seconds() if date else None
    return Stored(str(answer["ETag"]), int(answer["ContentLength"]), age, content)


def _status(error: BaseException) -> int:
    """The HTTP status behind an error; 0 where there was no answer."""
    return int(_answer(error).get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _answer(error: BaseException | None) -> Mapping[str, Any]:
    """The store's answer behind an error of s3fs, which keeps it as the cause."""
    while error is not None and not isinstance(error, ClientError):
        error = error.__cause__
    return error.response if error is not None else {}
