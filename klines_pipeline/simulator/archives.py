"""Archives as bytes: a CSV in its zip, and the text of its `.CHECKSUM`. The same text gives the same bytes.

What every kind of archive can tell the bucket is named here too; the kinds are `kline_archives`, `funding_archives`.
"""

import io
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Protocol

from klines_pipeline.simulator.columns import Klines
from klines_pipeline.simulator.text import parse_csv

_COMPRESSION = 1
"""zlib level: 2 ms for 1,440 rows; level 6 takes 12 ms for a fifth less."""


class Archives(Protocol):
    """All archives of one kind and market: one stretch of the bucket's keys."""

    @property
    def prefix(self) -> str:
        """What all their keys begin with, and no others."""

    def keys_from(self, bound: bytes, now: datetime) -> Iterator[str]:
        """Zip keys published by `now`, ascending by their bytes, whose own or whose checksum's key is >= `bound`."""

    def is_published(self, key: str, now: datetime) -> bool:
        """Whether there is such an archive, and by `now`."""

    def published_at(self, key: str) -> datetime:
        """When an archive appears, UTC, whole seconds."""

    def body(self, key: str) -> bytes:
        """The bytes of an archive."""


def zip_archive(name: str, text: bytes, *, written: datetime) -> bytes:
    """The zip `name` with one deflated member of the same name in `.csv`, stamped `written` (UTC)."""
    member = zipfile.ZipInfo(name.removesuffix(".zip") + ".csv", date_time=written.timetuple()[:6])
    member.external_attr = 0o644 << 16
    member.compress_type = zipfile.ZIP_DEFLATED
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr(member, text, compresslevel=_COMPRESSION)
    return target.getvalue()


def checksum_text(sha256: str, name: str) -> bytes:
    """Digest, two spaces, file name, and no newline, as the bucket has it."""
    return f"{sha256}  {name}".encode()


def read_archive(body: bytes) -> tuple[Klines, datetime]:
    """Rows of a zip's first member and the time of its entry, taken as UTC."""
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        member = archive.infolist()[0]
        return parse_csv(archive.read(member).decode()), datetime(*member.date_time, tzinfo=UTC)
