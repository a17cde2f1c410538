"""Reading the bucket's listing (S3 ListObjectsV2, anonymous). What it tells of a symbol's life: `klines.archive_life`.

Paging is by `start-after` alone: stateless, bounded by `max-keys`, and free of v1's markers.
"""

import re
from collections.abc import Collection, Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from urllib.parse import urlencode
from xml.etree import ElementTree

from klines_pipeline.domain.errors import TransientError

_S3 = "{http://s3.amazonaws.com/doc/2006-03-01/}"
PAGE = 1000
ONE_DAY = timedelta(days=1)


class ListedObject(NamedTuple):
    """One key of the bucket."""

    key: str
    size: int
    etag: str
    last_modified: datetime


class Page(NamedTuple):
    """One answer to a listing request."""

    objects: list[ListedObject]
    truncated: bool
    folders: tuple[str, ...] = ()


def listing_query(prefix: str, *, start_after: str = "", max_keys: int = PAGE, delimiter: str = "") -> str:
    """The query string of one page: of keys, those alike up to a delimiter after the prefix told as one folder."""
    query = {"list-type": "2", "prefix": prefix, "max-keys": str(max_keys)}
    if delimiter:
        query["delimiter"] = delimiter
    if start_after:
        query["start-after"] = start_after
    return urlencode(query)


def parse_page(body: bytes) -> Page:
    """Read one page; TransientError where the body is not a listing (an outage answers with HTML or an Error)."""
    try:
        root = ElementTree.fromstring(body)  # noqa: S314 - expat refuses entity bombs since 2.4.1
    except (ElementTree.ParseError, LookupError, ValueError) as error:  # ValueError, LookupError: an unknown encoding
        raise TransientError(f"the bucket's listing is not XML ({error}).") from None
    if root.tag != f"{_S3}ListBucketResult":
        raise TransientError(f"the bucket answered {root.findtext('Code') or root.tag} instead of a listing.")
    try:
        objects = [_object(entry) for entry in root.iterfind(f"{_S3}Contents")]
    except ValueError as error:
        raise TransientError(f"the bucket's listing has an entry that cannot be read ({error}).") from None
    folders = tuple(_text(entry, "Prefix") for entry in root.iterfind(f"{_S3}CommonPrefixes"))
    return Page(objects, _text(root, "IsTruncated") == "true", folders)


def _object(entry: ElementTree.Element) -> ListedObject:
    modified = datetime.fromisoformat(_text(entry, "LastModified"))
    modified = modified.replace(tzinfo=UTC) if modified.tzinfo is None else modified.astimezone(UTC)
    return ListedObject(_text(entry, "Key"), int(_text(entry, "Size")), _text(entry, "ETag").strip('"'), modified)


def _text(element: ElementTree.Element, name: str) -> str:
    return element.findtext(f"{_S3}{name}") or ""


def archive_days(objects: Collection[ListedObject], stem: str) -> Iterator[tuple[date, str, ListedObject]]:
    """The objects that are archives or checksums named `{stem}{day}.zip[.CHECKSUM]`; junk keys are passed over."""
    pattern = re.compile(re.escape(stem) + r"([0-9]{4}-[0-9]{2}-[0-9]{2})\.zip(\.CHECKSUM)?")
    for listed in objects:
        match = pattern.fullmatch(listed.key)
        with suppress(ValueError):  # junk such as 2024-02-30
            if match:
                yield date.fromisoformat(match[1]), match[2] or "", listed
