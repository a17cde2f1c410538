"""Asking the futures REST interfaces the way a client does."""

from datetime import UTC, datetime
from typing import Any

import httpx

PREFIXES = {"um": "/fapi/v1/", "cm": "/dapi/v1/"}
MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def instant(text: str) -> int:
    """ms of a UTC instant such as `2025-03-01T12:00`."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def ask(http: httpx.Client, market: str, endpoint: str, **query: Any) -> httpx.Response:
    """Whatever comes."""
    return http.get(PREFIXES[market] + endpoint, params=query)


def told(http: httpx.Client, market: str, endpoint: str, **query: Any) -> Any:
    """The content of a success."""
    answer = ask(http, market, endpoint, **query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def klines(http: httpx.Client, market: str, symbol: str, interval: str = "1m", **query: Any) -> list[list[Any]]:
    """Rows of klines."""
    return told(http, market, "klines", symbol=symbol, interval=interval, **query)


def klines_of_day(http: httpx.Client, market: str, symbol: str, day: str, interval: str = "1m") -> list[list[str]]:
    """A UTC day, cells as archives write them."""
    start = instant(day)
    rows = klines(http, market, symbol, interval, startTime=start, endTime=start + DAY - 1, limit=1500)
    return [[str(cell) for cell in row] for row in rows]


def code_of(answer: httpx.Response) -> int:
    """The code of a refusal."""
    assert answer.status_code == 400, answer.text
    assert set(answer.json()) == {"code", "msg"}
    return answer.json()["code"]
