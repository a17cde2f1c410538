"""HTTP answers of a market's REST interface: endpoints, weight headers, refusals in the exchange's words."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from aiohttp import web

from klines_pipeline.domain.interval import Interval
from klines_pipeline.domain.utc_day import to_microseconds, to_milliseconds
from klines_pipeline.simulator.exchange_info import NAMES, exchange_info
from klines_pipeline.simulator.formats import decimals_of
from klines_pipeline.simulator.funding_answers import funding_info, funding_rows
from klines_pipeline.simulator.futures_info import check_served, futures_info
from klines_pipeline.simulator.kline_answers import select_klines, within_window
from klines_pipeline.simulator.limits import Charge
from klines_pipeline.simulator.markets import MarketRules
from klines_pipeline.simulator.rest_parameters import RestError, check_names, read_funding_query, read_klines_query
from klines_pipeline.simulator.text import TimeUnit, json_rows
from klines_pipeline.simulator.venue import Venue
from klines_pipeline.simulator.venue_market import VenueMarket
from klines_pipeline.simulator.workers import Workers

_WEIGHT_EXCEEDED = (
    "Too much request weight used; current limit is {} request weight per 1 MINUTE. "
    "Please use WebSocket Streams for live updates to avoid polling the API."
)

Answer = Callable[["Asked"], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that was let through, and everything its answer may need."""

    request: web.Request
    market: VenueMarket
    workers: Workers
    now: datetime
    """UTC."""

    @property
    def rules(self) -> MarketRules:
        """The row of the market asked."""
        return self.market.rules

    @property
    def unit(self) -> TimeUnit:
        """Unit of the times in the answer: only spot has another than ms."""
        wish = self.request.headers.get("X-MBX-TIME-UNIT", "").upper()
        return "us" if wish == "MICROSECOND" and not self.rules.is_futures else "ms"


async def rest_answer(
    request: web.Request, endpoint: str, market: VenueMarket, venue: Venue, workers: Workers
) -> web.Response:
    """Charge the request's weight, then answer it."""
    rules = market.rules
    charge = market.limit.charge(rules.weight(endpoint, request.query.get("limit")))
    if charge.status != 200:
        response = _limited(charge, venue, _WEIGHT_EXCEEDED.format(market.limit.weight_limit))
    elif not request.path.startswith(rules.rest_prefix):
        response = error_answer(-1016, "This service is no longer available.")
    elif endpoint not in rules.weights:
        response = _unknown_path(request)
    else:
        response = await _served(request, endpoint, market, venue, workers)
    for header in rules.weight_headers:
        response.headers[header] = str(charge.used)
    return response


async def _served(
    request: web.Request, endpoint: str, market: VenueMarket, venue: Venue, workers: Workers
) -> web.Response:
    if request.method not in {"GET", "HEAD"}:
        return error_answer(-1000, f"Request method '{request.method}' is not supported.", status=405)
    if endpoint in FUNDING_ENDPOINTS:
        charge = market.funding_limit.charge(1)
        if charge.status != 200:
            return _limited(charge, venue, "Too many requests for funding.")
    try:
        body = await ENDPOINTS[endpoint](Asked(request, market, workers, venue.clock.now()))
    except RestError as error:
        return error_answer(error.code, str(error), status=error.status)
    return web.Response(body=body, content_type="application/json", charset="UTF-8")


def error_answer(code: int, message: str, *, status: int = 400, headers: dict[str, str] | None = None) -> web.Response:
    """`{"code": ..., "msg": ...}`."""
    text = json.dumps({"code": code, "msg": message}, ensure_ascii=False, separators=(",", ":"))
    return web.json_response(text=text, status=status, headers=headers)


def _limited(charge: Charge, venue: Venue, text: str) -> web.Response:
    headers = {"Retry-After": str(charge.retry_after)}
    if charge.status == 418:
        until = to_milliseconds(venue.clock.now() + timedelta(seconds=charge.simulated_wait))
        text = f"Way too much request weight used; IP banned until {until}. Please use WebSocket Streams."
    return error_answer(-1003, text, status=charge.status, headers=headers)


def _unknown_path(request: web.Request) -> web.Response:
    if "text/html" in request.headers.get("Accept", ""):
        return web.Response(status=404, text="<html><body>404 Not found</body></html>", content_type="text/html")
    return web.Response(status=404)


async def _klines(asked: Asked) -> bytes:
    rules, market, now = asked.rules, asked.market.truth, asked.now
    query = read_klines_query(asked.request.query, rules)
    listing = market.listings.get(query.symbol)
    if query.symbol not in market.symbols_set():
        check_served(listing, rules, now)
    if query.interval not in rules.intervals:
        raise RestError(-1120, "Invalid interval.")
    if rules.longest_window is not None:
        query = within_window(query, rules.longest_window, now)
    interval, from_end = Interval.parse(query.interval), rules.longest_window is not None
    unit, decimals = asked.unit, decimals_of(rules, listing)

    def answer() -> bytes:
        found = select_klines(market, query, interval=interval, now=now, from_end=from_end)
        return json_rows(found, unit, decimals)

    return await asked.workers.run(answer)


async def _exchange_info(asked: Asked) -> bytes:
    market, rules, now = asked.market.truth, asked.rules, asked.now
    if rules.is_futures:
        return _dump(await asked.workers.run(lambda: futures_info(market, rules, now=now)))
    known = check_names(asked.request.query, NAMES)
    return _dump(await asked.workers.run(lambda: exchange_info(market, rules, known, now=now)))


async def _time(asked: Asked) -> bytes:
    check_names(asked.request.query, (), strangers=asked.rules.is_futures)
    now = asked.now
    return _dump({"serverTime": to_microseconds(now) if asked.unit == "us" else to_milliseconds(now)})


async def _ping(asked: Asked) -> bytes:
    check_names(asked.request.query, (), strangers=asked.rules.is_futures)
    return b"{}"


async def _funding_rate(asked: Asked) -> bytes:
    query = read_funding_query(asked.request.query, needs_symbol=asked.rules.funding_needs_symbol)
    return _dump(await asked.workers.run(lambda: funding_rows(asked.market, query, now=asked.now)))


async def _funding_info(asked: Asked) -> bytes:
    return _dump(funding_info(asked.market, now=asked.now))


def _dump(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


FUNDING_ENDPOINTS: dict[str, Answer] = {"fundingRate": _funding_rate, "fundingInfo": _funding_info}
ENDPOINTS: dict[str, Answer] = {
    "klines": _klines,
    "exchangeInfo": _exchange_info,
    "time": _time,
    "ping": _ping,
    **FUNDING_ENDPOINTS,
}
