"""Every path of the lake, relative to its root. Nobody else builds one; no I/O.

Folders are Hive style, lower-case keys, ISO dates. The mirror keeps the exchange's own keys.
"""

from dataclasses import dataclass
from datetime import date
from pathlib import PurePosixPath
from typing import Protocol

from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.errors import ConfigurationError
from klines_pipeline.domain.interval import AnyInterval
from klines_pipeline.domain.utc_day import parse_day

PART = "part.parquet"
MIRROR = "vision"
"""Folder of the mirror."""
INCOMING = f"{MIRROR}/.incoming"
_SHORT_DIGEST = 12


def mirror(key: str) -> str:
    """An archive, byte for byte, under the exchange's own key."""
    return f"{MIRROR}/{_safe(key)}"


def mirror_checksum(key: str) -> str:
    """The checksum beside an archive."""
    return f"{mirror(key)}.CHECKSUM"


def replaced(key: str, sha256: str) -> str:
    """What a rewritten key held before."""
    return f"vision/revisions/{_safe(key)}@{sha256[:_SHORT_DIGEST]}"


def quarantined(key: str, sha256: str) -> str:
    """An archive whose checksum is absent or differs: kept, not part of the mirror."""
    return f"vision/quarantine/{_safe(key)}@{sha256[:_SHORT_DIGEST]}"


def _safe(key: str) -> str:
    """Keys come from parsed names, never from a listing; still, none may climb out of the lake."""
    if (
        key in ("", ".")
        or key != str(PurePosixPath(key))
        or key.startswith("/")
        or ".." in PurePosixPath(key).parts
        or "\0" in key
    ):
        raise ConfigurationError(f"{key!r} would lie outside of the lake.")
    return key


@dataclass(frozen=True, slots=True)
class DayPaths:
    """The files of one dataset and day."""

    exchange: str
    market: str
    interval: str
    day: date

    @classmethod
    def of(cls, dataset: Dataset, day: date) -> "DayPaths":
        """Paths for a dataset's day."""
        return cls(dataset.exchange, dataset.market, str(dataset.interval), day)

    def _part(self, table: str) -> str:
        return day_file(table, self.exchange, self.market, self.interval, self.day)

    @property
    def identity(self) -> dict[str, str]:
        """What the folders say, for a file that is taken out of them."""
        return {
            "exchange": self.exchange,
            "market": self.market,
            "interval": self.interval,
            "date": self.day.isoformat(),
        }

    @property
    def klines(self) -> str:
        """The table."""
        return self._part("klines")

    def resampled(self, interval: AnyInterval) -> str:
        """Coarser klines computed from the table, in the file of the day on which they open."""
        return DayPaths(self.exchange, self.market, str(interval), self.day)._part("resampled_klines")

    @property
    def rest_klines(self) -> str:
        """Rows as REST gave them."""
        return self._part("rest_klines")

    @property
    def superseded(self) -> str:
        """Ledger of rows as REST gave them once and no longer does."""
        return self._part("ledger/superseded")

    @property
    def archives(self) -> str:
        """Ledger, one row a symbol."""
        return self._part("ledger/archives")

    @property
    def slices(self) -> str:
        """Ledger, one row a REST slice."""
        return self._part("ledger/slices")

    @property
    def certificates(self) -> str:
        """Ledger, one row a symbol."""
        return self._part("ledger/certificates")

    @property
    def revisions(self) -> str:
        """Ledger, one row a version of an archive."""
        return self._part("ledger/revisions")

    @property
    def quarantine(self) -> str:
        """Ledger, one row a version of an archive that was not verified when it was seen."""
        return self._part("ledger/quarantine")

    @property
    def merges(self) -> str:
        """Ledger, one row each time another version of a symbol's archive came into the table."""
        return self._part("ledger/merges")

    @property
    def losses(self) -> str:
        """Ledger of what was lost of the other ledgers and cannot be told again."""
        return self._part("ledger/losses")

    @property
    def rejected(self) -> str:
        """Rows that could not be klines of the day."""
        return self._part("ledger/rejected")

    @property
    def conflicts(self) -> str:
        """Rows on which archive and REST disagree."""
        return self._part("ledger/conflicts")

    @property
    def lock(self) -> str:
        """Held by whoever writes this day."""
        return f".locks/{self.exchange}-{self.market}-{self.interval}-{self.day}.lock"


@dataclass(frozen=True, slots=True)
class SymbolsPaths:
    """The life table of one market."""

    exchange: str
    market: str

    @property
    def identity(self) -> dict[str, str]:
        """What the folders say, for a file that is taken out of them."""
        return {"exchange": self.exchange, "market": self.market}

    @property
    def symbols(self) -> str:
        """One row a symbol."""
        return f"ledger/symbols/exchange={self.exchange}/market={self.market}/{PART}"

    @property
    def lock(self) -> str:
        """Held by whoever writes the table."""
        return f".locks/{self.exchange}-{self.market}-symbols.lock"


CONDITIONS = ".locks/conditional-writes"
"""An object store is asked with it whether it keeps conditions."""
DELETIONS = ".locks/conditional-deletions"
"""The same, on deletions."""


class Lockable(Protocol):
    """What one run at a time may write."""

    @property
    def lock(self) -> str:
        """Path of the lock file."""


def table_folder(table: str, exchange: str, market: str, interval: str) -> str:
    """The folder that holds a table's day folders."""
    return f"{table}/exchange={exchange}/market={market}/interval={interval}"


def day_file(table: str, exchange: str, market: str, interval: str, day: date) -> str:
    """The file of one day of any table."""
    return f"{table_folder(table, exchange, market, interval)}/date={day}/{PART}"


DAY_OF_FILE = r"date=([0-9-]{10})/[^/]+$"
"""A pattern whose group is the day of a `day_file`, wherever the lake lies."""


def day_of(path: str) -> date | None:
    """The day of a `date=YYYY-MM-DD` folder; None for any other name."""
    name, _, value = path.rstrip("/").rpartition("/")[2].partition("=")
    if name != "date":
        return None
    try:
        return parse_day(value)
    except ConfigurationError:
        return None
