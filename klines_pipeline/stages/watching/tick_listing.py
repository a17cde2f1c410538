"""Looking at what is published within the seconds of one tick, and counting what it took."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

from klines_pipeline.domain.interval import Interval
from klines_pipeline.exchanges.protocols import Listed, Market


@dataclass(slots=True)
class TickListing:
    """All listing requests of one tick: none is begun after `seconds`; the last may take some seconds more."""

    market: Market
    interval: Interval
    seconds: float
    requests: int = 0
    began: float = field(default_factory=time.monotonic)

    @property
    def archives_exist(self) -> bool:
        """Whether the market publishes any: archives without keys are none."""
        return bool(self.market.archive.key("", self.interval, date.min))

    @property
    def sent(self) -> int:
        """Requests to the market so far, by whoever asked."""
        return self.market.archive.requests + self.market.api.requests

    def at(self, symbols: Sequence[str], first: date, last: date) -> Listed:
        """What is listed for these symbols and days."""
        left = max(self.seconds - (time.monotonic() - self.began), 0.0)
        listed = self.market.archive.listed(symbols, self.interval, first, last, seconds=left)
        self.requests += listed.requests
        return listed
