"""What the bucket lists and the lake has not taken in: versions that appeared, or were published anew. No network.

What to do about them, and when, the planners decide. Whether a version is the one judged already, `verdict` says.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from datetime import date
from enum import StrEnum

import polars as pl

from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.errors import DamagedFileError
from klines_pipeline.domain.states import ArchiveState
from klines_pipeline.exchanges.protocols import Listed, PublishedArchive
from klines_pipeline.klines.ledgers import ARCHIVE_SCHEMA, ArchiveEntry
from klines_pipeline.klines.schema import UTC_TIME
from klines_pipeline.stages.verdict import is_current, is_same_version
from klines_pipeline.stages.watching.held_versions import unlike
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.layout import DayPaths
from klines_pipeline.storage.tables import read_legible, read_many

_PLACE = ["date", "symbol"]
HELD_SCHEMA = pl.Schema({"date": pl.Date(), **ARCHIVE_SCHEMA})
LISTED_SCHEMA = pl.Schema({
    "date": pl.Date(),
    "symbol": pl.String(),
    "key": pl.String(),
    "size": pl.Int64(),
    "etag": pl.String(),
    "last_modified": UTC_TIME,
    "checksum_modified": UTC_TIME,
})  # fmt: skip
_PUBLISHED_FIELDS = [field.name for field in fields(PublishedArchive)]


class What(StrEnum):
    """What is new of a symbol-day."""

    PUBLISHED = "published"
    """An archive where there was none, or none that could be had."""
    REWRITTEN = "rewritten"
    """Another version than the one held."""
    CHECKSUM = "checksum"
    """A checksum that came or changed, of a version held and not verified."""


NEWS_SCHEMA = pl.Schema({**LISTED_SCHEMA, "what": pl.String()})
"""One row a symbol-day with news."""


def held_versions(lake: Lake, dataset: Dataset, days: Iterable[date]) -> pl.DataFrame:
    """The archives ledgers of these days in one frame of HELD_SCHEMA; nothing for a day without one."""
    return read_many(lake, _ledgers(dataset, days), ARCHIVE_SCHEMA)


def readable_versions(
    lake: Lake, dataset: Dataset, days: Iterable[date]
) -> tuple[pl.DataFrame, dict[date, DamagedFileError]]:
    """`held_versions` of the days whose ledger can be read, and what is wrong with the others."""
    return read_legible(lake, _ledgers(dataset, days), ARCHIVE_SCHEMA)


def _ledgers(dataset: Dataset, days: Iterable[date]) -> list[str]:
    return [DayPaths.of(dataset, day).archives for day in days]


def listed_versions(listed: Listed) -> pl.DataFrame:
    """A listing as a frame of LISTED_SCHEMA."""
    columns: dict[str, Sequence[object]] = {
        "date": [day for _, day in listed.archives],
        "symbol": [symbol for symbol, _ in listed.archives],
    }
    found = listed.archives.values()
    columns |= {name: [getattr(archive, name) for archive in found] for name in _PUBLISHED_FIELDS}
    return pl.DataFrame(columns, schema=LISTED_SCHEMA)


def news(listed: pl.DataFrame, held: pl.DataFrame) -> pl.DataFrame:
    """What is listed and not held, in NEWS_SCHEMA, by day and symbol. Days without a ledger are all news.

    An archive that cannot be read is no news until another version of it is published.
    """
    suspects = unlike(listed, held, ArchiveState.OK, ArchiveState.CORRUPT)
    entries = _entries(held.join(suspects, on=_PLACE, how="semi"))
    rows = suspects.rows(named=True)
    what = [_what(entries.get((row["date"], row["symbol"])), row) for row in rows]
    told = suspects.with_columns(pl.Series("what", what, pl.String()))
    return told.filter(pl.col("what").is_not_null()).sort(_PLACE)


def _entries(held: pl.DataFrame) -> dict[tuple[date, str], ArchiveEntry]:
    names = ARCHIVE_SCHEMA.names()
    entries = ((row["date"], ArchiveEntry(**{name: row[name] for name in names})) for row in held.iter_rows(named=True))
    return {(day, entry.symbol): replace(entry, state=ArchiveState(entry.state)) for day, entry in entries}


def _what(known: ArchiveEntry | None, row: Mapping[str, object]) -> What | None:
    if known is None or known.state in (ArchiveState.NOT_PUBLISHED, ArchiveState.UNAVAILABLE, ArchiveState.NO_ARCHIVE):
        return What.PUBLISHED
    published = PublishedArchive(**{name: row[name] for name in _PUBLISHED_FIELDS})  # type: ignore[arg-type]
    if is_current(known, published):
        return None
    return What.CHECKSUM if is_same_version(known, published) else What.REWRITTEN


def told(found: pl.DataFrame) -> dict[date, str]:
    """By day, the state of the world that makes it wanted: for `Wanted.news`."""
    versions = pl.format("{}:{}:{}", "symbol", "etag", pl.col("checksum_modified").dt.epoch("s").fill_null(0))
    days = found.sort(_PLACE).group_by("date", maintain_order=True).agg(versions.str.join(" ").alias("news"))
    return dict(days.iter_rows())
