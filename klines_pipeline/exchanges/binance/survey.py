"""What the bucket has published for many symbols over a range of days: one listing request a symbol, rarely two.

How a page is read stands in `listing`, what it tells of a symbol's life in `klines.archive_life`.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime
from threading import Lock
from typing import NamedTuple, TypeVar

from klines_pipeline.domain.errors import NotPublishedError, TransientError
from klines_pipeline.domain.interval import Interval
from klines_pipeline.domain.states import Life
from klines_pipeline.domain.symbol import may_be_symbol
from klines_pipeline.domain.utc_day import days_between
from klines_pipeline.exchanges.binance.keys import CHECKSUM, archive_stem, folder_of, symbols_folder
from klines_pipeline.exchanges.binance.listing import (
    ONE_DAY,
    PAGE,
    ListedObject,
    Page,
    archive_days,
    listing_query,
    parse_page,
)
from klines_pipeline.exchanges.binance.markets import BinanceMarket
from klines_pipeline.exchanges.download import download
from klines_pipeline.exchanges.protocols import PublishedArchive, Survey
from klines_pipeline.exchanges.retry import Breaker, RetryPolicy, ask
from klines_pipeline.klines.archive_life import HORIZON, LOOK_BACK, ArchiveHistory

_THREADS = 16
_Look = TypeVar("_Look")
_FIRST_KEYS = 10  # junk keys may come before the first archive


@dataclass(slots=True)
class BucketListing:
    """The listing endpoint."""

    url: str
    policy: RetryPolicy
    breaker: Breaker
    requests: int = 0
    seconds: float | None = None
    """Longest time for one answer; None waits as long as bytes come."""
    lock: Lock = field(default_factory=Lock)

    def page(self, prefix: str, start_after: str, max_keys: int, *, delimiter: str = "") -> tuple[Page, datetime]:
        """One page, and the bucket's clock."""
        query = listing_query(prefix, start_after=start_after, max_keys=max_keys, delimiter=delimiter)

        def call() -> tuple[Page, datetime]:
            body = bytearray()
            with self.lock:
                self.requests += 1
            received = download(f"{self.url}?{query}", body.extend, seconds=self.seconds)
            if received.served_at is None:
                raise TransientError(f"{self.url} sent no Date header, so its clock is unknown.")
            return parse_page(bytes(body)), received.served_at

        try:
            return ask(call, self.policy, self.breaker)[0]
        except NotPublishedError as error:
            raise TransientError(f"{error} Is KLINES_VISION_LIST_URL right?", http_status=404) from None

    def folders(self, prefix: str) -> list[str]:
        """Names of all folders right under a prefix, 1,000 a page."""
        names, after = list[str](), ""
        while True:
            page, _ = self.page(prefix, after, PAGE, delimiter="/")
            names += [folder.removeprefix(prefix).rstrip("/") for folder in page.folders]
            if not page.truncated or not page.folders:
                return names
            after = page.folders[-1].rstrip("/") + "0"  # the byte after "/": past everything in that folder

    def days(self, stem: str, start: date, reach: date) -> tuple[list[ListedObject], bool, datetime]:
        """Objects of the days from `start` to `reach`, whether more follow, and the bucket's clock."""
        objects = list[ListedObject]()
        after = f"{stem}{start - ONE_DAY}.zip{CHECKSUM}"
        wanted = min(2 * ((reach - start).days + 2), PAGE)
        while True:
            page, now = self.page(folder_of(stem), after, wanted)
            objects += page.objects
            if not page.truncated or not page.objects:
                return objects, False, now
            after = page.objects[-1].key
            if after > f"{stem}{reach}.zip{CHECKSUM}":
                return objects, True, now


def listed_symbols(listing: BucketListing, market: BinanceMarket) -> list[str]:
    """Every symbol that has ever had a daily archive; folders whose name cannot be a symbol are junk."""
    return [name for name in listing.folders(symbols_folder(market.directory)) if may_be_symbol(name)]


class Surveyed(NamedTuple):
    """One symbol's listing."""

    published: dict[date, PublishedArchive]
    history: ArchiveHistory
    now: datetime


def survey(
    listing: BucketListing,
    market: BinanceMarket,
    symbols: Sequence[str],
    interval: Interval,
    *,
    first: date,
    last: date,
) -> Survey:
    """List every symbol; a second request where its first archives have to be found, a page more past 490 days."""

    def look(symbol: str) -> Surveyed:
        return _survey_one(listing, archive_stem(market.directory, symbol, interval), first, last)

    surveyed, failed = survey_all(symbols, look)
    now = max((seen.now for seen in surveyed.values()), default=None)
    lives = dict[tuple[str, date], Life]()
    if now is not None:
        begun = [day for day in days_between(first, last) if day <= now.date()]
        everything = frozenset(days_between(first - LOOK_BACK, last + HORIZON))
        lives = _lives(surveyed, begun, now.date(), everything)
        if lives:  # edges of life need a witness that the venue itself went on publishing
            lives = _lives(surveyed, begun, now.date(), _venue_days(market.bellwether, surveyed, look))
    return Survey(
        now=now,
        published={(name, day): found for name, seen in surveyed.items() for day, found in seen.published.items()},
        lives=lives,
        failed=failed,
        never_archived=frozenset(name for name, seen in surveyed.items() if seen.history.is_empty),
    )


def survey_all(
    symbols: Sequence[str], look: Callable[[str], _Look]
) -> tuple[dict[str, _Look], dict[str, TransientError]]:
    """What a look at each symbol tells, and why some could not be listed."""
    surveyed, failed = dict[str, _Look](), dict[str, TransientError]()
    with ThreadPoolExecutor(_THREADS, "listing") as pool:
        asked = {symbol: pool.submit(look, symbol) for symbol in symbols}
    for symbol, answer in asked.items():
        try:
            surveyed[symbol] = answer.result()
        except TransientError as error:
            failed[symbol] = error
    return surveyed, failed


def _survey_one(listing: BucketListing, stem: str, first: date, last: date) -> Surveyed:
    start = first - LOOK_BACK
    objects, any_after, now = listing.days(stem, start, last + HORIZON)
    published = pair_up(objects, stem)
    any_before = False
    if first <= now.date() and not any(day < first for day in published):
        page, _ = listing.page(folder_of(stem), "", _FIRST_KEYS)
        any_before = any(day < start for day, _, _ in archive_days(page.objects, stem))
    history = ArchiveHistory(frozenset(published), any_before=any_before, any_after=any_after)
    return Surveyed({day: found for day, found in published.items() if first <= day <= last}, history, now)


def _lives(
    surveyed: Mapping[str, Surveyed], begun: Sequence[date], today: date, venue_days: frozenset[date]
) -> dict[tuple[str, date], Life]:
    return {
        (symbol, day): life
        for symbol, seen in surveyed.items()
        for day in begun
        if (life := seen.history.life(day, today=today, venue_days=venue_days))
    }


def _venue_days(bellwether: str, surveyed: Mapping[str, Surveyed], look: Callable[[str], Surveyed]) -> frozenset[date]:
    """Days around the range for which the venue published anybody: those asked about, and its bellwether."""
    seen = [*surveyed.values()]
    if bellwether not in surveyed:
        with suppress(TransientError):
            seen.append(look(bellwether))
    return frozenset[date]().union(*(found.history.days for found in seen))


def pair_up(objects: Sequence[ListedObject], stem: str) -> dict[date, PublishedArchive]:
    """Archives by day, each with the time its checksum was written."""
    archives, checksums = dict[date, ListedObject](), dict[date, datetime]()
    for day, suffix, found in archive_days(objects, stem):
        if suffix == CHECKSUM:
            checksums[day] = found.last_modified
        else:
            archives[day] = found
    return {
        day: PublishedArchive(found.key, found.size, found.etag, found.last_modified, checksums.get(day))
        for day, found in archives.items()
    }
