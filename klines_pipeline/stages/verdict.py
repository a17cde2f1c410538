"""What becomes of an archive's ledger entry: in the light of a listing, and after a download. No I/O."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from operator import attrgetter
from typing import NamedTuple

import polars as pl

from klines_pipeline.domain.interval import Interval
from klines_pipeline.domain.states import ArchiveState, Life
from klines_pipeline.exchanges.protocols import FetchedArchive, PublishedArchive
from klines_pipeline.klines.ledgers import NEWER_VERSION, WITHDRAWN, ArchiveEntry, RevisionEntry, note
from klines_pipeline.klines.schema import slot

SETTLED = frozenset({ArchiveState.OK, ArchiveState.CHECKSUM_ABSENT, ArchiveState.CHECKSUM_MISMATCH})
"""States of a version that was judged and whose bytes the lake holds; all others are tried again in every run."""

FETCHED = SETTLED | {ArchiveState.CORRUPT}
"""States of an archive that was there."""

DAMAGED = frozenset({ArchiveState.CORRUPT, ArchiveState.CHECKSUM_MISMATCH})
"""States that a bad copy of the version published may have caused."""

_LONGEST_REST = timedelta(days=28)
_ONE_DAY = timedelta(days=1)
_SAME_VERSION = timedelta(minutes=1)
"""Two hosts' Last-Modified of one version may differ by their rounding; versions lie days apart."""


VERSION = ("etag", "size")
"""What tells versions of an archive apart, in a listing and in the ledger; columns of their frames likewise."""
_version_of = attrgetter(*VERSION)


def is_same_version(known: ArchiveEntry, published: PublishedArchive) -> bool:
    """Whether the version listed is the one the ledger speaks of. Of many at once: join on VERSION."""
    return bool(_version_of(known) == _version_of(published))


def absent(symbol: str, key: str) -> ArchiveEntry:
    """A symbol-day without an archive; a market whose archives have no keys has none at all."""
    state = ArchiveState.NOT_PUBLISHED if key else ArchiveState.NO_ARCHIVE
    return ArchiveEntry(symbol=symbol, key=key, state=state)


def without_listing(known: ArchiveEntry, error: str, http_status: int | None) -> ArchiveEntry:
    """The bucket could not be listed: what is held stays valid, the rest is unavailable."""
    if known.state in SETTLED:
        return known
    return replace(known, state=ArchiveState.UNAVAILABLE, http_status=http_status, error=error)


def as_listed(known: ArchiveEntry, published: PublishedArchive | None, life: Life | None) -> ArchiveEntry:
    """The entry in the light of a listing that worked: what an outage left behind is gone, what is held stays."""
    if known.state not in SETTLED and published is None:
        return replace(absent(known.symbol, known.key), error=life)
    problem = known.problem
    if published is None and known.state is ArchiveState.OK:
        problem = WITHDRAWN
    elif problem == WITHDRAWN or (problem or "").startswith(NEWER_VERSION):
        problem = None  # listed again, or looked at again right away
    return replace(known, error=note(life, problem))


def is_current(known: ArchiveEntry, published: PublishedArchive) -> bool:
    """Whether the version listed is the one already judged; a checksum that came or changed since calls for more."""
    if known.state not in SETTLED or not is_same_version(known, published):
        return False
    if known.state is ArchiveState.OK:
        return True
    if published.checksum_modified is None:
        return known.state is ArchiveState.CHECKSUM_ABSENT
    if known.sha256_published is None or known.fetched_at is None:
        return False
    return published.checksum_modified <= known.fetched_at


def is_due_again(first_seen_at: datetime | None, fetched_at: datetime | None, today: date) -> bool:
    """Whether a damaged archive is worth another download, though no other version is listed: a day after the first
    one, then after as long as it has been known to be damaged, four weeks at most. `today` is the exchange's day.
    """
    if first_seen_at is None or fetched_at is None:
        return True
    known_for = fetched_at.date() - first_seen_at.date()
    return today - fetched_at.date() >= min(max(known_for, _ONE_DAY), _LONGEST_REST)


class Extent(NamedTuple):
    """What an archive holds of its day."""

    rows: int
    first: datetime | None
    last: datetime | None
    off_grid: int


def extents_of(rows: pl.DataFrame, interval: Interval) -> dict[str, Extent]:
    """Extent by symbol."""
    time = pl.col("open_time")
    off_grid = (slot(interval.microseconds) != time.to_physical()).sum().alias("off_grid")
    extents = rows.group_by("symbol").agg(
        pl.len().alias("rows"), time.min().alias("first"), time.max().alias("last"), off_grid
    )
    return {symbol: Extent(*extent) for symbol, *extent in extents.iter_rows()}


def judge(
    known: ArchiveEntry,
    got: FetchedArchive,
    published: PublishedArchive,
    extent: Extent | None,
    *,
    now: datetime,
    seen: Sequence[RevisionEntry] = (),
) -> ArchiveEntry:
    """The entry after a download; `seen` are the versions so far. A verified version in use is not given up for one
    that is not."""
    if got.state in (ArchiveState.UNAVAILABLE, ArchiveState.NOT_PUBLISHED):
        if known.state in SETTLED:
            return known
        error = note(known.life, got.error)
        return replace(known, state=got.state, attempts=got.attempts, http_status=got.http_status, error=error)
    if known.state is ArchiveState.OK and got.state is not ArchiveState.OK:
        return replace(known, error=note(known.life, f"{NEWER_VERSION}{got.state}: {got.error}"))
    if got.state is ArchiveState.CORRUPT and known.revision:  # damage is no version: what was seen before stays known
        error, fetched_at = note(known.life, got.error), got.fetched_at or now
        return replace(known, state=got.state, fetched_at=fetched_at, attempts=got.attempts, error=error)
    return version_of(known, got, published, extent, now=now, seen=seen)


def is_put_off(known: ArchiveEntry, got: FetchedArchive) -> bool:
    """Whether a version was seen that is not the verified one in use, and cannot be verified itself."""
    unverified = got.state in SETTLED and got.state is not ArchiveState.OK
    return known.state is ArchiveState.OK and unverified and got.sha256_actual != known.sha256_actual


def version_of(
    known: ArchiveEntry,
    got: FetchedArchive,
    published: PublishedArchive,
    extent: Extent | None,
    *,
    now: datetime,
    seen: Sequence[RevisionEntry] = (),
) -> ArchiveEntry:
    """The entry of the version just fetched, whether it comes into use or not. Numbers go on from what was `seen`."""
    fetched_at, damaged = got.fetched_at or now, got.state is ArchiveState.CORRUPT
    still_damaged = damaged and known.state is ArchiveState.CORRUPT and known.etag == published.etag
    revision, first_seen_at = _numbered(known, got.sha256_actual, fetched_at, seen)
    stale = got.last_modified is not None and got.last_modified < published.last_modified - _SAME_VERSION
    rows, first, last, off_grid = extent or Extent(0, None, None, 0)
    return ArchiveEntry(
        symbol=known.symbol,
        key=known.key,
        state=got.state,
        size=published.size,
        etag=None if stale else published.etag,  # None: not the version listed, so it is fetched again next time
        last_modified=got.last_modified if stale else published.last_modified,
        sha256_published=got.sha256_published,
        sha256_actual=got.sha256_actual,
        rows=None if damaged else rows,
        first_open_time=first,
        last_open_time=last,
        revision=known.revision if damaged else revision,
        first_seen_at=known.first_seen_at if still_damaged else first_seen_at,
        fetched_at=fetched_at,
        attempts=got.attempts,
        http_status=got.http_status,
        error=note(known.life, got.error or _remark(off_grid, stale=stale)),
    )


def _numbered(
    known: ArchiveEntry, digest: str | None, fetched_at: datetime, seen: Sequence[RevisionEntry]
) -> tuple[int, datetime | None]:
    """The number of the version with this SHA-256, and when it was first seen."""
    if known.revision and known.sha256_actual == digest:
        return known.revision, known.first_seen_at
    latest = seen[-1] if seen else None
    if latest is not None and latest.sha256 == digest and latest.revision > known.revision:
        return latest.revision, latest.seen_at
    return max(known.revision, latest.revision if latest else 0) + 1, fetched_at


def _remark(off_grid: int, *, stale: bool) -> str | None:
    """What is worth saying of an archive that is as it was published."""
    if stale:
        return "the download host still serves an older version than the bucket lists."
    return f"{off_grid} rows lie off the grid of their interval." if off_grid else None
