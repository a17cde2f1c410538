"""OKX REST: server time, instruments, and candles over a window.

Bounds are exclusive and pages come newest first: `after` is the end of a window, `before` lies just under its start,
and the next page ends where the last one began.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

import polars as pl

from klines_pipeline.domain.errors import RejectedRequestError, TransientError
from klines_pipeline.domain.interval import Interval
from klines_pipeline.domain.universe import SymbolFacts
from klines_pipeline.domain.utc_day import EPOCH, from_milliseconds, to_milliseconds
from klines_pipeline.exchanges.budget import Pace
from klines_pipeline.exchanges.okx.bars import BARS
from klines_pipeline.exchanges.okx.host import WINDOW
from klines_pipeline.exchanges.okx.instruments import describe, symbol_facts
from klines_pipeline.exchanges.okx.markets import OkxMarket
from klines_pipeline.exchanges.okx.wire import oldest_open_time, parse_rows
from klines_pipeline.exchanges.protocols import RestAnswer
from klines_pipeline.exchanges.rest_host import JsonAnswer, RestHost
from klines_pipeline.exchanges.retry import BRIEF
from klines_pipeline.klines.schema import WIRE_SCHEMA

_PAGE_LIMIT = 300
_NEWEST_BARS = 1440 - 60  # `candles` reaches 1,440 bars back; 60 are left for the time since the server last answered
_UNKNOWN_INSTRUMENT = 51001
_NAMED_NOTHING = 400
"""HTTP status reported for an unknown instrument, which OKX answers with 200: any but 200 says that an answer without
rows tells of the name and not of klines."""
_CAPS = frozenset({100, _PAGE_LIMIT})  # rows in a full page, of older deployments and of today's
_FOUR_HOURS = timedelta(hours=4)
_LONGEST_MONTH = timedelta(days=31)


class _Route(NamedTuple):
    """An endpoint of candles and what it may be asked."""

    path: str
    lane: Pace


class _Page(NamedTuple):
    """One answer: its closed klines, and what it says of how far it reaches, forming ones counted."""

    frame: pl.DataFrame
    rows: int
    oldest: datetime | None
    answer: JsonAnswer
    served: datetime


def _route(endpoint: str, requests: int) -> _Route:
    return _Route(f"/api/v5/market/{endpoint}", Pace(requests, window=WINDOW))


@dataclass(slots=True)
class OkxRest:
    """One market's REST service."""

    market: OkxMarket
    host: RestHost
    candles: _Route = field(default_factory=lambda: _route("candles", 40))
    history: _Route = field(default_factory=lambda: _route("history-candles", 20))
    heard: datetime | None = None
    """The server's clock when it last answered, UTC."""

    @property
    def limit(self) -> int:
        """Klines in one slice: one page today, three where the server gives 100; a day of minutes is five slices."""
        return _PAGE_LIMIT

    @property
    def requests(self) -> int:
        """Requests sent so far, retries included."""
        return self.host.requests

    def close(self) -> None:
        """Give the connections back."""
        self.host.client.close()

    def hasten(self) -> None:
        """From now on hardly try again."""
        self.host.policy = BRIEF

    def now(self) -> datetime:
        """Server time, to the millisecond."""
        answer = self.host.get("/api/v5/public/time", {}, weight=1)
        try:
            self.heard = from_milliseconds(int(answer.body["data"][0]["ts"]))
        except (LookupError, TypeError, ValueError, OverflowError):
            raise TransientError(f"{answer.url} answered without a ts in milliseconds.") from None
        return self.heard

    def symbols(self) -> Mapping[str, SymbolFacts]:
        """Instruments open now: a delisted one is not named any more."""
        answer = self.host.get("/api/v5/public/instruments", {"instType": self.market.instrument_type}, weight=1)
        try:
            if facts := symbol_facts(self.market, answer.body["data"]):
                return facts
            raise LookupError("no instrument")
        except (LookupError, TypeError, ValueError, OverflowError, AttributeError):
            raise TransientError(f"{answer.url} answered without instruments.") from None

    def _refuse_foreign(self, symbol: str) -> None:
        """RejectedRequestError for a name of another market: candles answers it, with volumes of other meaning."""
        if describe(self.market, symbol).base is None:
            text = f"{self.host.url} {symbol} is no {self.market.instrument_type} instrument."
            raise RejectedRequestError(text, code=_UNKNOWN_INSTRUMENT, http_status=_NAMED_NOTHING)

    def first_open_time(self, symbol: str, interval: Interval) -> datetime | None:
        """Open time of the oldest candle: by month, by four hours of that month, by the interval in those.

        That is three pages of 300. `listTime` would not do: old instruments have candles from years before it. Where
        the interval begins later than coarser bars, theirs is told: no kline is older.
        """
        try:
            self._refuse_foreign(symbol)
            month = self._oldest(symbol, "1Mutc", None, self.heard or self.now())
            if month is None:
                return None
            hours = self._oldest(symbol, "4H", month, month + _LONGEST_MONTH) or month
            start = hours - (hours - EPOCH) % interval.duration
            end = start + max(interval.duration, _FOUR_HOURS)
            return self._oldest(symbol, BARS[interval.name], start, end) or start
        except RejectedRequestError as error:
            if error.code != _UNKNOWN_INSTRUMENT:
                raise
            return None

    def last_open_time(self, symbol: str, interval: Interval) -> datetime | None:
        """Open time of the newest closed candle: one page of history, which has them of delisted instruments too."""
        try:
            self._refuse_foreign(symbol)
            page = self._page(self.history, symbol, BARS[interval.name], None, self.heard or self.now())
        except RejectedRequestError as error:
            if error.code != _UNKNOWN_INSTRUMENT:
                raise
            return None
        newest: datetime | None = page.frame["open_time"].max()  # type: ignore[assignment]
        return newest

    def _oldest(self, symbol: str, bar: str, start: datetime | None, end: datetime) -> datetime | None:
        """Open time of the oldest bar in `[start, end)`, a forming one counted; a full page may have been cut."""
        oldest = None
        while True:
            page = self._page(self.history, symbol, bar, start, oldest or end)
            oldest = page.oldest or oldest
            if page.rows not in _CAPS or oldest == start:
                return oldest

    def klines(self, symbol: str, interval: Interval, start: datetime, end: datetime) -> RestAnswer:
        """`[start, end)`, cut to `limit` klines, in as many pages as the server needs; `weight` counts the pages.

        An unknown instrument gives no rows and HTTP status 400, whatever the server's was.
        """
        window_end = min(end, start + self.limit * interval.duration)
        try:
            self._refuse_foreign(symbol)
            pages = list(self._pages(symbol, interval, start, window_end))
        except RejectedRequestError as error:
            if error.code != _UNKNOWN_INSTRUMENT:
                raise
            asked, url = error.served_at or self.now(), str(error).partition(" ")[0]
            return RestAnswer(WIRE_SCHEMA.to_frame(), url, 1, 1, _NAMED_NOTHING, asked, asked)
        return RestAnswer(
            frame=pl.concat([page.frame for page in reversed(pages)]),
            url=pages[0].answer.url,
            weight=len(pages),
            attempts=sum(page.answer.attempts for page in pages),
            http_status=pages[0].answer.http_status,
            requested_at=pages[0].served,
            completed_at=pages[-1].served,
        )

    def _pages(self, symbol: str, interval: Interval, start: datetime, end: datetime) -> Iterator[_Page]:
        """Backwards until the window's start is there; an endpoint that has no more hands over to the next one."""
        bar = BARS[interval.name]
        for route in self._routes(interval, start):
            page = self._page(route, symbol, bar, start, end)
            yield page
            while page.oldest is not None and page.oldest > start:
                end = page.oldest
                page = self._page(route, symbol, bar, start, end)
                yield page
            if page.oldest is not None:
                return

    def _routes(self, interval: Interval, start: datetime) -> tuple[_Route, ...]:
        if self.heard is not None and start >= self.heard - _NEWEST_BARS * interval.duration:
            return self.candles, self.history
        return (self.history,)

    def _page(self, route: _Route, symbol: str, bar: str, start: datetime | None, end: datetime) -> _Page:
        """The newest bars of `[start, end)`. TransientError for rows that are no candles or open at `end` or later."""
        params: dict[str, str | int] = {
            "instId": symbol,
            "bar": bar,
            "after": to_milliseconds(end),
            "limit": _PAGE_LIMIT,
        }
        if start is not None:
            params["before"] = to_milliseconds(start) - 1
        answer = self.host.get(route.path, params, weight=1, lane=route.lane)
        rows = answer.body["data"]
        try:
            oldest, frame = oldest_open_time(rows), parse_rows(self.market, symbol, rows)
        except (pl.exceptions.PolarsError, TypeError, ValueError, OverflowError) as error:
            raise TransientError(f"{answer.url} answered rows that are not candles ({error}).") from None
        if oldest is not None and oldest >= end:
            raise TransientError(f"{answer.url} answered candles that were not asked for, from {oldest} on.")
        self.heard = served = answer.completed_at or self.now()
        return _Page(frame, len(rows), oldest, answer, served)
