"""The table of markets: what differs between spot and its sisters, one row each.

To add a market: one row (and its symbols). Handlers read the row; they never ask which market they serve.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from klines_pipeline.domain.interval import DAILY_INTERVALS

Days = tuple[date, date]
"""First and last, both included."""
_FUTURES_INTERVALS = tuple(name for name in DAILY_INTERVALS if name != "1s")
_FUTURES_WEIGHTS = {"ping": 1, "time": 1, "exchangeInfo": 1, "klines": 1, "fundingRate": 0, "fundingInfo": 0}
_FUTURES_WEIGHT_STEPS = ((99, 1), (499, 2), (1000, 5))
_HEAVIEST_PAGE = 10


@dataclass(frozen=True, slots=True)
class MarketRules:
    """How one market's archives and REST interface are laid out and limited."""

    name: str
    archive_prefix: str
    """Prefix of its keys in the bucket."""
    rest_prefix: str
    retired_prefixes: tuple[str, ...]
    weights: Mapping[str, int]
    """Request weight per endpoint, the endpoint as written after the prefix; what is not here does not exist."""
    weight_limit: int
    weight_headers: tuple[str, ...]
    default_rows: int
    most_rows: int
    microseconds_since: date
    """First data day whose archives count µs instead of ms."""
    published_after: timedelta
    published_before: timedelta
    """Daily archives appear between these two offsets from the end of their day, mostly early."""
    intervals: tuple[str, ...] = DAILY_INTERVALS
    weight_steps: tuple[tuple[int, int], ...] = ()
    """Klines: largest `limit` and its weight, ascending; above them 10. Without steps the weight is flat."""
    caps_rows: bool = True
    """Whether a larger limit is silently capped, or refused with -1130."""
    is_futures: bool = False
    numbers: Literal["fixed", "scaled", "contracts"] = "fixed"
    """8 decimals everywhere; the symbol's own scale; or whole contracts and base volume with 8 decimals."""
    header_since: date = date.max
    """First data day whose archives begin with a line of names..."""
    header_islands: tuple[Days, ...] = ()
    """... and earlier days that do."""
    longest_window: timedelta | None = None
    """If set, klines are counted back from the end of a window no longer than this."""
    refusal_of_removed: tuple[int, str] | None = None
    """What klines of a symbol that is gone are refused with; None where they stay."""
    funding_needs_symbol: bool = False

    @property
    def daily_klines(self) -> str:
        """Prefix of the daily kline archives."""
        return f"{self.archive_prefix}daily/klines/"

    @property
    def monthly_funding(self) -> str:
        """Prefix of the monthly funding archives."""
        return f"{self.archive_prefix}monthly/fundingRate/"

    def weight(self, endpoint: str, limit: str | None) -> int:
        """The weight of a request; `limit` as sent."""
        flat = self.weights.get(endpoint, 1)
        if endpoint != "klines" or not self.weight_steps:
            return flat
        rows = int(limit) if limit and limit.isascii() and limit.isdigit() else self.default_rows
        return next((weight for most, weight in self.weight_steps if rows <= most), _HEAVIEST_PAGE)


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

UM = MarketRules(
    name="um",
    archive_prefix="data/futures/um/",
    rest_prefix="/fapi/v1/",
    retired_prefixes=(),
    weights=_FUTURES_WEIGHTS,
    weight_limit=2400,
    weight_headers=("X-MBX-USED-WEIGHT-1M",),
    default_rows=500,
    most_rows=1500,
    microseconds_since=date.max,
    published_after=timedelta(hours=8, minutes=30),
    published_before=timedelta(hours=8, minutes=45),
    intervals=_FUTURES_INTERVALS,
    weight_steps=_FUTURES_WEIGHT_STEPS,
    caps_rows=False,
    is_futures=True,
    numbers="scaled",
    header_since=date(2022, 8, 11),
    header_islands=(
        (date(2020, 9, 15), date(2020, 9, 21)),
        (date(2020, 9, 28), date(2020, 9, 28)),
        (date(2020, 12, 28), date(2021, 1, 1)),
        (date(2021, 7, 9), date(2021, 7, 13)),
        (date(2021, 12, 28), date(2022, 1, 1)),
        (date(2022, 3, 28), date(2022, 4, 3)),
    ),
    refusal_of_removed=(-1122, "Invalid symbol status."),
)

CM = MarketRules(
    name="cm",
    archive_prefix="data/futures/cm/",
    rest_prefix="/dapi/v1/",
    retired_prefixes=(),
    weights=_FUTURES_WEIGHTS,
    weight_limit=2400,
    weight_headers=("X-MBX-USED-WEIGHT-1M",),
    default_rows=500,
    most_rows=1500,
    microseconds_since=date.max,
    published_after=timedelta(hours=8, minutes=40),
    published_before=timedelta(hours=10, minutes=50),
    intervals=_FUTURES_INTERVALS,
    weight_steps=_FUTURES_WEIGHT_STEPS,
    caps_rows=False,
    is_futures=True,
    numbers="contracts",
    header_since=date(2021, 1, 1),
    longest_window=timedelta(days=200),
    refusal_of_removed=(-1121, "Invalid symbol."),
    funding_needs_symbol=True,
)

MARKETS = (SPOT, UM, CM)
