"""Carrying faults out on real connections: statuses, delays, cut and damaged bodies, resets."""

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

from klines_pipeline.simulator.bucket_answers import xml_error
from klines_pipeline.simulator.faults import Fault
from klines_pipeline.simulator.rest_answers import error_answer


class BrokenOff(web.Response):
    """Reaches nobody: the connection was reset on purpose."""


_HTML = "<html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>"
_BLOCKED = (
    "Service unavailable from a restricted location according to 'b. Eligibility' in the terms of use. "
    "Please contact customer service if you believe you received this message in error."
)
_S3_ERRORS = {403: ("AccessDenied", "Access Denied"), 503: ("SlowDown", "Please reduce your request rate.")}


async def with_faults(
    request: web.Request, faults: list[Fault], group: str, answer: Callable[[], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Answer a request that these faults strike: delays first, the first replacement wins, then damage."""
    for fault in faults:
        if fault.kind == "delay":
            await asyncio.sleep(fault.seconds)
    for fault in faults:
        if fault.kind == "reset" and fault.when == "headers":
            return break_off(request)
        replacement = _replacement(fault, group)
        if replacement is not None:
            return replacement
    response = await answer()
    for fault in faults:
        if isinstance(response, web.Response):
            response = await _damaged(request, response, fault)
    return response


def _replacement(fault: Fault, group: str) -> web.Response | None:
    if fault.kind == "html":
        return web.Response(status=200, text=_HTML.format("Just a moment"), content_type="text/html")
    if fault.kind == "drop_checksum":
        return xml_error(404, "NoSuchKey", "The specified key does not exist.")
    if fault.kind == "blocked":
        return _status(fault, 451 if group == "rest" else 403, group)
    return _status(fault, fault.status, group) if fault.kind == "status" else None


def _status(fault: Fault, status: int, group: str) -> web.Response:
    """The status with the body the real service gives beside it, unless the fault brings its own."""
    headers = {str(name): str(value) for name, value in fault.headers.items()}
    if fault.body is not None:
        headers.setdefault("Content-Type", "text/plain; charset=utf-8")
        return web.Response(status=status, body=fault.body.encode(), headers=headers)
    if group != "rest":
        code, message = _S3_ERRORS.get(status, ("InternalError", "We encountered an internal error. Please try again."))
        return xml_error(status, code, message, headers=headers)
    if status == 403:
        return web.Response(status=403, text=_HTML.format("403 Forbidden"), content_type="text/html", headers=headers)
    if status == 451:
        return error_answer(0, _BLOCKED, status=451, headers=headers)
    if status in {418, 429}:
        headers.setdefault("Retry-After", "1")
        return error_answer(-1003, "Too many requests.", status=status, headers=headers)
    message = "Internal error; unable to process your request. Please try again."
    return error_answer(-1001, message, status=status, headers=headers)


async def _damaged(request: web.Request, response: web.Response, fault: Fault) -> web.StreamResponse:
    body = response.body if isinstance(response.body, bytes) else b""
    if fault.kind == "reset":
        await _begun(request, response, body)
        return break_off(request)
    if response.status not in {200, 206} or not body:
        return response
    if fault.kind == "truncate" and fault.declared:
        cut = await _begun(request, response, body)
        if request.transport is not None:
            request.transport.close()
        return cut
    if fault.kind == "truncate":
        response.body = body[: len(body) // 2]
    elif fault.kind == "corrupt":
        middle = len(body) // 2
        response.body = body[:middle] + bytes([body[middle] ^ 0x55]) + body[middle + 1 :]
    elif fault.kind == "checksum":
        response.body = body.translate(bytes.maketrans(b"0123456789abcdef", b"123456789abcdef0"), b"")[:64] + body[64:]
    return response


async def _begun(request: web.Request, response: web.Response, body: bytes) -> web.StreamResponse:
    """The response's headers and half of its body, sent."""
    begun = web.StreamResponse(status=response.status, headers=response.headers)
    begun.content_length = len(body)
    await begun.prepare(request)
    await begun.write(body[: len(body) // 2])
    await asyncio.sleep(0.005)
    return begun


def break_off(request: web.Request) -> web.StreamResponse:
    """Reset the connection of a request."""
    if request.transport is not None:
        request.transport.abort()
    return BrokenOff()
