"""The Vision bucket: survey what is published, fetch an archive with its checksum, open and parse it.

Every outcome of a fetch is a state. What a state means for the table is the stages' affair.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from klines_pipeline.domain.errors import CorruptArchiveError, NotPublishedError, TransientError
from klines_pipeline.domain.interval import Interval
from klines_pipeline.domain.states import ArchiveState
from klines_pipeline.domain.utc_day import days_between
from klines_pipeline.exchanges.binance import listing
from klines_pipeline.exchanges.binance.listing import HORIZON, History
from klines_pipeline.exchanges.binance.markets import BinanceMarket
from klines_pipeline.exchanges.binance.wire import parse_texts
from klines_pipeline.exchanges.download import download
from klines_pipeline.exchanges.protocols import FetchedArchive, Parsed, PublishedArchive, Survey
from klines_pipeline.exchanges.retry import Breaker, RetryPolicy, ask
from klines_pipeline.exchanges.zips import open_single_member

CHECKSUM = ".CHECKSUM"
_BYTES_PER_KLINE = 512  # real lines have 90 to 160
_SMALLEST_BOUND = 2**20
_SHA256_DIGITS = 64
_ONE_DAY = timedelta(days=1)


class Surveyed(NamedTuple):
    """One symbol's listing."""

    published: dict[date, PublishedArchive]
    history: History
    now: datetime


@dataclass(slots=True)
class VisionArchive:
    """One market's daily kline archives."""

    market: BinanceMarket
    list_url: str
    download_url: str
    policy: RetryPolicy = field(default_factory=RetryPolicy)
    threads: int = 16
    listing_breaker: Breaker = field(init=False)
    download_breaker: Breaker = field(init=False)
    requests: int = 0

    def __post_init__(self) -> None:
        self.listing_breaker = Breaker(urlsplit(self.list_url).netloc)
        self.download_breaker = Breaker(urlsplit(self.download_url).netloc)

    def key(self, symbol: str, interval: Interval, day: date) -> str:
        """`data/spot/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2024-01-01.zip`."""
        return f"{self._stem(symbol, interval)}{day}.zip"

    def _stem(self, symbol: str, interval: Interval) -> str:
        return f"data/{self.market.directory}/daily/klines/{symbol}/{interval}/{symbol}-{interval}-"

    # ---- what is published

    def survey(self, symbols: Sequence[str], interval: Interval, first: date, last: date) -> Survey:
        """One listing request a symbol (more past 490 days); a second where its first archives have to be found."""
        before = self.requests
        surveyed, failed = self._survey_all(symbols, interval, first, last)
        now = max((seen.now for seen in surveyed.values()), default=None)
        lives = {}
        if now is not None:
            ended = [day for day in days_between(first, last) if day < now.date()]
            venue = self._venue_days(surveyed, interval, first, last) if self._in_doubt(surveyed, ended) else set()
            lives = {
                (symbol, day): life
                for symbol, seen in surveyed.items()
                for day in ended
                if (life := seen.history.life(day, today=now.date(), venue_days=venue))
            }
        return Survey(
            now=now,
            published={(name, day): found for name, seen in surveyed.items() for day, found in seen.published.items()},
            lives=lives,
            failed=failed,
            never_archived=frozenset(name for name, seen in surveyed.items() if seen.history.is_empty),
            requests=self.requests - before,
        )

    def _survey_all(
        self, symbols: Sequence[str], interval: Interval, first: date, last: date
    ) -> tuple[dict[str, Surveyed], dict[str, TransientError]]:
        surveyed, failed = dict[str, Surveyed](), dict[str, TransientError]()
        with ThreadPoolExecutor(self.threads, "listing") as pool:
            asked = {symbol: pool.submit(self._survey_one, symbol, interval, first, last) for symbol in symbols}
        for symbol, answer in asked.items():
            try:
                surveyed[symbol] = answer.result()
            except TransientError as error:
                failed[symbol] = error
        return surveyed, failed

    def _survey_one(self, symbol: str, interval: Interval, first: date, last: date) -> Surveyed:
        stem = self._stem(symbol, interval)
        start, reach = first - HORIZON, last + HORIZON
        objects, any_after, now = self._list_range(stem, start, reach)
        published = _pair_up(objects, stem)
        ended = (day for day in days_between(first, last) if day < now.date())
        any_before = False
        if any(day not in published for day in ended) and not any(day < first for day in published):
            page, _ = self._list_page(_folder(stem), "", 10)
            any_before = any(day < start for day, _, _ in listing.archive_days(page.objects, stem))
        history = History(frozenset(published), any_before=any_before, any_after=any_after)
        return Surveyed({day: found for day, found in published.items() if first <= day <= last}, history, now)

    def _list_range(self, stem: str, start: date, reach: date) -> tuple[list[listing.ListedObject], bool, datetime]:
        """Objects from `start` to `reach`, whether more follow, and the bucket's clock."""
        objects = list[listing.ListedObject]()
        after = f"{stem}{start - _ONE_DAY}.zip{CHECKSUM}"
        wanted = min(2 * ((reach - start).days + 2), listing.PAGE)
        while True:
            page, now = self._list_page(_folder(stem), after, wanted)
            objects += page.objects
            if not page.truncated or not page.objects:
                return objects, False, now
            after = page.objects[-1].key
            if after > f"{stem}{reach}.zip{CHECKSUM}":
                return objects, True, now

    def _list_page(self, prefix: str, start_after: str, max_keys: int) -> tuple[listing.Page, datetime]:
        query = listing.listing_query(prefix, start_after=start_after, max_keys=max_keys)

        def call() -> tuple[listing.Page, datetime]:
            body = bytearray()
            received = download(f"{self.list_url}?{query}", body.extend)
            if received.served_at is None:
                raise TransientError(f"{self.list_url} sent no Date header, so its clock is unknown.")
            return listing.parse_page(bytes(body)), received.served_at

        self.requests += 1
        try:
            return ask(call, self.policy, self.listing_breaker)[0]
        except NotPublishedError as error:
            raise TransientError(f"{error} Is KLINES_VISION_LIST_URL right?", http_status=404) from None

    def _in_doubt(self, surveyed: Mapping[str, Surveyed], ended: Sequence[date]) -> bool:
        """Whether some symbol's archives end before the days asked do."""
        if not ended:
            return False
        return any(
            not seen.history.any_after and max(seen.history.days, default=date.min) <= ended[-1]
            for seen in surveyed.values()
        )

    def _venue_days(self, surveyed: Mapping[str, Surveyed], interval: Interval, first: date, last: date) -> set[date]:
        """Days around the range for which the venue published its bellwether."""
        known = surveyed.get(self.market.bellwether)
        if known is None:
            try:
                known = self._survey_one(self.market.bellwether, interval, first, last)
            except TransientError:
                return set()
        return set(known.history.days)

    # ---- one archive

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
            (digest, size, fetched_at), attempts = ask(
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
            state, attempts + more, 200, error_text, path, text, checksum, size, published, digest, fetched_at
        )

    def _judge(
        self, path: Path, key: str, interval: Interval, digest: str, checksum: bytes | None
    ) -> tuple[ArchiveState, str | None, bytes | None]:
        try:
            text = open_single_member(path, *_member(key, interval))
        except CorruptArchiveError as error:
            return ArchiveState.CORRUPT, str(error), None
        if checksum is None:
            return ArchiveState.CHECKSUM_ABSENT, "no .CHECKSUM is published beside the archive.", text
        if _published_digest(checksum) != digest:
            return ArchiveState.CHECKSUM_MISMATCH, "the archive's SHA-256 is not the one in its .CHECKSUM.", text
        return ArchiveState.OK, None, text

    def _download_archive(self, key: str, path: Path) -> tuple[str, int, datetime | None]:
        digest = sha256()
        with path.open("wb") as file:

            def sink(chunk: bytes) -> None:
                file.write(chunk)
                digest.update(chunk)

            received = download(self._url(key), sink)
            return digest.hexdigest(), file.tell(), received.served_at

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
        return parse_texts(texts)

    def open(self, content: bytes, key: str, interval: Interval) -> bytes:
        """The CSV text of an archive's bytes."""
        return open_single_member(content, *_member(key, interval))


def _folder(stem: str) -> str:
    return stem.rpartition("/")[0] + "/"


def _member(key: str, interval: Interval) -> tuple[str, int]:
    """The CSV's name and the most bytes it may have."""
    name = key.rpartition("/")[2].removesuffix(".zip") + ".csv"
    return name, max(interval.bars_per_day * _BYTES_PER_KLINE, _SMALLEST_BOUND)


def _published_digest(checksum: bytes | None) -> str | None:
    """The first word of a .CHECKSUM file, if it is a SHA-256."""
    words = (checksum or b"").decode("ascii", "replace").split()
    digest = words[0].lower() if words else ""
    return digest if len(digest) == _SHA256_DIGITS and not digest.strip("0123456789abcdef") else None


def _pair_up(objects: Sequence[listing.ListedObject], stem: str) -> dict[date, PublishedArchive]:
    """Archives by day, each with the time its checksum was written."""
    archives, checksums = dict[date, listing.ListedObject](), dict[date, datetime]()
    for day, suffix, found in listing.archive_days(objects, stem):
        if suffix == CHECKSUM:
            checksums[day] = found.last_modified
        else:
            archives[day] = found
    return {
        day: PublishedArchive(found.key, found.size, found.etag, found.last_modified, checksums.get(day))
        for day, found in archives.items()
    }
