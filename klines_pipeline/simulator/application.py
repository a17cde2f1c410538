"""One request, from path to answer: control, REST or bucket; faults and counting around them; the simulated Date."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from klines_pipeline.simulator.bucket_answers import key_of, listing_answer, object_answer, xml_error
from klines_pipeline.simulator.clock import http_date
from klines_pipeline.simulator.control import PREFIX, control_answer
from klines_pipeline.simulator.fault_answers import BrokenOff, break_off, with_faults
from klines_pipeline.simulator.keyspace import CHECKSUM
from klines_pipeline.simulator.okx_answers import OKX_PREFIX, okx_answer
from klines_pipeline.simulator.okx_control import OKX_CONTROL, okx_control_answer
from klines_pipeline.simulator.okx_faults import in_okx_words
from klines_pipeline.simulator.rest_answers import rest_answer
from klines_pipeline.simulator.venue import Venue
from klines_pipeline.simulator.workers import Workers

log = logging.getLogger(__name__)

_MOST_CONTROL_BYTES = 512 * 1024 * 1024
OKX = "okx"
"""Its name among the markets that are counted."""
_BROWSING_PAGE = "<html><head><title>Binance Data Collection</title></head><body><script></script></body></html>"

Answer = Callable[[], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Route:
    """Where a request goes, and under which words it is counted and met by faults."""

    group: str
    path: str
    """Without the bucket's name before a key."""
    answer: Answer
    endpoint: str = ""
    market: str = ""


def build_application(venue: Venue, workers: Workers) -> web.Application:
    """The aiohttp application of a venue."""

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path == OKX_CONTROL:
            return await okx_control_answer(request, venue.okx)
        if request.path == PREFIX or request.path.startswith(PREFIX + "/"):
            return await control_answer(request, venue, workers)
        return await _counted(request, venue, workers)

    async def stamp(request: web.Request, response: web.StreamResponse) -> None:
        response.headers["Date"] = http_date(venue.clock.now())

    application = web.Application(client_max_size=_MOST_CONTROL_BYTES)
    application.router.add_route("*", "/{path:.*}", answer)
    application.on_response_prepare.append(stamp)
    return application


async def _counted(request: web.Request, venue: Venue, workers: Workers) -> web.StreamResponse:
    route = _route(request, venue, workers)
    group, path, answer = route.group, route.path, route.answer
    status = "abandoned"
    try:
        striking = venue.faults.striking(path, group)
        if route.market == OKX:
            striking = [in_okx_words(fault) for fault in striking]
        response = await (with_faults(request, striking, group, answer) if striking else answer())
        status = "reset" if isinstance(response, BrokenOff) else str(response.status)
        return response
    except ConnectionAbortedError:  # the bucket is stopping
        return break_off(request)
    except UnicodeError:
        status = "400"
        return xml_error(400, "InvalidURI", "Couldn't parse the specified URI.")
    finally:
        venue.tally.count(
            group=group,
            endpoint=route.endpoint,
            method=request.method,
            path=path,
            status=status,
            market=route.market,
        )


def _route(request: web.Request, venue: Venue, workers: Workers) -> Route:
    path = request.path
    if path.startswith(OKX_PREFIX):
        return _okx_route(request, venue, workers)
    target = venue.rest_target(path)
    if target is not None:
        market, endpoint = target
        return Route(
            "rest", path, lambda: rest_answer(request, endpoint, market, venue, workers), endpoint, market.rules.name
        )
    key = key_of(path)
    if request.method not in {"GET", "HEAD"}:
        return Route("other", path, _method_refused)
    if key == "":
        return Route("listing", path, lambda: listing_answer(request, venue, workers))
    if path == "/":
        return Route("other", path, _browsing_page)
    if key is None:
        return Route("other", path, _nothing_here)
    group = "checksums" if key.endswith(CHECKSUM) else "archives"
    market_name = venue.market_of_key(key)
    return Route(group, f"/{key}", lambda: object_answer(request, key, venue, workers), market=market_name)


def _okx_route(request: web.Request, venue: Venue, workers: Workers) -> Route:
    endpoint = request.path.removeprefix(OKX_PREFIX)
    return Route("rest", request.path, lambda: okx_answer(request, endpoint, venue.okx, workers), endpoint, OKX)


async def _method_refused() -> web.StreamResponse:
    return xml_error(405, "MethodNotAllowed", "The specified method is not allowed against this resource.")


async def _browsing_page() -> web.StreamResponse:
    return web.Response(text=_BROWSING_PAGE, content_type="text/html")


async def _nothing_here() -> web.StreamResponse:
    return web.Response(status=404)
