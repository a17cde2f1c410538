"""The embedded exchange as an object: starts and stops the HTTP server in a thread, and steers it in-process.

What its answers mean is elsewhere: `application` routes, `venue` holds the state.
"""

import asyncio
import logging
import shutil
import tempfile
import threading
from datetime import date, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from klines_pipeline.simulator.application import build_application
from klines_pipeline.simulator.bucket_listing import BUCKET
from klines_pipeline.simulator.funding import Funding
from klines_pipeline.simulator.market import Market
from klines_pipeline.simulator.revisions import Revision
from klines_pipeline.simulator.stored import ObjectFacts
from klines_pipeline.simulator.truths import ArchiveGap, archive_gaps
from klines_pipeline.simulator.venue import ChecksumChoice, Venue
from klines_pipeline.simulator.workers import Workers

log = logging.getLogger(__name__)
log.addFilter(lambda record: not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError)))

_START_TIMEOUT = 20.0
_LONGEST_LINE = 64 * 1024
"""Bytes of a request line: `symbols` of exchangeInfo may name hundreds."""
_GRACE = 0.1
"""Seconds that requests under way get when the server stops."""


class EmbeddedExchange:
    """A make-believe Binance on a loopback port, the same for the same seed. A context manager.

    `now` (UTC, aware) is where its clock starts, `rate` how many simulated seconds pass per second, `root` a folder of
    real archives laid over the synthetic ones. `extra_symbols` adds X0001USDT, ... to spot and USD-M,
    `leveraged_tokens` BTCUPUSDT and BTCDOWNUSDT to spot.
    """

    def __init__(
        self,
        *,
        seed: int = 7,
        now: datetime | None = None,
        rate: float = 1.0,
        root: Path | None = None,
        extra_symbols: int = 0,
        leveraged_tokens: bool = False,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self._venue = Venue(
            seed=seed,
            now=now,
            rate=rate,
            root=root,
            extra_symbols=extra_symbols,
            leveraged_tokens=leveraged_tokens,
        )
        self._address = (host, port)
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._halt: asyncio.Event | None = None
        self._failures: list[BaseException] = []
        self.url = ""
        self._state = Path(tempfile.gettempdir(), f"klines_pipeline-exchange-{uuid4().hex}")

    def start(self) -> Self:
        """Serve, in a thread of its own; `url` is set on return."""
        if self._thread is not None:
            raise RuntimeError("the embedded exchange is already running. Stop it before starting it again.")
        ready = threading.Event()
        self._failures.clear()
        self._thread = threading.Thread(target=self._serve, args=(ready,), name="embedded-exchange", daemon=True)
        self._thread.start()
        if not ready.wait(_START_TIMEOUT):
            raise TimeoutError(f"the embedded exchange did not start within {_START_TIMEOUT} s. Try another port.")
        if self._failures:
            self._thread.join()
            self._thread = None
            raise self._failures.pop()
        return self

    def stop(self) -> None:
        """Close every connection and end the thread; harmless when not running."""
        thread, self._thread = self._thread, None
        if thread is None or self._loop is None or self._halt is None:
            return
        self._loop.call_soon_threadsafe(self._halt.set)
        thread.join()
        shutil.rmtree(self._state, ignore_errors=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def environment(self) -> dict[str, str]:
        """The environment variables that point the pipeline at this exchange.

        What is remembered of its bans has a folder of its own: the next exchange on this port is another one.
        """
        services = ("BINANCE_SPOT", "BINANCE_UM", "BINANCE_CM", "OKX", "VISION_DOWNLOAD")
        same = {f"KLINES_{name}_URL": self.url for name in services}
        return {"KLINES_VISION_LIST_URL": f"{self.url}/{BUCKET}", **same, "KLINES_STATE": str(self._state)}

    @property
    def market(self) -> Market:
        """The truth behind spot's answers: klines, halts, listings."""
        return self.market_of("spot")

    def market_of(self, name: str) -> Market:
        """The truth behind a market's answers: `spot`, `um` or `cm`."""
        return self._venue.market(name).truth

    def funding_of(self, name: str) -> Funding:
        """The settlements behind a market's answers: `um` or `cm`."""
        return self._venue.market(name).funding

    def archive_gaps(self, symbol: str, day: date, *, market: str = "spot") -> tuple[ArchiveGap, ...]:
        """What the synthetic archives of a symbol-day lack although REST has it."""
        return archive_gaps(self.market_of(market).seed, symbol, day, market=market)

    def publication_time(self, symbol: str, day: date, *, market: str = "spot") -> datetime:
        """When a symbol-day's archives appear, UTC; the year 9999 if never."""
        return self._venue.market(market).klines.publication.at(symbol, day)

    def add_fault(self, **fault: Any) -> None:
        """Switch a fault on; the fields are those of `faults.Fault`."""
        self._venue.faults.add(**fault)

    def clear_faults(self) -> None:
        """Switch all faults off."""
        self._venue.faults.clear()

    def now(self) -> datetime:
        """The simulated instant, UTC."""
        return self._venue.clock.now()

    def set_clock(self, now: datetime | None = None, rate: float | None = None) -> None:
        """Jump to an instant (UTC, aware), change the pace, or both."""
        self._venue.clock.set(now, rate)

    def set_limits(
        self,
        *,
        weight_limit: int | None = None,
        window_seconds: float | None = None,
        ban_seconds: float | None = None,
        market: str = "spot",
        funding: bool = False,
    ) -> None:
        """Change a market's REST limits, or those of its funding requests; counters and bans are forgotten."""
        limit = self._venue.limit(market, funding=funding)
        limit.configure(weight_limit=weight_limit, window_seconds=window_seconds, ban_seconds=ban_seconds)

    def revise(self, key: str, *, with_checksum: bool = True) -> Revision:
        """Rewrite a published archive in place; REST agrees with the new rows."""
        return self._venue.revise(key, with_checksum=with_checksum)

    def put_object(self, key: str, body: bytes, *, checksum: ChecksumChoice = "fresh") -> ObjectFacts:
        """Place any bytes at a key; its `.CHECKSUM` is made `fresh`, removed (`none`) or left (`stale`)."""
        return self._venue.put_object(key, body, checksum=checksum)

    def remove_object(self, key: str) -> None:
        """Make a key missing."""
        self._venue.remove_object(key)

    def hold_publication(self, symbol: str, day: date, *, until: datetime | None, market: str = "spot") -> None:
        """Let a symbol-day's kline archives appear at `until` (UTC), or never."""
        self._venue.hold_publication(symbol, day, until=until, market=market)

    def delist(self, symbol: str, at: datetime, *, market: str = "spot") -> None:
        """End a symbol's listing at an instant (UTC), best one that lies ahead."""
        self.market_of(market).delist(symbol, at)

    def requests(self) -> dict[str, Any]:
        """What was asked since the start or the last reset; control requests not counted."""
        return self._venue.tally.counts()

    def reset_requests(self) -> None:
        """Count from zero."""
        self._venue.tally.reset()

    def _serve(self, ready: threading.Event) -> None:
        try:
            asyncio.run(self._run(ready))
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits in start()
            self._failures.append(error)
        finally:
            ready.set()

    async def _run(self, ready: threading.Event) -> None:
        self._loop, self._halt = asyncio.get_running_loop(), asyncio.Event()
        self._venue.bucket.stopping.clear()
        workers = Workers()
        application = build_application(self._venue, workers)
        runner = web.AppRunner(
            application,
            access_log=None,
            logger=log,
            shutdown_timeout=_GRACE,
            auto_decompress=False,
            max_line_size=_LONGEST_LINE,
            max_field_size=_LONGEST_LINE,
        )
        await runner.setup()
        try:
            host, port = self._address
            await web.TCPSite(runner, host, port, backlog=512).start()
            self.url = f"http://{host}:{runner.addresses[0][1]}"
            ready.set()
            await self._halt.wait()
        finally:
            self._venue.bucket.stopping.set()
            workers.close()
            await runner.cleanup()
