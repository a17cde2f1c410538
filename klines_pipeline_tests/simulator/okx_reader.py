"""OKX of the embedded exchange as a client sees it: answers in their envelope, and the control of its switches."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Self

import httpx

from klines_pipeline.simulator.server import EmbeddedExchange

MINUTE = 60_000
"""ms."""
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def ms(text: str) -> int:
    """An ISO instant, UTC, in ms."""
    return int(datetime.fromisoformat(f"{text}+00:00").timestamp() * 1000)


class OkxReader:
    """A keep-alive client."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client

    @classmethod
    @contextmanager
    def of(cls, exchange: EmbeddedExchange) -> Iterator[Self]:
        """A reader of an exchange; its switches are as at the start before and after."""
        with httpx.Client(base_url=exchange.url, timeout=30) as client:
            before = client.get("/control/okx").json()
            yield cls(client)
            client.post("/control/okx", json=before)

    def unlimited(self) -> Self:
        """Without rate limits."""
        self.switch(window_seconds=1e-9)
        return self

    def switch(self, **settings: Any) -> dict[str, Any]:
        """Change settings; the answer holds all of them."""
        answer = self.client.post("/control/okx", json=settings)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def get(self, path: str, **query: Any) -> httpx.Response:
        """Whatever comes."""
        return self.client.get(f"/api/v5/{path}", params=query)

    def data(self, path: str, **query: Any) -> list[Any]:
        """The data of a success."""
        answer = self.get(path, **query)
        assert (answer.status_code, answer.json()["code"], answer.json()["msg"]) == (200, "0", ""), answer.text
        return answer.json()["data"]

    def refusal(self, path: str, **query: Any) -> tuple[int, str]:
        """HTTP status and code of a refusal, which has the envelope and no data."""
        answer = self.get(path, **query)
        envelope = answer.json()
        assert set(envelope) == {"code", "msg", "data"}
        assert envelope["msg"]
        assert envelope["data"] == []
        return answer.status_code, envelope["code"]

    def recent(self, instrument: str, **query: Any) -> list[list[str]]:
        """Candles."""
        return self.data("market/candles", instId=instrument, **query)

    def history(self, instrument: str, **query: Any) -> list[list[str]]:
        """History-candles."""
        return self.data("market/history-candles", instId=instrument, **query)

    def whole(self, instrument: str, start: int, end: int, **query: Any) -> list[list[str]]:
        """[start, end) in ms, page by page, ascending."""
        rows: list[list[str]] = []
        bound = end
        while page := self.history(instrument, after=bound, before=start - 1, limit=300, **query):
            rows += page
            bound = int(page[-1][0])
        return rows[::-1]
