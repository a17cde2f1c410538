"""What is wrong with these markets on purpose: halts, outages, archive gaps, archives that were never published.

Tests compare certificates with these tables. `market` obeys halts and outages, the archives the rest; REST has what
they lack.
"""

from collections.abc import Mapping
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
class Outage:
    """[start, end) in which no futures trade; they have flat klines then, never absent ones. UTC."""

    start: datetime
    end: datetime


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

FUTURES_OUTAGES: tuple[Outage, ...] = (
    Outage(utc(2021, 3, 2, 7, 1), utc(2021, 3, 2, 8)),
    Outage(utc(2023, 11, 14, 6, 12), utc(2023, 11, 14, 6, 15)),
    Outage(utc(2024, 10, 28, 20), utc(2024, 10, 28, 21, 14)),
    Outage(utc(2025, 3, 2, 10, 17), utc(2025, 3, 2, 11, 5)),
)
"""Lengths and days of the first three are those of BTCUSDT, their hours partly invented; the last is invented."""

FUTURES_ARCHIVE_GAPS: Mapping[str, tuple[ArchiveGap, ...]] = {
    "um": (ArchiveGap("ETHUSDT", date(2025, 3, 2), utc(2025, 3, 2, 14), utc(2025, 3, 2, 14, 30)),),
    "cm": (ArchiveGap("ETHUSD_PERP", date(2025, 3, 1), utc(2025, 3, 1, 21, 15), utc(2025, 3, 2)),),
}

FUNDING_GAPS: Mapping[str, frozenset[tuple[str, datetime]]] = {
    "um": frozenset({("SOLUSDT", utc(2025, 2, 12, 12))}),
    "cm": frozenset(),
}
"""Settlements, by symbol and hour, that the month's archive lacks although REST has them."""

NEVER_PUBLISHED: Mapping[str, frozenset[tuple[str, date]]] = {
    "spot": frozenset({("XRPUSDT", date(2025, 3, 1))}),
    "um": frozenset(),
    "cm": frozenset(),
}
"""Symbol-days by market whose archives (every interval) do not exist although REST has the klines."""

_RARE_GAP_SHARE = 0.003
_RARE_GAP_YEARS = range(2018, 2025)


def archive_gaps(seed: int, symbol: str, day: date, *, market: str = "spot") -> tuple[ArchiveGap, ...]:
    """Every gap in the archives of a symbol-day: the listed ones, and on spot 0.3 % chosen by hash in 2018..2024.

    BTCUSDT and all of 2024-03 are clean, so that benchmarks have a span without top-ups.
    """
    if market != "spot":
        return tuple(gap for gap in FUTURES_ARCHIVE_GAPS[market] if (gap.symbol, gap.day) == (symbol, day))
    listed = tuple(gap for gap in ARCHIVE_GAPS if (gap.symbol, gap.day) == (symbol, day))
    clean = symbol == "BTCUSDT" or day.year not in _RARE_GAP_YEARS or (day.year, day.month) == (2024, 3)
    if clean or uniform(seed, "archive gap", symbol, day) >= _RARE_GAP_SHARE:
        return listed
    minute = int(1440 * uniform(seed, "gap start", symbol, day))
    start = day_start(day) + timedelta(minutes=minute)
    length = timedelta(minutes=1 + int(600 * uniform(seed, "gap length", symbol, day)))
    return (*listed, ArchiveGap(symbol, day, start, min(start + length, day_end(day))))


def halts_of(day: date, halts: tuple[Halt, ...] = HALTS) -> tuple[Halt, ...]:
    """Halts that touch a UTC day."""
    return tuple(halt for halt in halts if halt.quiet < day_end(day) and day_start(day) < halt.resume)


def outages_of(day: date, outages: tuple[Outage, ...]) -> tuple[Outage, ...]:
    """Outages that touch a UTC day."""
    return tuple(outage for outage in outages if outage.start < day_end(day) and day_start(day) < outage.end)
