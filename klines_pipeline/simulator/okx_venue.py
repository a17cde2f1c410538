"""The make-believe OKX behind its HTTP answers: clock, market, limits, and the switches between deployments."""

from collections.abc import Mapping
from typing import Any

from klines_pipeline.simulator.clock import SimulatedClock
from klines_pipeline.simulator.okx_limits import OkxLimits
from klines_pipeline.simulator.okx_market import OkxMarket

MOST_ROWS = 300
"""Candles in one answer today; older deployments gave 100."""


class OkxVenue:
    """Everything an answer of OKX may ask.

    `most_rows` caps `limit` of candles. `delisted_answer` says whether the candles of a delisted instrument stay
    available, which is not on record for the real service.
    """

    def __init__(
        self, *, clock: SimulatedClock, seed: int, most_rows: int = MOST_ROWS, delisted_answer: bool = True
    ) -> None:
        self.clock = clock
        self.market = OkxMarket(seed=seed)
        self.limits = OkxLimits(clock)
        self.most_rows = most_rows
        self.delisted_answer = delisted_answer

    def configure(
        self,
        *,
        most_rows: int | None = None,
        delisted_answer: bool | None = None,
        requests: Mapping[str, int] | None = None,
        window_seconds: float | None = None,
    ) -> None:
        """Change what is given; `requests` are per endpoint and window. Requests counted so far are forgotten."""
        if most_rows is not None and not 1 <= most_rows <= MOST_ROWS:
            raise ValueError(f"most_rows is {most_rows}. Use 1 to {MOST_ROWS}.")
        window = self.limits.window_seconds if window_seconds is None else window_seconds
        self.limits.configure(requests=requests or {}, window_seconds=window)
        self.most_rows = most_rows or self.most_rows
        self.delisted_answer = self.delisted_answer if delisted_answer is None else delisted_answer

    def settings(self) -> dict[str, Any]:
        """What `configure` may change, as it is."""
        return {
            "most_rows": self.most_rows,
            "delisted_answer": self.delisted_answer,
            "requests": dict(self.limits.requests),
            "window_seconds": self.limits.window_seconds,
        }
