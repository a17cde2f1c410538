"""Examine days of funding as they lie in the lake."""

from collections.abc import Sequence
from datetime import date

from klines_pipeline.domain.errors import ConfigurationError
from klines_pipeline.funding.schema import CERTIFICATE_SCHEMA, FUNDING_SCHEMA
from klines_pipeline.klines.findings import Finding, Looked
from klines_pipeline.klines.ledgers import ARCHIVE_SCHEMA
from klines_pipeline.klines.truths import DayTables
from klines_pipeline.stages.checking.examine import look
from klines_pipeline.stages.funding.dataset import FundingDataset
from klines_pipeline.stages.funding.rules import FUNDING_RULES
from klines_pipeline.stages.funding.state import paths_of, stored_days
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.tables import read_table


def examine_funding(lake: Lake, dataset: FundingDataset, days: Sequence[date]) -> list[Finding]:
    """A finding per rule."""
    looked = Looked()
    findings = {name: Finding(name, looked) for name in FUNDING_RULES}
    for day in days:
        paths = paths_of(dataset, day)
        tables = DayTables(
            day,
            klines=read_table(lake, paths.funding, FUNDING_SCHEMA),
            archives=read_table(lake, paths.archives, ARCHIVE_SCHEMA),
            certificates=read_table(lake, paths.certificates, CERTIFICATE_SCHEMA),
        )
        look(looked, tables)
        for name, rule in FUNDING_RULES.items():
            for symbol, count in rule.breaches(tables).iter_rows():
                findings[name].add(day, symbol, count)
    return list(findings.values())


def latest_funding_days(lake: Lake, dataset: FundingDataset, count: int) -> list[date]:
    """The last days the table has; ConfigurationError where it has none."""
    days = stored_days(lake, dataset)
    if not days:
        raise ConfigurationError(f"{dataset} has no day in the lake yet. Materialize one first.")
    return days[-count:]
