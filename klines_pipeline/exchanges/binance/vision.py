"""The Vision bucket: fetch an archive with its checksum, open and parse it. What is published, `survey` finds out.

Every outcome of a fetch is a state. What a state means for the table is the stages' affair.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote, urlsplit

from klines_pipeline.domain.errors import CorruptArchiveError, NotPublishedError, TransientError
from klines_pipeline.domain.interval import Interval
from klines_pipeline.domain.states import ArchiveState
from klines_pipeline.exchanges.binance.keys import CHECKSUM, archive_stem
from klines_pipeline.exchanges.binance.listed import listed
from klines_pipeline.exchanges.binance.lives import archived_days
from klines_pipeline.exchanges.binance.markets import BinanceMarket
from klines_pipeline.exchanges.binance.survey import BucketListing, listed_symbols, survey
from klines_pipeline.exchanges.binance.wire import parse_texts
from klines_pipeline.exchanges.download import Received, download
from klines_pipeline.exchanges.protocols import ArchivedDays, FetchedArchive, Listed, Parsed, Survey
from klines_pipeline.exchanges.retry import Breaker, RetryPolicy, ask
from klines_pipeline.exchanges.zips import open_single_member

_BYTES_PER_KLINE = 512  # real lines have 90 to 160
_SMALLEST_BOUND = 2**20
_SHA256_DIGITS = 64


@dataclass(slots=True)
class VisionArchive:
    """One market's daily kline archives."""

    market: BinanceMarket
    list_url: str
    download_url: str
    policy: RetryPolicy = field(default_factory=RetryPolicy)
    listing_breaker: Breaker = field(init=False)
    download_breaker: Breaker = field(init=False)
    listing: BucketListing = field(init=False)

    def __post_init__(self) -> None:
        self.listing_breaker = Breaker(urlsplit(self.list_url).netloc)
        self.download_breaker = Breaker(urlsplit(self.download_url).netloc)
        self.listing = BucketListing(self.list_url, self.policy, self.listing_breaker)

    @property
    def requests(self) -> int:
        """Listing requests sent so far, retries included."""
        return self.listing.requests

    def key(self, symbol: str, interval: Interval, day: date) -> str:
        """`data/spot/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2024-01-01.zip`."""
        return f"{archive_stem(self.market.directory, symbol, interval)}{day}.zip"

    def symbols(self) -> Sequence[str]:
        """See `survey.listed_symbols`."""
        return listed_symbols(self.listing, self.market)

    def archived_days(self, since: Mapping[str, date]) -> ArchivedDays:
        """See `lives.archived_days`."""
        return archived_days(self.listing, self.market, since)

    def survey(self, symbols: Sequence[str], interval: Interval, first: date, last: date) -> Survey:
        """See `survey.survey`."""
        return survey(self.listing, self.market, symbols, interval, first=first, last=last)

    def listed(self, symbols: Sequence[str], interval: Interval, first: date, last: date, *, seconds: float) -> Listed:
        """See `listed.listed`."""
        return listed(self.list_url, self.market, symbols, interval, first=first, last=last, seconds=seconds)

    def fetch(self, key: str, interval: Interval, new_file: Callable[[], Path]) -> FetchedArchive:
        """Download the archive and its checksum; whatever is wrong with them is looked at a second time."""
        first = self._fetch_once(key, interval, new_file())
        if first.state in (ArchiveState.OK, ArchiveState.NOT_PUBLISHED, ArchiveState.UNAVAILABLE):
            return first
        if first.path is not None:
            first.path.unlink(missing_ok=True)
        second = self._fetch_once(key, interval, new_file())
        return replace(second, attempts=first.attempts + second.attempts)

    def _fetch_once(self, key: str, interval: Interval, path: Path) -> FetchedArchive:
        try:
            (digest, size, received), attempts = ask(
                lambda: self._download_archive(key, path), self.policy, self.download_breaker
            )
            checksum, more = self._download_checksum(key)
        except NotPublishedError:
            return FetchedArchive(ArchiveState.NOT_PUBLISHED, attempts=1, http_status=404)
        except TransientError as error:
            path.unlink(missing_ok=True)
            return FetchedArchive(ArchiveState.UNAVAILABLE, error.attempts, error.http_status, str(error))
        published = _published_digest(checksum)
        state, error_text, text = self._judge(path, key, interval, digest, checksum)
        return FetchedArchive(
            state,
            attempts + more,
            http_status=200,
            error=error_text,
            path=path,
            text=text,
            checksum=checksum,
            size=size,
            last_modified=received.last_modified,
            sha256_published=published,
            sha256_actual=digest,
            fetched_at=received.served_at,
        )

    def _judge(
        self, path: Path, key: str, interval: Interval, digest: str, checksum: bytes | None
    ) -> tuple[ArchiveState, str | None, bytes | None]:
        try:
            text = open_single_member(path.read_bytes(), *_member(key, interval))
        except CorruptArchiveError as error:
            return ArchiveState.CORRUPT, str(error), None
        if checksum is None:
            return ArchiveState.CHECKSUM_ABSENT, "no .CHECKSUM is published beside the archive.", text
        if _published_digest(checksum) != digest:
            return ArchiveState.CHECKSUM_MISMATCH, "the archive's SHA-256 is not the one in its .CHECKSUM.", text
        return ArchiveState.OK, None, text

    def _download_archive(self, key: str, path: Path) -> tuple[str, int, Received]:
        digest = sha256()
        with path.open("wb") as file:

            def sink(chunk: bytes) -> None:
                file.write(chunk)
                digest.update(chunk)

            received = download(self._url(key), sink)
            return digest.hexdigest(), file.tell(), received

    def _download_checksum(self, key: str) -> tuple[bytes | None, int]:
        body = bytearray()

        def call() -> bytes:
            body.clear()
            download(self._url(key + CHECKSUM), body.extend)
            return bytes(body)

        try:
            return ask(call, self.policy, self.download_breaker)
        except NotPublishedError:
            return None, 1

    def _url(self, key: str) -> str:
        return f"{self.download_url}/{quote(key)}"

    def parse(self, texts: Mapping[str, bytes], interval: Interval) -> Parsed:
        """See `wire.parse_texts`."""
        del interval
        return parse_texts(texts, contracts=self.market.contracts)

    def open(self, content: bytes, key: str, interval: Interval) -> bytes:
        """The CSV text of an archive's bytes."""
        return open_single_member(content, *_member(key, interval))


def _member(key: str, interval: Interval) -> tuple[str, int]:
    """The CSV's name and the most bytes it may have."""
    name = key.rpartition("/")[2].removesuffix(".zip") + ".csv"
    return name, max(interval.bars_per_day * _BYTES_PER_KLINE, _SMALLEST_BOUND)


def _published_digest(checksum: bytes | None) -> str | None:
    """The first word of a .CHECKSUM file, if it is a SHA-256."""
    words = (checksum or b"").decode("ascii", "replace").split()
    digest = words[0].lower() if words else ""
    return digest if len(digest) == _SHA256_DIGITS and not digest.strip("0123456789abcdef") else None
