"""All that stages may ask of an exchange about funding rates, and the values it answers with."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import polars as pl

from klines_pipeline.domain.errors import TransientError
from klines_pipeline.domain.states import Life
from klines_pipeline.funding.schema import REJECTED_SCHEMA

if TYPE_CHECKING:
    from klines_pipeline.exchanges.protocols import FetchedArchive, Listed, PublishedArchive


@dataclass(frozen=True, slots=True)
class Lifetime:
    """First and last day of a symbol, as far as they matter: who is not listed yet begins on date.max."""

    first: date = date.min
    last: date = date.max

    def at(self, day: date) -> Life | None:
        """The edge of life a day lies at."""
        if day <= self.first:
            return Life.FIRST_DAY if day == self.first else Life.NOT_LISTED
        if day >= self.last:
            return Life.LAST_DAY if day == self.last else Life.DELISTED
        return None


@dataclass(frozen=True, slots=True)
class FundingSurvey:
    """One look at the bucket, by symbol and month (its first day); `now` is the bucket's clock, None if unheard.

    `lifetimes` are filled in later, from REST, for symbols that never had an archive.
    """

    now: datetime | None
    published: Mapping[tuple[str, date], "PublishedArchive"]
    lives: Mapping[tuple[str, date], tuple[Life, ...]]
    failed: Mapping[str, TransientError]
    never_archived: frozenset[str] = frozenset()
    lifetimes: Mapping[str, Lifetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ParsedMonth:
    """Settlements of one archive, all of them in its month; its other rows; what is odd about it, in words."""

    rows: pl.DataFrame
    rejected: pl.DataFrame
    remark: str | None = None


@dataclass(frozen=True, slots=True)
class FundingAnswer:
    """Settlements REST gave for one window, in SETTLEMENT_SCHEMA, in as many pages as it took.

    `rejected`, in REJECTED_SCHEMA, are rows with the key of another one and other values.
    """

    rows: pl.DataFrame
    url: str
    attempts: int
    http_status: int
    completed_at: datetime
    rejected: pl.DataFrame = field(default_factory=REJECTED_SCHEMA.to_frame)


class FundingArchive(Protocol):
    """A bucket of monthly archives."""

    def key(self, symbol: str, month: date) -> str:
        """The archive's key in the bucket."""

    def survey(self, symbols: Sequence[str], months: Sequence[date]) -> FundingSurvey:
        """List every symbol once."""

    def listed(self, symbols: Sequence[str], first: date, *, seconds: float) -> "Listed":
        """List what is published from the month `first` on, by symbol and month, one request a symbol; none is begun
        after `seconds`. Unlike `survey` it asks nothing about lives, and hardly tries again.
        """

    def fetch(self, key: str, new_file: Callable[[], Path]) -> "FetchedArchive":
        """Download, hash, compare with the checksum and open; every failure is a state, not an exception."""

    def parse(self, symbol: str, text: bytes, month: date) -> ParsedMonth:
        """The text's settlements; CorruptArchiveError where it is not funding rates."""

    def open(self, content: bytes, key: str) -> bytes:
        """The text in an archive already in the lake; CorruptArchiveError where it is not one."""


class FundingApi(Protocol):
    """The REST service of one market's funding."""

    @property
    def requests(self) -> int:
        """Requests sent to the market's host so far, retries included."""

    def now(self) -> datetime:
        """The exchange's server time."""

    def settlements(self, symbol: str, start: datetime, end: datetime) -> FundingAnswer:
        """Settlements with `start <= calc_time < end`; none, and another status than 200, for an unknown symbol."""


@dataclass(frozen=True, slots=True)
class FundingSource:
    """Funding rates of one market, connected."""

    api: FundingApi
    archive: FundingArchive | None = None
    settles: Callable[[str], bool] = lambda _: True
    """Whether a symbol's name allows for funding; delivery contracts have none."""
