"""From when to when every symbol has archives: one pass over the bucket's folders, then a listing a symbol.

Daily archives of 1d are looked at: 490 days a page, and they are what the lake is made of. Monthly ones would fit on
one page, but lack days, holes inside a month, and the month in progress. What the days mean is not known here.
"""

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import date, datetime
from typing import NamedTuple

from klines_pipeline.domain.errors import ConfigurationError, TransientError
from klines_pipeline.domain.interval import Interval
from klines_pipeline.domain.symbol import check_symbol
from klines_pipeline.exchanges.binance.keys import CHECKSUM, archive_stem, folder_of, symbols_folder
from klines_pipeline.exchanges.binance.listing import ONE_DAY, PAGE, archive_days
from klines_pipeline.exchanges.binance.markets import BinanceMarket
from klines_pipeline.exchanges.binance.survey import BucketListing
from klines_pipeline.exchanges.protocols import ArchivedDays

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
        page, now = listing.page(folder_of(stem), after, PAGE)
        pages += 1
        days += [day for day, suffix, _ in archive_days(page.objects, stem) if suffix != CHECKSUM]
        if not page.truncated or not page.objects:
            return _Listed(days, pages, now)
        after = page.objects[-1].key


def _pages(entries: int) -> int:
    return max(-(-entries // PAGE), 1)
