"""HTTP answers of a market's REST interface: endpoints, weight headers, refusals in the exchange's words."""

import json
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

from aiohttp import web

from klines_pipeline.domain.errors import UnknownNameError
from klines_pipeline.domain.interval import Interval
from klines_pipeline.domain.utc_day import to_microseconds, to_milliseconds
from klines_pipeline.simulator.exchange_info import NAMES, exchange_info
from klines_pipeline.simulator.kline_answers import select_klines
from klines_pipeline.simulator.limits import Charge
from klines_pipeline.simulator.rest_parameters import RestError, check_known, check_names, read_klines_query
from klines_pipeline.simulator.text import TimeUnit, json_rows
from klines_pipeline.simulator.venue import Venue
from klines_pipeline.simulator.workers import Workers

Answer = Callable[[web.Request, Venue, Workers, datetime], Awaitable[bytes]]


def endpoint_of(path: str, venue: Venue) -> str | None:
    """The endpoint a path names; None if the path is not REST's."""
    for prefix in (venue.rules.rest_prefix, *venue.rules.retired_prefixes):
        if path.startswith(prefix):
            return path.removeprefix(prefix)
    return None


async def rest_answer(request: web.Request, endpoint: str, venue: Venue, workers: Workers) -> web.Response:
    """Charge the request's weight, then answer it."""
    charge = venue.limit.charge(venue.rules.weights.get(endpoint, 1))
    if charge.status != 200:
        response = _limited(charge, venue)
    elif not request.path.startswith(venue.rules.rest_prefix):
        response = error_answer(-1016, "This service is no longer available.")
    elif endpoint not in ENDPOINTS:
        response = _unknown_path(request)
    else:
        response = await _served(request, endpoint, venue, workers)
    for header in venue.rules.weight_headers:
        response.headers[header] = str(charge.used)
    return response


async def _served(request: web.Request, endpoint: str, venue: Venue, workers: Workers) -> web.Response:
    if request.method not in {"GET", "HEAD"}:
        return error_answer(-1000, f"Request method '{request.method}' is not supported.", status=405)
    try:
        body = await ENDPOINTS[endpoint](request, venue, workers, venue.clock.now())
    except RestError as error:
        return error_answer(error.code, str(error), status=error.status)
    return web.Response(body=body, content_type="application/json", charset="UTF-8")


def error_answer(code: int, message: str, *, status: int = 400, headers: dict[str, str] | None = None) -> web.Response:
    """`{"code": ..., "msg": ...}`."""
    text = json.dumps({"code": code, "msg": message}, ensure_ascii=False, separators=(",", ":"))
    return web.json_response(text=text, status=status, headers=headers)


def _limited(charge: Charge, venue: Venue) -> web.Response:
    headers = {"Retry-After": str(charge.retry_after)}
    if charge.status == 418:
        until = to_milliseconds(venue.clock.now() + timedelta(seconds=charge.simulated_wait))
        text = f"Way too much request weight used; IP banned until {until}. Please use WebSocket Streams."
    else:
        text = (
            f"Too much request weight used; current limit is {venue.limit.weight_limit} request weight per 1 MINUTE. "
            "Please use WebSocket Streams for live updates to avoid polling the API."
        )
    return error_answer(-1003, text, status=charge.status, headers=headers)


def _unknown_path(request: web.Request) -> web.Response:
    if "text/html" in request.headers.get("Accept", ""):
        return web.Response(status=404, text="<html><body>404 Not found</body></html>", content_type="text/html")
    return web.Response(status=404)


def _unit(request: web.Request) -> TimeUnit:
    return "us" if request.headers.get("X-MBX-TIME-UNIT", "").upper() == "MICROSECOND" else "ms"


async def _klines(request: web.Request, venue: Venue, workers: Workers, now: datetime) -> bytes:
    rules, market = venue.rules, venue.market
    query = read_klines_query(request.query, default_rows=rules.default_rows, most_rows=rules.most_rows)
    listing = market.listings.get(query.symbol)
    listed = listing is not None and listing.lives[0].start <= now
    check_known(query.symbol, [query.symbol] if listed else market.symbols_set())
    try:
        interval = Interval.parse(query.interval)
    except UnknownNameError:
        raise RestError(-1120, "Invalid interval.") from None
    unit = _unit(request)
    return await workers.run(lambda: json_rows(select_klines(market, query, interval=interval, now=now), unit))


async def _exchange_info(request: web.Request, venue: Venue, workers: Workers, now: datetime) -> bytes:
    known = check_names(request.query, NAMES)
    return _dump(await workers.run(lambda: exchange_info(venue.market, venue.rules, known, now=now)))


async def _time(request: web.Request, venue: Venue, workers: Workers, now: datetime) -> bytes:
    check_names(request.query, ())
    return _dump({"serverTime": to_microseconds(now) if _unit(request) == "us" else to_milliseconds(now)})


async def _ping(request: web.Request, venue: Venue, workers: Workers, now: datetime) -> bytes:
    check_names(request.query, ())
    return b"{}"


def _dump(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


ENDPOINTS: dict[str, Answer] = {"klines": _klines, "exchangeInfo": _exchange_info, "time": _time, "ping": _ping}
