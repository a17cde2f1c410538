"""S3 ListObjects, versions 1 and 2: query in, XML page out. Knows the bucket's keys, not HTTP.

Quirks kept: NextMarker only with a delimiter; no continuation token in version 1, and `start-after` refused there.
"""

import base64
import binascii
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import quote
from xml.sax.saxutils import escape

from klines_pipeline.simulator.bucket import Bucket

BUCKET = "data.binance.vision"
MOST_ENTRIES = 1000
Echo = tuple[tuple[str, str], ...]
_XML = '<?xml version="1.0" encoding="UTF-8"?>\n'


class BadListingError(Exception):
    """The query cannot be listed; carries the argument at fault."""

    def __init__(self, message: str, *, argument: str) -> None:
        super().__init__(message)
        self.argument = argument


@dataclass(frozen=True, slots=True)
class ListingQuery:
    """A checked request for one page."""

    version: int
    prefix: str
    delimiter: str
    after: str
    most: int
    encoded: bool
    echo: Echo
    """Elements that repeat the request, in S3's order."""

    @classmethod
    def parse(cls, query: Mapping[str, str]) -> "ListingQuery":
        """Read the query of a GET on the bucket."""
        version = 2 if query.get("list-type") == "2" else 1
        if version == 1 and "start-after" in query:
            raise BadListingError(
                "start-after only supported in REST.GET.BUCKET with list-type=2", argument="start-after"
            )
        echo, position = _read_marker(query) if version == 1 else _read_start(query)
        encoding = query.get("encoding-type")
        if encoding not in {None, "url"}:
            raise BadListingError("Invalid Encoding Method specified in Request", argument="encoding-type")
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        return cls(version, prefix, delimiter, position, _read_most(query), encoding == "url", echo)


@dataclass(slots=True)
class _Page:
    keys: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    truncated: bool = False
    last: str = ""

    def __len__(self) -> int:
        return len(self.keys) + len(self.folders)


def list_objects(bucket: Bucket, query: ListingQuery, *, now: datetime, hidden: Callable[[str], bool]) -> str:
    """One page as XML; `hidden` names keys to leave out."""
    page = _collect(bucket, query, now, hidden)
    write = (lambda text: quote(text, safe="/")) if query.encoded else escape
    parts = [_XML, '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">']
    parts += [_element("Name", BUCKET), _element("Prefix", write(query.prefix))]
    parts += [_element(name, escape(value) if "Token" in name else write(value)) for name, value in query.echo]
    parts += [_element("KeyCount", str(len(page)))] if query.version == 2 else []
    parts.append(_element("MaxKeys", str(query.most)))
    parts += [_element("Delimiter", write(query.delimiter))] if query.delimiter else []
    parts += [_element("EncodingType", "url")] if query.encoded else []
    parts.append(_element("IsTruncated", "true" if page.truncated else "false"))
    if page.truncated and query.version == 2:
        parts.append(_element("NextContinuationToken", _write_token(page.last)))
    elif page.truncated and query.delimiter:
        parts.append(_element("NextMarker", write(page.last)))
    parts += [_contents(bucket, key, write) for key in page.keys]
    parts += [f"<CommonPrefixes>{_element('Prefix', write(folder))}</CommonPrefixes>" for folder in page.folders]
    parts.append("</ListBucketResult>")
    return "".join(parts)


def _collect(bucket: Bucket, query: ListingQuery, now: datetime, hidden: Callable[[str], bool]) -> _Page:
    page = _Page()
    bound = max(query.prefix.encode(), _first_bound(query))
    while query.most and _fill(page, bucket.keys_from(bound, now), query, hidden):
        bound = _after_folder(page.last)
    return page


def _fill(page: _Page, keys: Iterable[bytes], query: ListingQuery, hidden: Callable[[str], bool]) -> bool:
    """Add keys up to and including the first folder; True if there is more behind that folder."""
    prefix = query.prefix.encode()
    for encoded in keys:
        if not encoded.startswith(prefix):
            return False
        key = encoded.decode()
        if hidden(key):
            continue
        if len(page) == query.most:
            page.truncated = True
            return False
        folder = _folder(key, query)
        page.last = folder or key
        if folder:
            page.folders.append(folder)
            return True
        page.keys.append(key)
    return False


def _first_bound(query: ListingQuery) -> bytes:
    """Smallest key that may still appear: a folder at or before the position has been told already."""
    if not query.after:
        return b""
    folder = _folder(query.after, query) if query.after.startswith(query.prefix) else ""
    return _after_folder(folder) if folder else query.after.encode() + b"\0"


def _folder(key: str, query: ListingQuery) -> str:
    place = key.find(query.delimiter, len(query.prefix)) if query.delimiter else -1
    return key[: place + len(query.delimiter)] if place >= 0 else ""


def _after_folder(folder: str) -> bytes:
    encoded = folder.encode()
    return encoded[:-1] + bytes([encoded[-1] + 1])


def _contents(bucket: Bucket, key: str, write: Callable[[str], str]) -> str:
    facts = bucket.facts(key)
    modified = bucket.last_modified(key).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return (
        f"<Contents><Key>{write(key)}</Key><LastModified>{modified}</LastModified>"
        f"<ETag>&quot;{facts.md5}&quot;</ETag><Size>{facts.size}</Size><StorageClass>STANDARD</StorageClass></Contents>"
    )


def _element(name: str, text: str) -> str:
    return f"<{name}>{text}</{name}>"


def _read_marker(query: Mapping[str, str]) -> tuple[Echo, str]:
    marker = query.get("marker", "")
    return (("Marker", marker),), marker


def _read_start(query: Mapping[str, str]) -> tuple[Echo, str]:
    names = {"StartAfter": "start-after", "ContinuationToken": "continuation-token"}
    echo = tuple((element, query[name]) for element, name in names.items() if query.get(name))
    token = query.get("continuation-token")
    return echo, query.get("start-after", "") if token is None else _read_token(token)


def _read_most(query: Mapping[str, str]) -> int:
    text = query.get("max-keys", str(MOST_ENTRIES))
    if not text.isascii() or not text.isdigit() or len(text) > 10:
        raise BadListingError("Provided max-keys not an integer or within integer range", argument="max-keys")
    return min(int(text), MOST_ENTRIES)


def _write_token(last: str) -> str:
    return base64.urlsafe_b64encode(last.encode()).decode()


def _read_token(token: str) -> str:
    try:
        return base64.b64decode(token.encode(), altchars=b"-_", validate=True).decode()
    except (ValueError, binascii.Error):
        raise BadListingError("The continuation token provided is incorrect", argument="continuation-token") from None
