"""Reading the bucket's listing (S3 ListObjectsV2, anonymous), and what it tells of a symbol's life.

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
from klines_pipeline.domain.lateness import LONGEST_ACCIDENT, LONGEST_DELAY, OVERDUE
from klines_pipeline.domain.states import Life

_S3 = "{http://s3.amazonaws.com/doc/2006-03-01/}"
PAGE = 1000
ONE_DAY = timedelta(days=1)
HORIZON = LONGEST_ACCIDENT
"""How far beyond a day the listing looks: a longer hole is a delisting, one up to it a late or lost archive."""
LOOK_BACK = LONGEST_DELAY + ONE_DAY
"""How far before the days in question the listing begins, so that a symbol gone for long is known to be."""


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


class History(NamedTuple):
    """One symbol in the bucket: the days seen around the days asked, and whether others lie before or after."""

    days: frozenset[date]
    any_before: bool
    any_after: bool

    def life(self, day: date, *, today: date, venue_days: Collection[date]) -> Life | None:
        """Where a day lies in the symbol's life. `venue_days`: days the venue published for its bellwether.

        Of a day in progress nothing is published, and of one that just ended perhaps nothing yet: a symbol that was
        gone the day before is perhaps gone.
        """
        if day >= today:
            return self._as_before(day, today, venue_days)
        before, after = self._lies(day)
        past, coming = (day - HORIZON, day - ONE_DAY), (day + ONE_DAY, day + HORIZON)
        if day in self.days:
            if not self._near(*past) and (not before or _any_within(venue_days, *past)):
                return Life.FIRST_DAY
            over = coming[0] in venue_days and today - day > OVERDUE
            return Life.LAST_DAY if over and not self._near(*coming) else None
        if after and not before:
            return Life.NOT_LISTED
        if before and not after:
            if day in venue_days:
                return self._gone(day, today)
            return self._as_before(day, today, venue_days) if today - day <= OVERDUE else None
        return Life.PERHAPS_DELISTED if before and day in venue_days and self._in_hole(day) else None

    def _as_before(self, day: date, today: date, venue_days: Collection[date]) -> Life | None:
        """What is to be thought of a day of which nobody's archives are there yet."""
        life = self.life(day - ONE_DAY, today=today, venue_days=venue_days)
        return Life.PERHAPS_DELISTED if life in (Life.DELISTED, Life.PERHAPS_DELISTED) else None

    def _in_hole(self, day: date) -> bool:
        """Whether more archives in a row are missing around the day than get lost."""
        last = max((known for known in self.days if known < day), default=day - LOOK_BACK)
        following = min((known for known in self.days if known > day), default=day + HORIZON + ONE_DAY)
        return following - last - ONE_DAY > LONGEST_ACCIDENT

    def _gone(self, day: date, today: date) -> Life | None:
        """After the last archive. Until it is clear that this one is not merely late, nothing is said of it."""
        if today - day > LONGEST_DELAY:
            return Life.DELISTED
        fresh = today - day <= OVERDUE
        if self._near(day - LONGEST_DELAY, day - ONE_DAY):
            return None if fresh and self._near(day - HORIZON, day - ONE_DAY) else Life.PERHAPS_DELISTED
        return Life.PERHAPS_DELISTED if fresh else Life.DELISTED

    @property
    def is_empty(self) -> bool:
        """No archive at any time."""
        return not (self.days or self.any_before or self.any_after)

    def _near(self, first: date, last: date) -> bool:
        return _any_within(self.days, first, last)

    def _lies(self, day: date) -> tuple[bool, bool]:
        before = self.any_before or any(known < day for known in self.days)
        return before, self.any_after or any(known > day for known in self.days)


def _any_within(days: Collection[date], first: date, last: date) -> bool:
    return any(first <= day <= last for day in days)
