"""What runs by itself, and how: the `automation` paragraph of klines.yaml as a value. No Dagster, no clock."""

from dataclasses import dataclass
from datetime import timedelta
from math import ceil

CADENCES = tuple(
    minutes for minutes in range(1, 721) if 60 % minutes == 0 or (minutes % 60 == 0 and 1440 % minutes == 0)
)
"""Minutes that may lie between two ticks: parts of an hour, or hours that part a day."""

_HISTORY_SECONDS = 300
"""What a run of history may take, about: a top-up waits for it at the pool of their REST host."""
_ARCHIVE_SECONDS = 0.02
"""Of a symbol-day of 1m: 6 ms of CPU, and a download of some 60 kB, of which dozens come in a second."""
_MINUTES_OF_DAY = 1440
_PAGE, _PAGES_PER_SECOND = 300, 9
"""What OKX gives, the one exchange without archives: a symbol-day of 1m is five pages."""


def symbol_day_seconds(bars_per_day: int, *, archived: bool) -> float:
    """What a symbol-day of history takes, about: a download and its rows, or pages of REST."""
    if archived:
        return _ARCHIVE_SECONDS * max(bars_per_day / _MINUTES_OF_DAY, 1)
    return ceil(bars_per_day / _PAGE) / _PAGES_PER_SECOND


@dataclass(frozen=True, slots=True)
class Automation:
    """Cadences and patience of sensors and schedules. Times are the exchange's."""

    enabled: bool = True
    """Whether sensors and schedules are on when a daemon first meets them."""
    freshness_minutes: int = 5
    """How often days without archives are topped up from REST; one of `CADENCES`."""
    days_per_run: int = 31
    """Days in one run that sensors and schedules request, at most; a longer stretch becomes several runs."""
    retry_seconds: int = 30
    """Seconds after which a requested run that met an outage tries once more."""
    straggler_share: float = 0.95
    """Share of a day's symbols that must be published before the day may begin without the others."""
    straggler_hours: float = 2.0
    """Hours after the day's first archive before it may begin without the others."""
    revisit_days: int = 35
    """Days before today whose archives are compared, once a day, with the versions in the lake."""
    safety_net_days: int = 30
    """Days before today that are examined, once a day, for failures and gaps."""

    @property
    def cadence(self) -> timedelta:
        """How far a day in progress may lag behind the exchange's clock."""
        return timedelta(minutes=self.freshness_minutes)

    @property
    def freshness_cron(self) -> str:
        """`freshness_minutes` as a cron schedule, UTC."""
        minutes = self.freshness_minutes
        return f"*/{minutes} * * * *" if minutes < 60 else f"0 */{minutes // 60} * * *"

    @property
    def patience(self) -> timedelta:
        """How long stragglers are waited for."""
        return timedelta(hours=self.straggler_hours)

    def days_of_history(self, symbols: int, seconds: float) -> int:
        """Days in one run of history or of repairs, so that it lasts about five minutes; `seconds` is what a symbol-day
        takes. Fewer than `days_per_run` are a power of two: a symbol more hardly ever moves the stretches of history.
        """
        fit = max(int(_HISTORY_SECONDS / (max(symbols, 1) * seconds)), 1)
        return self.days_per_run if fit >= self.days_per_run else 1 << fit.bit_length() - 1
