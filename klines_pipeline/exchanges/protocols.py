"""All that stages may ask of an exchange, and the values it answers with. No URL, no wire format."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Protocol

import polars as pl

from klines_pipeline.domain.errors import TransientError
from klines_pipeline.domain.interval import Interval
from klines_pipeline.domain.states import ArchiveState, Life
from klines_pipeline.domain.universe import SymbolFacts
from klines_pipeline.exchanges.funding import FundingSource
from klines_pipeline.klines.schema import KLINE_SCHEMA


@dataclass(frozen=True, slots=True)
class MarketWords:
    """What klines.yaml may say of a market, and what follows from it before anything is asked."""

    intervals: tuple[str, ...]
    archived: bool = True
    """Whether kline archives are published."""
    funding: bool = False
    """Whether there are funding rates."""
    contracts: bool = False
    """Whether its tables have the columns of contracts."""
    rest_host: str | None = None
    """Name of the REST host that answers for several markets of the exchange; None for a host of the market's own."""


@dataclass(frozen=True, slots=True)
class PublishedArchive:
    """An archive as the bucket lists it; `checksum_modified` is None where no checksum is listed."""

    key: str
    size: int
    etag: str
    last_modified: datetime
    checksum_modified: datetime | None


@dataclass(frozen=True, slots=True)
class Survey:
    """One look at the bucket: what is published, where days lie in a symbol's life, what could not be listed."""

    now: datetime | None
    published: Mapping[tuple[str, date], PublishedArchive]
    lives: Mapping[tuple[str, date], Life]
    failed: Mapping[str, TransientError]
    never_archived: frozenset[str]


@dataclass(frozen=True, slots=True)
class Listed:
    """What the bucket lists for symbols and days, looked at within a time; what it failed to list, and why.

    `unasked`: symbols, in the order given, that there was no time for. `now`: the bucket's clock; None where none told.
    """

    now: datetime | None
    archives: Mapping[tuple[str, date], PublishedArchive]
    failed: Mapping[str, TransientError]
    unasked: Sequence[str]
    requests: int


@dataclass(frozen=True, slots=True)
class FetchedArchive:
    """One download and its verdict. `path` holds the bytes as sent, `text` the member's, both only where usable."""

    state: ArchiveState
    attempts: int
    http_status: int | None = None
    error: str | None = None
    path: Path | None = None
    text: bytes | None = field(default=None, repr=False)
    checksum: bytes | None = None
    size: int | None = None
    last_modified: datetime | None = None
    sha256_published: str | None = None
    sha256_actual: str | None = None
    fetched_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Parsed:
    """Rows of many archives in WIRE_SCHEMA, and the symbols whose text is not klines, with the reason."""

    frame: pl.DataFrame
    corrupt: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class RestAnswer:
    """Klines REST gave for one request, in WIRE_SCHEMA, unfinished ones included, and what asking cost."""

    frame: pl.DataFrame
    url: str
    weight: int
    attempts: int
    http_status: int
    requested_at: datetime
    completed_at: datetime


@dataclass(frozen=True, slots=True)
class ArchivedDays:
    """Days with an archive by symbol, as the bucket lists them today; which symbols could not be listed."""

    days: Mapping[str, Sequence[date]] = field(default_factory=dict)
    failed: Mapping[str, TransientError] = field(default_factory=dict)
    requests: int = 0
    now: datetime | None = None
    """The bucket's own clock, UTC; None where it was not asked."""


class KlineArchive(Protocol):
    """A bucket of daily archives."""

    @property
    def requests(self) -> int:
        """Listing requests sent so far, retries included."""

    def key(self, symbol: str, interval: Interval, day: date) -> str:
        """The archive's key in the bucket; empty where the exchange publishes no archives."""

    def symbols(self) -> Sequence[str]:
        """Every symbol with archives, delisted ones included, in a paged pass over folders."""

    def archived_days(self, since: Mapping[str, date]) -> ArchivedDays:
        """The days of every symbol there is, delisted ones included; of those in `since` only from that day on."""

    def survey(self, symbols: Sequence[str], interval: Interval, first: date, last: date) -> Survey:
        """List what is published for each symbol from `first` to `last`; the bucket's own clock tells the time."""

    def listed(self, symbols: Sequence[str], interval: Interval, first: date, last: date, *, seconds: float) -> Listed:
        """List what is published from `first` to `last`, one request a symbol; none is begun after `seconds`.

        Unlike `survey` it asks nothing about lives, and hardly tries again: it is asked again soon anyway. Without
        symbols it tells the time alone.
        """

    def fetch(self, key: str, interval: Interval, new_file: Callable[[], Path]) -> FetchedArchive:
        """Download, hash, compare with the checksum and open; every failure is a state, not an exception."""

    def parse(self, texts: Mapping[str, bytes], interval: Interval) -> Parsed:
        """Texts by symbol to rows, in as few parser calls as possible."""

    def open(self, content: bytes, key: str, interval: Interval) -> bytes:
        """The text in an archive already in the lake; CorruptArchiveError where it is not one."""


class KlineApi(Protocol):
    """The REST service of one market."""

    @property
    def limit(self) -> int:
        """Klines in one answer, at most."""

    @property
    def requests(self) -> int:
        """Requests sent so far, retries included."""

    def close(self) -> None:
        """Give the connections back."""

    def hasten(self) -> None:
        """From now on tell trouble at once instead of waiting it out: for those who look often."""

    def now(self) -> datetime:
        """The exchange's server time."""

    def symbols(self) -> Mapping[str, SymbolFacts]:
        """Every symbol the market names today."""

    def first_open_time(self, symbol: str, interval: Interval) -> datetime | None:
        """Open time of the symbol's very first kline; None while it has none."""

    def last_open_time(self, symbol: str, interval: Interval) -> datetime | None:
        """Open time of the symbol's newest kline; None while it has none."""

    def klines(self, symbol: str, interval: Interval, start: datetime, end: datetime) -> RestAnswer:
        """Klines with `start <= open_time < end`, at most `limit` of them, in one request."""


@dataclass(frozen=True, slots=True)
class Market:
    """One market of one exchange, connected."""

    archive: KlineArchive
    api: KlineApi
    nullable: tuple[str, ...] = ()
    """Columns the exchange does not publish."""
    schema: pl.Schema = field(default_factory=lambda: KLINE_SCHEMA)
    """Columns of the market's tables."""
    describe: Callable[[str], SymbolFacts] = lambda symbol: SymbolFacts(symbol=symbol)
    """What a symbol's name alone tells."""
    funding: FundingSource | None = None
