"""What the funding stages hand on and report: frozen values. Metadata is made of them in `defs`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

import polars as pl

from klines_pipeline.domain.states import ArchiveState
from klines_pipeline.funding.slices import FundingSlice
from klines_pipeline.klines.ledgers import ArchiveEntry
from klines_pipeline.stages.results import MergedTable


@dataclass(frozen=True, slots=True)
class ArchivedFunding:
    """The archives that cover one day, by symbol; each is of the day's month."""

    day: date
    symbols: tuple[str, ...]
    entries: Mapping[str, ArchiveEntry]
    now: datetime
    failed: Mapping[str, str] = field(default_factory=dict)
    downloads: int = 0
    downloaded_bytes: int = 0
    unlooked: tuple[str, ...] = ()
    """Symbols of klines.yaml that a run without the archive step passes over: the bucket was never asked for them."""

    def count(self, *states: ArchiveState) -> int:
        """Symbols of the day in one of the states."""
        return sum(self.entries[symbol].state in states for symbol in self.symbols)


@dataclass(frozen=True, slots=True)
class ToppedUpFunding:
    """What REST was asked and gave for one day; `requests` are those of the whole run, on its first day."""

    day: date
    slices: Mapping[str, FundingSlice]
    rows: pl.DataFrame
    now: datetime
    failed: Mapping[str, str] = field(default_factory=dict)
    may_pass: bool = True
    """Whether outages are all that `failed` tells of."""
    blocked: str | None = None
    requests: int = 0
    new_rows: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MergedFunding(MergedTable):
    """The day's table and certificates."""

    rejected: int = 0
    """Rows a source had that are not in the table."""


@dataclass(frozen=True, slots=True)
class FundingDay:
    """One day through the stages that ran. `failures` names, by stage, why the day must be reported failed.

    `may_pass`: whether outages are all they tell of, so that another try soon may succeed.
    `damaged` are the symbols left out since their archive in the lake cannot be read, and why.
    `renewed`, on the first day of a month in the run, are other days of it, made anew from a rewritten archive.
    """

    day: date
    archived: ArchivedFunding | None = None
    topped_up: ToppedUpFunding | None = None
    merged: MergedFunding | None = None
    damaged: Mapping[str, str] = field(default_factory=dict)
    failures: Mapping[str, str] = field(default_factory=dict)
    may_pass: bool = False
    renewed: tuple[date, ...] = ()

    @property
    def met_outages_only(self) -> bool:
        """Of symbols that could not be had: archives met an outage, those that cannot be read did not; REST tells."""
        is_wrong = self.merged is not None and self.merged.problem is not None
        return not self.damaged and not is_wrong and (self.topped_up is None or self.topped_up.may_pass)
