"""From when to when every symbol has archives: one pass over the bucket's folders, then a listing a symbol.

Daily archives of 1d are looked at, for they are what the lake is made of: monthly ones lack days, holes inside a month
and the month in progress. An archive and its checksum are alike up to the dot: told as one, 1,000 days fit on a page
instead of 500. What the days mean is not known here.
"""

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import date, datetime
from typing import NamedTuple

from klines_pipeline.domain.errors import ConfigurationError, TransientError
from klines_pipeline.domain.interval import Interval
from klines_pipeline.domain.symbol import check_symbol
from klines_pipeline.domain.utc_day import parse_day
from klines_pipeline.exchanges.binance.keys import CHECKSUM, archive_stem, folder_of, symbols_folder
from klines_pipeline.exchanges.binance.listing import ONE_DAY, PAGE, Page, archive_days
from klines_pipeline.exchanges.binance.markets import BinanceMarket
from klines_pipeline.exchanges.binance.survey import BucketListing
from klines_pipeline.exchanges.protocols import ArchivedDays

_DOT = "."
_THREADS = 16
_INTERVAL = Interval.parse("1d")


class _Listed(NamedTuple):
    """One symbol's archives, what listing them took, and the bucket's clock."""

    days: list[date]
    pages: int
    now: datetime


def archived_days(listing: BucketListing, market: BinanceMarket, since: Mapping[str, date]) -> ArchivedDays:
    """List every symbol; TransientError where the folders cannot be listed, a symbol's own trouble is kept apart."""
    folders = listing.folders(symbols_folder(market.directory))
    listed, failed = dict[str, _Listed](), dict[str, TransientError]()
    with ThreadPoolExecutor(_THREADS, "lives") as pool:
        asked = dict[str, Future[_Listed]]()
        for symbol in folders:
            with suppress(ConfigurationError):  # a folder whose name cannot be a symbol is junk
                stem = archive_stem(market.directory, check_symbol(symbol), _INTERVAL)
                asked[symbol] = pool.submit(_list_one, listing, stem, since.get(symbol))
    for symbol, answer in asked.items():
        try:
            listed[symbol] = answer.result()
        except TransientError as error:
            failed[symbol] = error
    return ArchivedDays(
        days={symbol: found.days for symbol, found in listed.items()},
        failed=failed,
        requests=_pages(len(folders)) + sum(found.pages for found in listed.values()) + len(failed),
        now=max((found.now for found in listed.values()), default=None),
    )


def _list_one(listing: BucketListing, stem: str, since: date | None) -> _Listed:
    after = f"{stem}{since - ONE_DAY}.zip{CHECKSUM}" if since else ""
    days, pages = list[date](), 0
    while True:
        page, now = listing.page(folder_of(stem), after, PAGE, delimiter=_DOT)
        pages += 1
        days += _days_of(page, stem)
        last = [listed.key for listed in page.objects[-1:]] + [
            name.removesuffix(_DOT) + "/" for name in page.folders[-1:]
        ]
        if not page.truncated or not last:
            return _Listed(days, pages, now)
        after = max(last)


def _days_of(page: Page, stem: str) -> list[date]:
    """Days told as one with their checksum, or, by a bucket that knows no delimiter but the slash, as archives."""
    days = [day for day, suffix, _ in archive_days(page.objects, stem) if suffix != CHECKSUM]
    for name in page.folders:
        with suppress(ConfigurationError):  # junk such as 2024-02-30
            if name.startswith(stem):
                days.append(parse_day(name.removeprefix(stem).removesuffix(_DOT)))
    return days


def _pages(entries: int) -> int:
    return max(-(-entries // PAGE), 1)
