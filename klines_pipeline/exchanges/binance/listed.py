"""What the bucket lists now, for those who look often: one short request a symbol, within a time, and no siege.

Where days lie in a symbol's life is `survey`'s affair.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, datetime
from typing import NamedTuple
from urllib.parse import urlsplit

from klines_pipeline.domain.errors import TransientError
from klines_pipeline.domain.interval import Interval
from klines_pipeline.exchanges.binance.keys import archive_stem
from klines_pipeline.exchanges.binance.markets import BinanceMarket
from klines_pipeline.exchanges.binance.survey import BucketListing, pair_up
from klines_pipeline.exchanges.protocols import Listed, PublishedArchive
from klines_pipeline.exchanges.retry import BRIEF, Breaker

_THREADS = 16
_DOWN = 4
"""Symbols in a row that cannot be listed: past that the bucket is down, and the others fail without a request."""
_ANSWER_SECONDS = 6.0


class Seen(NamedTuple):
    """One symbol's archives, by day or by month, and the bucket's clock."""

    archives: dict[date, PublishedArchive]
    now: datetime


def listed(
    url: str,
    market: BinanceMarket,
    symbols: Sequence[str],
    interval: Interval,
    *,
    first: date,
    last: date,
    seconds: float,
) -> Listed:
    """List the days from `first` to `last` of each symbol; past 490 days a page more, past `seconds` nobody more.

    Without symbols it tells the time alone.
    """

    def days_of(listing: BucketListing, symbol: str) -> Seen:
        stem = archive_stem(market.directory, symbol, interval)
        objects, _, now = listing.days(stem, first, last)
        return Seen({day: found for day, found in pair_up(objects, stem).items() if first <= day <= last}, now)

    told = listed_by(days_of, url, symbols or [market.bellwether], seconds=seconds)
    return told if symbols else replace(told, archives={})


def listed_by(
    look: Callable[[BucketListing, str], Seen],
    url: str,
    asked: Sequence[str],
    *,
    seconds: float,
) -> Listed:
    """What a look at each symbol tells, none begun after `seconds`."""
    listing = BucketListing(url, BRIEF, Breaker(urlsplit(url).netloc, limit=_DOWN), seconds=_ANSWER_SECONDS)
    deadline = time.monotonic() + seconds

    def answer(symbol: str) -> Seen | TransientError | None:
        if time.monotonic() >= deadline:
            return None
        try:
            return look(listing, symbol)
        except TransientError as error:
            return error

    with ThreadPoolExecutor(_THREADS, "listing") as pool:
        answers = dict(zip(asked, pool.map(answer, asked), strict=True))
    seen = {symbol: found for symbol, found in answers.items() if isinstance(found, Seen)}
    return Listed(
        now=max((found.now for found in seen.values()), default=None),
        archives={(name, day): found for name, told in seen.items() for day, found in told.archives.items()},
        failed={symbol: found for symbol, found in answers.items() if isinstance(found, TransientError)},
        unasked=[symbol for symbol, found in answers.items() if found is None],
        requests=listing.requests,
    )
