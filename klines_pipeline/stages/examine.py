"""Examine days as they lie in the lake: every quality rule over the published files, not over what was meant to be."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.errors import ConfigurationError
from klines_pipeline.klines.ledgers import ARCHIVE_SCHEMA, CERTIFICATE_SCHEMA
from klines_pipeline.klines.quality import RULES, DayTables, examine
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.layout import DayPaths
from klines_pipeline.storage.tables import read_klines, read_table, stored_days

_NAMED = 20


@dataclass(slots=True)
class Finding:
    """One rule over many days: how often it is broken, and where first."""

    rule: str
    breaches: int = 0
    bad_days: list[str] = field(default_factory=list)
    examples: list[str] = field(default_factory=list)

    def add(self, day: date, symbol: str, count: int) -> None:
        """Note a breach."""
        self.breaches += count
        if str(day) not in self.bad_days:
            self.bad_days.append(str(day))
        if len(self.examples) < _NAMED:
            self.examples.append(f"{day} {symbol}: {count}")


def examine_days(lake: Lake, dataset: Dataset, days: Sequence[date]) -> list[Finding]:
    """A finding per rule."""
    findings = {name: Finding(name) for name in RULES}
    for day in days:
        for name, breaches in examine(_tables(lake, DayPaths.of(dataset, day))).items():
            for symbol, count in breaches.iter_rows():
                findings[name].add(day, symbol, count)
    return list(findings.values())


def _tables(lake: Lake, paths: DayPaths) -> DayTables:
    return DayTables(
        klines=read_klines(lake, paths.klines),
        archives=read_table(lake, paths.archives, ARCHIVE_SCHEMA),
        certificates=read_table(lake, paths.certificates, CERTIFICATE_SCHEMA),
    )


def latest_days(lake: Lake, dataset: Dataset, count: int) -> list[date]:
    """The last days the table has."""
    days = stored_days(lake, "klines", dataset.exchange, dataset.market, str(dataset.interval))
    if not days:
        raise ConfigurationError(f"{dataset} has no day in the lake yet. Materialize one first.")
    return days[-count:]
