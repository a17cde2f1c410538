"""Examine days of funding as they lie in the lake. What must be true of any table's archives and certificates is asked
of funding in the words klines use.
"""

from collections.abc import Sequence
from datetime import date

import polars as pl

from klines_pipeline.domain.errors import ConfigurationError
from klines_pipeline.funding.schema import CERTIFICATE_SCHEMA, FUNDING_SCHEMA
from klines_pipeline.klines.ledgers import ARCHIVE_SCHEMA
from klines_pipeline.klines.quality import (
    DayTables,
    Rule,
    Severity,
    archive_matches_checksum,
    klines_are_complete_or_explained,
)
from klines_pipeline.stages.examine import Finding
from klines_pipeline.stages.funding_dataset import FundingDataset
from klines_pipeline.stages.funding_state import paths_of, stored_days
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.tables import read_table


def _out_of_order(tables: DayTables) -> pl.DataFrame:
    """Rows, by symbol, that do not follow the row before them."""
    symbol, time = pl.col("symbol"), pl.col("funding_time")
    misplaced = (symbol < symbol.shift(1)) | ((symbol == symbol.shift(1)) & (time <= time.shift(1)))
    return tables.klines.filter(misplaced).group_by("symbol").agg(pl.len().alias("breaches")).sort("symbol")


FUNDING_RULES = {
    found.name: found
    for found in (
        Rule(
            "key_is_unique_and_sorted",
            Severity.ERROR,
            "Rows are sorted by (symbol, funding_time) and no key stands twice. Remedy: materialize the day again.",
            _out_of_order,
        ),
        Rule(
            "funding_is_complete_or_explained",
            Severity.WARN,
            "Every expected settlement is there, or its absence is the exchange's own, by evidence. Remedy: "
            "ledger/funding_certificates names the gaps and reasons; materialize the day again once the cause has "
            "passed.",
            klines_are_complete_or_explained,
        ),
        Rule(
            "archive_matches_checksum",
            Severity.WARN,
            "Every published archive was whole and equalled its .CHECKSUM. Remedy: see `state` in "
            "ledger/funding_archives; the archive is fetched again when the exchange rewrites it, and REST fills the "
            "month meanwhile.",
            archive_matches_checksum,
        ),
    )
}
"""The truths of a finished day, by name."""


def examine_funding(lake: Lake, dataset: FundingDataset, days: Sequence[date]) -> list[Finding]:
    """A finding per rule."""
    findings = {name: Finding(name) for name in FUNDING_RULES}
    for day in days:
        paths = paths_of(dataset, day)
        tables = DayTables(
            klines=read_table(lake, paths.funding, FUNDING_SCHEMA),
            archives=read_table(lake, paths.archives, ARCHIVE_SCHEMA),
            certificates=read_table(lake, paths.certificates, CERTIFICATE_SCHEMA),
        )
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
