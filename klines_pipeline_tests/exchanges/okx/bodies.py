"""Bodies as OKX writes them: the envelope, and candles of a slow market, newest first."""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from klines_pipeline.domain.utc_day import to_milliseconds
from klines_pipeline_tests.exchanges.script import Answer

START = datetime(2025, 3, 1, tzinfo=UTC)


def envelope(data: Sequence[object] = (), *, code: str = "0", message: str = "", status: int = 200) -> Answer:
    """One answer."""
    return Answer(status, json.dumps({"code": code, "msg": message, "data": list(data)}).encode())


def candle(open_time: datetime, *, confirm: str = "1") -> list[str]:
    """Prices that say which minute it is; 300 contracts, 3 of base, 6 of quote."""
    price = f"{60_000 + (open_time - START) // timedelta(minutes=1)}.5"
    return [str(to_milliseconds(open_time)), price, price, price, price, "300", "3", "6", confirm]


def minutes(first: int, last: int) -> list[datetime]:
    """Open times from minute `first` after START to before minute `last`."""
    return [START + timedelta(minutes=minute) for minute in range(first, last)]


def candles(open_times: Iterable[datetime]) -> Answer:
    """Closed candles, newest first."""
    return envelope([candle(time) for time in sorted(open_times, reverse=True)])


def server_time(now: datetime) -> Answer:
    """The answer of public/time."""
    return envelope([{"ts": str(to_milliseconds(now))}])
