"""What is wrong with this market on purpose: halts, archive gaps, archives that were never published.

Tests compare certificates with these tables. `market` obeys the halts, `bucket` the rest; REST has every gap's klines.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from klines_pipeline.domain.utc_day import day_end, day_start
from klines_pipeline.simulator.hashing import uniform
from klines_pipeline.simulator.listings import utc


@dataclass(frozen=True, slots=True)
class Halt:
    """The venue stands still, for every symbol. UTC.

    Minutes from `quiet` on have no trades; the kline running at `last` closes there; the next one opens at `resume`.
    """

    quiet: datetime
    last: datetime
    resume: datetime

    @property
    def first_absent_minute(self) -> datetime:
        """Open time of the first 1m kline that does not exist."""
        return self.last.replace(second=0, microsecond=0) + timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class ArchiveGap:
    """[start, end) that the archive of `day` lacks although the exchange traded; REST has it. UTC."""

    symbol: str
    day: date
    start: datetime
    end: datetime


HALTS: tuple[Halt, ...] = (
    Halt(utc(2020, 2, 19, 11, 31), utc(2020, 2, 19, 11, 35) + timedelta(seconds=33), utc(2020, 2, 19, 17, 30)),
    Halt(
        utc(2023, 3, 24, 11, 28),
        utc(2023, 3, 24, 12, 39) + timedelta(seconds=41, milliseconds=646),
        utc(2023, 3, 24, 14),
    ),
    Halt(
        utc(2025, 3, 2, 10, 13),
        utc(2025, 3, 2, 10, 16) + timedelta(seconds=33, microseconds=211_487),
        utc(2025, 3, 2, 11, 5),
    ),
)
"""The first two are Binance's; the third is invented, so that a demo at the default clock meets one."""

ARCHIVE_GAPS: tuple[ArchiveGap, ...] = (
    ArchiveGap("SOLUSDT", date(2025, 3, 1), utc(2025, 3, 1, 18, 50), utc(2025, 3, 2)),
    ArchiveGap("ETHUSDT", date(2025, 3, 2), utc(2025, 3, 2, 4), utc(2025, 3, 2, 4, 20)),
)

NEVER_PUBLISHED: Collection[tuple[str, date]] = frozenset({("XRPUSDT", date(2025, 3, 1))})
"""Symbol-days whose archives (every interval) do not exist although REST has the klines."""

_RARE_GAP_SHARE = 0.003
_RARE_GAP_YEARS = range(2018, 2025)


def archive_gaps(seed: int, symbol: str, day: date) -> tuple[ArchiveGap, ...]:
    """Every gap in the archives of a symbol-day: the listed ones, and 0.3 % chosen by hash in 2018..2024.

    BTCUSDT and all of 2024-03 are clean, so that benchmarks have a span without top-ups.
    """
    listed = tuple(gap for gap in ARCHIVE_GAPS if (gap.symbol, gap.day) == (symbol, day))
    clean = symbol == "BTCUSDT" or day.year not in _RARE_GAP_YEARS or (day.year, day.month) == (2024, 3)
    if clean or uniform(seed, "archive gap", symbol, day) >= _RARE_GAP_SHARE:
        return listed
    minute = int(1440 * uniform(seed, "gap start", symbol, day))
    start = day_start(day) + timedelta(minutes=minute)
    length = timedelta(minutes=1 + int(600 * uniform(seed, "gap length", symbol, day)))
    return (*listed, ArchiveGap(symbol, day, start, min(start + length, day_end(day))))


def halts_of(day: date) -> tuple[Halt, ...]:
    """Halts that touch a UTC day."""
    return tuple(halt for halt in HALTS if halt.quiet < day_end(day) and day_start(day) < halt.resume)
