"""What may stand in front of a real S3-compatible server: a clock of its own, a distance, less than S3 promises.

`python -m klines_pipeline_tests.storage.front URL MILLISECONDS` prints the address of one, and serves until its input
ends; that one answers what it was asked before from memory, so that the server's own speed does not count.
"""

import asyncio
import sys
import threading
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from email.utils import format_datetime, parsedate_to_datetime
from typing import Self

from aiohttp import ClientSession, TCPConnector, web
from yarl import URL

from klines_pipeline.storage.leases import elapsed

_CONDITIONS = {"if-none-match", "if-match"}
_OF_THE_WIRE = {"content-length", "transfer-encoding", "content-encoding", "connection", "date", "server"}


class Front:
    """Hands requests on. Attributes may be changed at any time from any thread."""

    def __init__(self, store: str, *, seconds_away: float = 0.0) -> None:
        self.store, self.seconds_away = store, seconds_away
        self.ahead = timedelta()
        """How far the store's clock is before that of this machine."""
        self.conditions = "kept"
        """`kept`, `ignored` or `refused` with 501."""
        self.lose = 0
        """How many answers to writes get lost: done, then `lost_status`."""
        self.lost_status = 503
        """503 is asked again by the client itself, 403 is not."""
        self.last_write = 0.0
        """When the last one was done, by the clock of leases."""
        self.cut = 0
        """How many answers with a body end after half of it."""
        self.deletions = "kept"
        """`kept`, `ignored` or `refused` with 403: conditions on them."""
        self.remembers = False
        """Whether objects once read are taken to stay as they are."""
        self.requests = Counter[str]()
        self.most_at_once = 0
        self._at_once = 0
        self._known = dict[tuple[str, ...], tuple[int, bytes, dict[str, str]]]()
        self._written = dict[str, timedelta]()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self.url = asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(30)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _start(self) -> str:
        self._session = ClientSession(connector=TCPConnector(limit=0), auto_decompress=False)
        application = web.Application(client_max_size=2**30)
        application.router.add_route("*", "/{key:.*}", self._answer)
        self._runner = web.AppRunner(application, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        return f"http://{host}:{port}"

    async def _stop(self) -> None:
        await self._runner.cleanup()
        await self._session.close()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.requests[request.method] += 1
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            await asyncio.sleep(self.seconds_away)
            return await self._handed_on(request)
        finally:
            self._at_once -= 1

    async def _handed_on(self, request: web.Request) -> web.StreamResponse:
        question = (request.method, request.raw_path, request.headers.get("Range", ""))
        if question in self._known:
            status, body, headers = self._known[question]
            return web.Response(status=status, body=body, headers=headers)
        conditional = request.method == "PUT" and not _CONDITIONS.isdisjoint(name.lower() for name in request.headers)
        if conditional and self.conditions == "refused":
            return web.Response(status=501, text="<Error><Code>NotImplemented</Code></Error>")
        if request.method == "DELETE" and self.deletions == "refused":
            return web.Response(status=403, text="<Error><Code>AccessDenied</Code></Error>")
        ignored = (conditional and self.conditions == "ignored") or (
            request.method == "DELETE" and self.deletions == "ignored"
        )
        left_out = _CONDITIONS if ignored else set[str]()
        headers = {name: value for name, value in request.headers.items() if name.lower() not in left_out}
        target = f"{self.store}{request.raw_path}"
        sent = await request.read()
        async with self._session.request(
            request.method, URL(target, encoded=True), headers=headers, data=sent
        ) as answer:
            body = await answer.read()
            if request.method == "PUT" and answer.ok:
                self._written[request.path], self.last_write = self.ahead, elapsed()
                if self.lose:
                    self.lose -= 1
                    return web.Response(status=self.lost_status, text="<Error><Code>Lost</Code></Error>")
            told = self._by_its_own_clock(request.path, answer.headers)
            if request.method == "HEAD":
                told["Content-Length"] = answer.headers.get("Content-Length", "0")
            if self.remembers and request.method in ("GET", "HEAD") and answer.ok:
                self._known[question] = answer.status, body, told
            if self.cut and request.method == "GET" and answer.ok:
                self.cut -= 1
                return await _half(request, body, told)
            return web.Response(status=answer.status, body=body, headers=told)

    def _by_its_own_clock(self, path: str, headers: Mapping[str, str]) -> dict[str, str]:
        told = {name: value for name, value in headers.items() if name.lower() not in _OF_THE_WIRE}
        if "Date" in headers:
            told["Date"] = _later(headers["Date"], self.ahead)
        if "Last-Modified" in headers:
            told["Last-Modified"] = _later(headers["Last-Modified"], self._written.get(path, timedelta()))
        return told


async def _half(request: web.Request, body: bytes, headers: Mapping[str, str]) -> web.StreamResponse:
    answer = web.StreamResponse(headers=headers)
    answer.content_length = len(body)
    await answer.prepare(request)
    await answer.write(body[: len(body) // 2])
    assert request.transport is not None
    request.transport.close()
    return answer


def _later(date: str, by: timedelta) -> str:
    return format_datetime(parsedate_to_datetime(date) + by, usegmt=True)


if __name__ == "__main__":
    with Front(sys.argv[1], seconds_away=float(sys.argv[2]) / 1000) as front:
        front.remembers = True
        print(front.url, flush=True)
        sys.stdin.read()
