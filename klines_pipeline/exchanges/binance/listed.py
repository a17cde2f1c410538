"""What the bucket lists now, for those who look often: one short request a symbol, within a time, and no siege.

Where days lie in a symbol's life is `survey`'s affair.
"""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
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


class _Seen(NamedTuple):
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
    listing = BucketListing(url, BRIEF, Breaker(urlsplit(url).netloc, limit=_DOWN), seconds=_ANSWER_SECONDS)
    deadline = time.monotonic() + seconds

    def look(symbol: str) -> _Seen | TransientError | None:
        if time.monotonic() >= deadline:
            return None
        stem = archive_stem(market.directory, symbol, interval)
        try:
            objects, _, now = listing.days(stem, first, last)
        except TransientError as error:
            return error
        return _Seen({day: found for day, found in pair_up(objects, stem).items() if first <= day <= last}, now)

    asked = symbols or [market.bellwether]
    with ThreadPoolExecutor(_THREADS, "listing") as pool:
        answers = dict(zip(asked, pool.map(look, asked), strict=True))
    seen = {symbol: answer for symbol, answer in answers.items() if isinstance(answer, _Seen)}
    return Listed(
        now=max((answer.now for answer in seen.values()), default=None),
        archives={(name, day): found for name in symbols if name in seen for day, found in seen[name].archives.items()},
        failed={symbol: answer for symbol, answer in answers.items() if isinstance(answer, TransientError)},
        unasked=[symbol for symbol, answer in answers.items() if answer is None],
        requests=listing.requests,
    )
