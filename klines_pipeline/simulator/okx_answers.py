"""HTTP answers of OKX's REST interface: endpoints, rate limits, and the envelope that every answer comes in."""

import json
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from aiohttp import web

from klines_pipeline.domain.utc_day import to_milliseconds
from klines_pipeline.simulator.okx_funding import funding_rows
from klines_pipeline.simulator.okx_instruments import Instrument
from klines_pipeline.simulator.okx_limits import CANDLES, FUNDING, HISTORY_CANDLES
from klines_pipeline.simulator.okx_parameters import (
    OkxError,
    Page,
    check_swap,
    read_bar,
    read_page,
    read_text,
    unknown_instrument,
)
from klines_pipeline.simulator.okx_rows import candle_rows, instrument_entry
from klines_pipeline.simulator.okx_venue import OkxVenue
from klines_pipeline.simulator.workers import Workers

OKX_PREFIX = "/api/v5/"
_DEPTH = 1440
"""Bars that `candles` reaches back; `history-candles` has all."""
_DEFAULT_ROWS = 100
_MOST_SETTLEMENTS = 400
_INSTRUMENT_TYPES = frozenset({"SPOT", "MARGIN", "SWAP", "FUTURES", "OPTION"})

Rows = list[Any]
Answer = Callable[[web.Request, OkxVenue, Workers, datetime], Awaitable[Rows]]


async def okx_answer(request: web.Request, endpoint: str, okx: OkxVenue, workers: Workers) -> web.Response:
    """Judge the request by its rate limit, then answer it."""
    instrument = request.query.get("instId", "")
    try:
        if endpoint not in ENDPOINTS:
            raise OkxError("404", "Not Found", status=404)
        if request.method not in {"GET", "HEAD"}:
            raise OkxError("50115", "Invalid request method", status=405)
        if not okx.limits.admits(endpoint, instrument if instrument in okx.market.instruments else ""):
            raise OkxError("50011", "Too Many Requests", status=429)
        return _envelope("0", "", await ENDPOINTS[endpoint](request, okx, workers, okx.clock.now()))
    except OkxError as error:
        return _envelope(error.code, str(error), [], status=error.status)


def _envelope(code: str, message: str, data: Rows, *, status: int = 200) -> web.Response:
    text = json.dumps({"code": code, "msg": message, "data": data}, separators=(",", ":"))
    return web.json_response(text=text, status=status)


def _known(request: web.Request, okx: OkxVenue, now: datetime) -> Instrument:
    """The instrument asked for, if it was ever listed."""
    instrument = okx.market.instruments.get(read_text(request.query, "instId"))
    if instrument is None or now < instrument.life.start:
        raise unknown_instrument()
    if not okx.delisted_answer and not instrument.is_live(now):
        raise unknown_instrument()
    return instrument


async def _time(request: web.Request, okx: OkxVenue, workers: Workers, now: datetime) -> Rows:
    return [{"ts": str(to_milliseconds(now))}]


async def _instruments(request: web.Request, okx: OkxVenue, workers: Workers, now: datetime) -> Rows:
    wanted = read_text(request.query, "instType")
    if wanted not in _INSTRUMENT_TYPES:
        raise OkxError("51000", "Parameter instType error")
    live = {
        name: instrument_entry(instrument)
        for name, instrument in okx.market.instruments.items()
        if instrument.type == wanted and instrument.is_live(now)
    }
    name = request.query.get("instId")
    if name and name not in live:
        raise unknown_instrument()
    return [live[name]] if name else list(live.values())


async def _candles(request: web.Request, okx: OkxVenue, workers: Workers, now: datetime) -> Rows:
    return await _bars(request, okx, workers, now, depth=_DEPTH)


async def _history_candles(request: web.Request, okx: OkxVenue, workers: Workers, now: datetime) -> Rows:
    return await _bars(request, okx, workers, now, depth=None)


async def _bars(request: web.Request, okx: OkxVenue, workers: Workers, now: datetime, *, depth: int | None) -> Rows:
    read_text(request.query, "instId")
    bar = read_bar(request.query)
    page = read_page(request.query, default_rows=_DEFAULT_ROWS, most_rows=okx.most_rows)
    instrument = _known(request, okx, now)
    after, before = _microseconds(page)

    def found() -> Rows:
        bars = okx.market.newest(instrument.name, bar, after=after, before=before, rows=page.rows, depth=depth, now=now)
        return candle_rows(instrument, bars, now=now)

    return await workers.run(found)


def _microseconds(page: Page) -> tuple[int | None, int | None]:
    after, before = (None if bound is None else bound * 1000 for bound in (page.after, page.before))
    return after, before


async def _funding(request: web.Request, okx: OkxVenue, workers: Workers, now: datetime) -> Rows:
    read_text(request.query, "instId")
    page = read_page(request.query, default_rows=_DEFAULT_ROWS, most_rows=_MOST_SETTLEMENTS)
    instrument = check_swap(_known(request, okx, now))
    return funding_rows(instrument, seed=okx.market.seed, after=page.after, before=page.before, rows=page.rows, now=now)


ENDPOINTS: dict[str, Answer] = {
    "public/time": _time,
    "public/instruments": _instruments,
    CANDLES: _candles,
    HISTORY_CANDLES: _history_candles,
    FUNDING: _funding,
}
