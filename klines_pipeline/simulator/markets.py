"""The table of markets: what differs between spot and its sisters, one row each.

To add a market: one row (and its symbols). Handlers read the row; they never ask which market they serve.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta


@dataclass(frozen=True, slots=True)
class MarketRules:
    """How one market's archives and REST interface are laid out and limited."""

    name: str
    archive_prefix: str
    """Prefix of its keys in the bucket."""
    rest_prefix: str
    retired_prefixes: tuple[str, ...]
    weights: Mapping[str, int]
    """Request weight per endpoint, the endpoint as written after the prefix."""
    weight_limit: int
    weight_headers: tuple[str, ...]
    default_rows: int
    most_rows: int
    """Larger limits are silently capped here."""
    microseconds_since: date
    """First data day whose archives count µs instead of ms."""
    published_after: timedelta
    published_before: timedelta
    """Daily archives appear between these two offsets from the end of their day, mostly early."""

    @property
    def daily_klines(self) -> str:
        """Prefix of the daily kline archives."""
        return f"{self.archive_prefix}daily/klines/"


SPOT = MarketRules(
    name="spot",
    archive_prefix="data/spot/",
    rest_prefix="/api/v3/",
    retired_prefixes=("/api/v1/",),
    weights={"ping": 1, "time": 1, "exchangeInfo": 20, "klines": 2},
    weight_limit=6000,
    weight_headers=("X-MBX-USED-WEIGHT", "X-MBX-USED-WEIGHT-1M"),
    default_rows=500,
    most_rows=1000,
    microseconds_since=date(2025, 1, 1),
    published_after=timedelta(hours=2, minutes=10),
    published_before=timedelta(hours=4, minutes=30),
)

MARKETS = (SPOT,)
