"""Binance REST: server time, symbols, and klines over a window. Selection is by open time, both bounds inclusive."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from klines_pipeline.domain.errors import RejectedRequestError, TransientError
from klines_pipeline.domain.interval import Interval
from klines_pipeline.domain.universe import SymbolFacts
from klines_pipeline.domain.utc_day import from_milliseconds, to_milliseconds
from klines_pipeline.exchanges.binance.exchange_info import symbol_facts
from klines_pipeline.exchanges.binance.markets import BinanceMarket
from klines_pipeline.exchanges.binance.wire import parse_rows
from klines_pipeline.exchanges.protocols import RestAnswer
from klines_pipeline.exchanges.rest_host import JsonAnswer, RestHost
from klines_pipeline.exchanges.retry import BRIEF

WEIGHT_HEADER = "X-MBX-USED-WEIGHT-1M"
_PASSING = frozenset({-1000, -1001, -1003, -1007, -1008})  # internal error, overload, back-end time-out
NOT_TRADING = frozenset({-1121, -1122})  # unknown here, or removed from this market
_HTTP_OK = 200


def check_body(status: int, body: Any, url: str) -> None:
    """Raise what Binance says in the body: `{"code": -1121, "msg": "..."}`."""
    if status == _HTTP_OK:
        return
    code = body.get("code") if isinstance(body, dict) else None
    if not isinstance(code, int):
        raise TransientError(f"{url} answered HTTP {status} without one of Binance's codes.", http_status=status)
    message = f"{url} answered {code}: {body.get('msg')}"
    if code in _PASSING:
        raise TransientError(message, http_status=status)
    raise RejectedRequestError(message, code=code, http_status=status)


@dataclass(slots=True)
class BinanceRest:
    """One market's REST service."""

    market: BinanceMarket
    host: RestHost

    @property
    def limit(self) -> int:
        """Klines in one request, at most."""
        return self.market.page_limit

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
        answer = self.host.get(f"{self.market.rest_prefix}/time", {}, weight=1)
        try:
            return from_milliseconds(answer.body["serverTime"])
        except (TypeError, KeyError, ValueError, OverflowError):
            raise TransientError(f"{answer.url} answered without a serverTime in milliseconds.") from None

    def symbols(self) -> Mapping[str, SymbolFacts]:
        """Everything exchangeInfo names: on spot delisted pairs (BREAK) too, on futures only what trades or settles."""
        path = f"{self.market.rest_prefix}/exchangeInfo"
        params = {"showPermissionSets": "false"} if self.market.name == "spot" else {}
        answer = self.host.get(path, params, weight=self.market.exchange_info_weight)
        try:
            if facts := symbol_facts(self.market, answer.body):
                return facts
            raise KeyError("symbols")
        except (TypeError, KeyError, ValueError, AttributeError, OverflowError) as error:
            raise TransientError(f"{answer.url} answered no exchangeInfo: {error}.") from None

    def first_open_time(self, symbol: str, interval: Interval) -> datetime | None:
        """Open time of the very first kline: a start at 1970 gives the oldest, except where windows are limited."""
        if self.market.window_days is not None:
            return self._first_within_windows(symbol, interval, self.market.window_days)
        params: dict[str, str | int] = {"symbol": symbol, "interval": str(interval), "startTime": 0, "limit": 1}
        return self._earliest(symbol, params)

    def _first_within_windows(self, symbol: str, interval: Interval, days: int) -> datetime | None:
        """Back from now in windows of days until one is empty, then the first kline of the first day."""
        end, first = self.now(), None
        while (earlier := self._earliest(symbol, _window("1d", end - timedelta(days=days - 1), end, days))) is not None:
            first, end = earlier, earlier - timedelta(milliseconds=1)
        if first is None:
            return None
        bars = min(interval.bars_per_day, self.market.klines_weights[-1][0])
        return self._earliest(symbol, _window(str(interval), first, first + (bars - 1) * interval.duration, bars))

    def _earliest(self, symbol: str, params: Mapping[str, str | int]) -> datetime | None:
        _, weight = self.market.price(int(params["limit"]))
        try:
            answer = self.host.get(f"{self.market.rest_prefix}/klines", {"symbol": symbol, **params}, weight)
        except RejectedRequestError as error:
            if error.code not in NOT_TRADING:
                raise
            return None
        first: datetime | None = self._rows(symbol, answer)["open_time"].min()  # type: ignore[assignment]
        return first

    def last_open_time(self, symbol: str, interval: Interval) -> datetime | None:
        """Open time of the newest kline: an answer without bounds."""
        return self._earliest(symbol, {"interval": str(interval), "limit": 1})

    def klines(self, symbol: str, interval: Interval, start: datetime, end: datetime) -> RestAnswer:
        """One page of `[start, end)`. A symbol that does not trade here gives no rows, as an empty list does."""
        limit, weight = self.market.price((end - start) // interval.duration)
        params = {"symbol": symbol, **_window(str(interval), start, end - interval.duration, limit)}
        try:
            answer = self.host.get(f"{self.market.rest_prefix}/klines", params, weight)
        except RejectedRequestError as error:
            if error.code not in NOT_TRADING:
                raise
            nothing = parse_rows(symbol, [], contracts=self.market.contracts)
            asked = error.served_at or self.now()
            return RestAnswer(nothing, str(error).partition(" ")[0], weight, 1, error.http_status, asked, asked)
        served = answer.completed_at or self.now()
        frame = self._rows(symbol, answer)
        return RestAnswer(frame, answer.url, weight, answer.attempts, answer.http_status, served, served)

    def _rows(self, symbol: str, answer: JsonAnswer) -> pl.DataFrame:
        if not isinstance(answer.body, list):
            raise TransientError(f"{answer.url} answered something that is not a list of klines.")
        try:
            return parse_rows(symbol, answer.body, contracts=self.market.contracts)
        except (pl.exceptions.PolarsError, TypeError, ValueError, OverflowError) as error:
            raise TransientError(f"{answer.url} answered rows that are not klines ({error}).") from None


def _window(interval: str, start: datetime, end: datetime, limit: int) -> dict[str, str | int]:
    """Both bounds, always: with one alone COIN-M answers the newest klines."""
    times = {"startTime": to_milliseconds(start), "endTime": to_milliseconds(end)}
    return {"interval": interval, **times, "limit": limit}
