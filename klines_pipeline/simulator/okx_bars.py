"""Bars of OKX: which sizes it has, and where on the time line each bar of a size opens.

`1H` to `4H` are the same in every zone; from `6H` on a plain name opens on UTC+8 and the `utc` name on UTC.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from klines_pipeline.domain.utc_day import from_microseconds, to_microseconds

MINUTE = 60_000_000
"""µs."""
HOUR = 60 * MINUTE
_DAY = 24 * HOUR
_HONG_KONG = -8 * HOUR
"""Midnight of UTC+8 before 1970-01-01 UTC."""
_MONDAY = 4 * _DAY
"""1970-01-05, the first Monday."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One size; bars are numbered, and number n opens at `opens(n)`. Times are µs since 1970 UTC."""

    name: str
    step: int
    """µs; 0 for bars that last calendar months."""
    months: int = 0
    anchor: int = 0
    """A moment at which some bar opens; for months, the zone's distance from UTC."""

    @property
    def is_of_hours(self) -> bool:
        """Whether every bar is made of whole hours of UTC."""
        return self.step % HOUR == 0

    def number(self, moment: int) -> int:
        """The bar that a moment lies in."""
        if self.step:
            return (moment - self.anchor) // self.step
        local = from_microseconds(moment - self.anchor)
        return (local.year * 12 + local.month - 1) // self.months

    def opens(self, number: int) -> int:
        """When a bar opens; it ends where the next one opens."""
        if self.step:
            return self.anchor + number * self.step
        year, month = divmod(number * self.months, 12)
        return to_microseconds(datetime(year, month + 1, 1, tzinfo=UTC)) + self.anchor


def _all_bars() -> Iterator[Bar]:
    yield from (Bar(f"{count}m", count * MINUTE) for count in (1, 3, 5, 15, 30))
    yield from (Bar(f"{count}H", count * HOUR) for count in (1, 2, 4))
    for suffix, zone in (("", _HONG_KONG), ("utc", 0)):
        yield from (Bar(f"{count}H{suffix}", count * HOUR, anchor=zone) for count in (6, 12))
        yield from (Bar(f"{count}D{suffix}", count * _DAY, anchor=zone) for count in (1, 2, 3))
        yield Bar(f"1W{suffix}", 7 * _DAY, anchor=zone + _MONDAY)
        yield from (Bar(f"{count}M{suffix}", 0, months=count, anchor=zone) for count in (1, 3))


BARS = {bar.name: bar for bar in _all_bars()}
"""By name. There is no 8H and no lower-case hour; 1s is refused, as deployments of 2025 did."""
