"""What each stage hands on and reports: frozen values, counts as properties. Metadata is made of them in `defs`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

import polars as pl

from klines_pipeline.domain.phrases import some_of
from klines_pipeline.domain.states import ArchiveState
from klines_pipeline.domain.utc_day import day_end
from klines_pipeline.klines.ledgers import ArchiveEntry, SliceEntry

_NAMED = 5
UNLOOKED = (
    "%s %s: passed over: %s. The bucket was never asked for these; a run that looks for archives takes them in. If "
    "klines.yaml was edited and none comes, reload the code location."
)
"""Said of `unlooked` symbols: the dataset, the day, the symbols."""


@dataclass(frozen=True, slots=True)
class ArchivedDay:
    """The archives of one day. `fetched` holds rows parsed in this run, by wire schema; other rows lie in the lake."""

    day: date
    entries: Mapping[str, ArchiveEntry]
    fetched: pl.DataFrame
    now: datetime
    failed: Mapping[str, str] = field(default_factory=dict)
    downloads: int = 0
    downloaded_bytes: int = 0
    rejected: int = 0
    duplicates: int = 0
    unlooked: tuple[str, ...] = ()
    """Symbols of klines.yaml that a run without the archive step passes over: the bucket was never asked for them."""

    def count(self, *states: ArchiveState) -> int:
        """Symbols in one of the states."""
        return sum(entry.state in states for entry in self.entries.values())

    @property
    def lag_hours(self) -> float | None:
        """Hours from the day's end to its last archive's publication; None while there is none. Rewritten ones tell
        when they were rewritten, and do not count.
        """
        first_versions = (entry for entry in self.entries.values() if entry.revision == 1)
        times = [entry.last_modified for entry in first_versions if entry.last_modified]
        return (max(times) - day_end(self.day)).total_seconds() / 3600 if times else None


@dataclass(frozen=True, slots=True)
class ToppedUpDay:
    """What REST was asked and gave for one day."""

    day: date
    slices: Mapping[str, SliceEntry]
    rows: pl.DataFrame
    now: datetime
    failed: Mapping[str, str] = field(default_factory=dict)
    may_pass: bool = True
    """Whether outages are all that `failed` tells of."""
    blocked: str | None = None
    requests: int = 0
    weight: int = 0
    new_rows: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MergedTable:
    """A day's table and certificates as they now lie in the lake, of klines or of funding."""

    day: date
    certificates: pl.DataFrame
    rows: int
    bytes: int
    path: str
    changed: bool
    problem: str | None = None
    """Why the table is not yet what it should be, although it is there."""

    def total(self, column: str) -> int:
        """Sum of a certificate column over the symbols."""
        return int(self.certificates[column].sum())

    @property
    def completeness_pct(self) -> float:
        """Klines or settlements present, per cent of those expected; 100 where none is expected yet."""
        expected = self.total("expected")
        return 100.0 * self.total("present") / expected if expected else 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MergedDay(MergedTable):
    """Of klines."""

    off_grid: int = 0


@dataclass(frozen=True, slots=True)
class DayResult:
    """One day through the stages that ran. `failures` names, by stage, why the day must be reported failed.

    `may_pass`: whether outages are all they tell of, so that another try soon may succeed.
    """

    day: date
    archived: ArchivedDay | None = None
    topped_up: ToppedUpDay | None = None
    merged: MergedDay | None = None
    seconds: float = 0.0
    """What the day added to the run's time."""
    failures: Mapping[str, str] = field(default_factory=dict)
    may_pass: bool = False

    @property
    def met_outages_only(self) -> bool:
        """Of symbols that could not be had: archives met an outage; REST and the contract sizes tell."""
        asked, merged = self.topped_up, self.merged
        return (asked is None or asked.may_pass) and (merged is None or merged.problem is None)


def named_failures(failed: Mapping[str, str]) -> str | None:
    """`3 symbol(s) failed: A, B, C.` and why A did; None where none did. `failed`: reasons by symbol."""
    if not failed:
        return None
    names = sorted(failed)
    return f"{len(names)} symbol(s) failed: {some_of(names, _NAMED)}. {failed[names[0]]}"
