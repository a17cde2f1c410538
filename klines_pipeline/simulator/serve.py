"""The embedded exchange in the foreground, for a shell: prints where it is, serves until interrupted."""

import signal
import threading
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from klines_pipeline.simulator.server import EmbeddedExchange


def serve(
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    seed: int = 7,
    now: datetime | None = None,
    rate: float = 1.0,
    root: Path | None = None,
    extra_symbols: int = 0,
) -> None:
    """Serve until SIGINT or SIGTERM. The first line names the address, the next ones are ready for a shell.

    `now` is UTC, and taken as UTC when it has no zone, as typed on a command line.
    """
    if now is not None and now.tzinfo is None:
        now = now.replace(tzinfo=UTC)
    finished = threading.Event()

    def finish(number: int, frame: FrameType | None) -> None:
        finished.set()

    before = {number: signal.signal(number, finish) for number in (signal.SIGINT, signal.SIGTERM)}
    exchange = EmbeddedExchange(
        seed=seed, now=now, rate=rate, root=root, extra_symbols=extra_symbols, host=host, port=port
    )
    try:
        with exchange:
            print(f"embedded exchange on {exchange.url}", flush=True)
            for name, value in exchange.environment().items():
                print(f"export {name}={value}", flush=True)
            print(f"# faults, clock, revisions, counts: JSON at {exchange.url}/control/...", flush=True)
            finished.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
