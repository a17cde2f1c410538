"""The keys of a market's daily kline archives, by arithmetic: any place in their byte order is found without a list.

Whether a key is published is `publication`'s affair, what lies behind it `bucket`'s.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import partial

from klines_pipeline.domain.interval import DAILY_INTERVALS
from klines_pipeline.simulator.listings import Listing

CHECKSUM = ".CHECKSUM"
_DATE_LENGTH = len("YYYY-MM-DD")


@dataclass(frozen=True, slots=True)
class ArchiveKey:
    """One daily kline archive."""

    prefix: str
    symbol: str
    interval: str
    day: date

    @property
    def name(self) -> str:
        """File name of the zip."""
        return f"{self.symbol}-{self.interval}-{self.day.isoformat()}.zip"

    @property
    def key(self) -> str:
        """Key of the zip in the bucket."""
        return f"{self.prefix}{self.symbol}/{self.interval}/{self.name}"


def parse_archive_key(prefix: str, key: str) -> ArchiveKey | None:
    """Read the key of a daily zip under the prefix (no `.CHECKSUM`); None for anything else."""
    parts = key.removeprefix(prefix).split("/")
    if not key.startswith(prefix) or len(parts) != 3 or not key.endswith(".zip"):
        return None
    symbol, interval, name = parts
    try:
        day = date.fromisoformat(name.removesuffix(".zip")[-_DATE_LENGTH:])
    except ValueError:
        return None
    found = ArchiveKey(prefix, symbol, interval, day)
    return found if found.key == key and interval in DAILY_INTERVALS else None


class KeySpace:
    """Zip keys of every symbol, interval and listed day, ascending by their UTF-8 bytes."""

    def __init__(
        self, prefix: str, listings: Mapping[str, Listing], intervals: tuple[str, ...] = DAILY_INTERVALS
    ) -> None:
        self._prefix = prefix
        self._listings = listings
        folders = [
            (f"{prefix}{symbol}/{interval}/".encode(), symbol, interval)
            for symbol in listings
            for interval in intervals
        ]
        self._folders = sorted(folders)

    def archives_from(self, bound: bytes, until: date) -> Iterator[ArchiveKey]:
        """Archives up to the day `until` whose own or whose checksum's key is at or after `bound`."""
        start = max(bisect_left(self._folders, (bound + b"\0",)) - 1, 0)
        for place in range(start, len(self._folders)):
            _, symbol, interval = self._folders[place]
            for days in self._day_ranges(symbol, until):
                first = bisect_left(days, bound, key=partial(self._last_key, symbol, interval))
                for ordinal in days[first:]:
                    yield ArchiveKey(self._prefix, symbol, interval, date.fromordinal(ordinal))

    def _last_key(self, symbol: str, interval: str, ordinal: int) -> bytes:
        return (ArchiveKey(self._prefix, symbol, interval, date.fromordinal(ordinal)).key + CHECKSUM).encode()

    def _day_ranges(self, symbol: str, until: date) -> Iterator[range]:
        listing = self._listings[symbol]
        since = (listing.contract.archived_from if listing.contract else None) or date.min
        for life in listing.lives:
            last = min(until, life.last_day or until)
            yield range(max(life.first_day, since).toordinal(), last.toordinal() + 1)
