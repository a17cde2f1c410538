"""Binance REST: server time, symbols, and klines over a window. Selection is by open time, both bounds inclusive."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl

from klines_pipeline.domain.errors import RejectedRequestError, TransientError
from klines_pipeline.domain.interval import Interval
from klines_pipeline.domain.utc_day import from_milliseconds, to_milliseconds
from klines_pipeline.exchanges.binance.markets import BinanceMarket
from klines_pipeline.exchanges.binance.wire import parse_rows
from klines_pipeline.exchanges.protocols import RestAnswer
from klines_pipeline.exchanges.rest_host import JsonAnswer, RestHost
from klines_pipeline.klines.schema import WIRE_SCHEMA

WEIGHT_HEADER = "X-MBX-USED-WEIGHT-1M"
_PASSING = frozenset({-1000, -1001, -1003, -1007, -1008})  # internal error, overload, back-end time-out
_NOT_TRADING = frozenset({-1121, -1122})  # unknown here, or removed from this market
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

    def now(self) -> datetime:
        """Server time, to the millisecond."""
        answer = self.host.get(f"{self.market.rest_prefix}/time", {}, weight=1)
        try:
            return from_milliseconds(answer.body["serverTime"])
        except (TypeError, KeyError, ValueError, OverflowError):
            raise TransientError(f"{answer.url} answered without a serverTime in milliseconds.") from None

    def symbols(self) -> Mapping[str, str]:
        """Symbol and status of everything exchangeInfo names, delisted pairs (BREAK) included."""
        path = f"{self.market.rest_prefix}/exchangeInfo"
        answer = self.host.get(path, {"showPermissionSets": "false"}, weight=self.market.exchange_info_weight)
        try:
            return {row["symbol"]: row["status"] for row in answer.body["symbols"]}
        except (TypeError, KeyError):
            raise TransientError(f"{answer.url} answered without symbols.") from None

    def first_open_time(self, symbol: str, interval: Interval) -> datetime | None:
        """Open time of the very first kline: a start at 1970 gives the oldest."""
        params: dict[str, str | int] = {"symbol": symbol, "interval": str(interval), "startTime": 0, "limit": 1}
        try:
            answer = self.host.get(f"{self.market.rest_prefix}/klines", params, self.market.klines_weight)
        except RejectedRequestError as error:
            if error.code not in _NOT_TRADING:
                raise
            return None
        first: datetime | None = self._rows(symbol, answer)["open_time"].min()  # type: ignore[assignment]
        return first

    def klines(self, symbol: str, interval: Interval, start: datetime, end: datetime) -> RestAnswer:
        """One page of `[start, end)`. A symbol that does not trade here gives no rows, as an empty list does."""
        params: dict[str, str | int] = {
            "symbol": symbol,
            "interval": str(interval),
            "startTime": to_milliseconds(start),
            "endTime": to_milliseconds(end - interval.duration),
            "limit": self.limit,
        }
        weight = self.market.klines_weight
        try:
            answer = self.host.get(f"{self.market.rest_prefix}/klines", params, weight)
        except RejectedRequestError as error:
            if error.code not in _NOT_TRADING:
                raise
            nothing = WIRE_SCHEMA.to_frame()
            asked = self.now()
            return RestAnswer(nothing, str(error).partition(" ")[0], weight, 1, error.http_status, asked, asked)
        served = answer.completed_at or self.now()
        frame = self._rows(symbol, answer)
        return RestAnswer(frame, answer.url, weight, answer.attempts, answer.http_status, served, served)

    def _rows(self, symbol: str, answer: JsonAnswer) -> pl.DataFrame:
        if not isinstance(answer.body, list):
            raise TransientError(f"{answer.url} answered something that is not a list of klines.")
        try:
            return parse_rows(symbol, answer.body)
        except (pl.exceptions.PolarsError, TypeError, ValueError, OverflowError) as error:
            raise TransientError(f"{answer.url} answered rows that are not klines ({error}).") from None
