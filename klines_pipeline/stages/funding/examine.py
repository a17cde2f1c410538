"""Examine days of funding as they lie in the lake."""

from collections.abc import Collection, Sequence
from datetime import date

from klines_pipeline.domain.errors import ConfigurationError, DamagedFileError
from klines_pipeline.funding.schema import CERTIFICATE_SCHEMA, FUNDING_SCHEMA
from klines_pipeline.klines.findings import Finding, Looked
from klines_pipeline.klines.ledgers import ARCHIVE_SCHEMA
from klines_pipeline.klines.truths import DayTables
from klines_pipeline.stages.checking.examine import look
from klines_pipeline.stages.funding.dataset import FundingDataset
from klines_pipeline.stages.funding.rules import FUNDING_RULES, table_is_what_was_certified
from klines_pipeline.stages.funding.state import certified_days, paths_of, stored_days
from klines_pipeline.stages.seal import flaw
from klines_pipeline.storage.described import read_described
from klines_pipeline.storage.funding_layout import FundingPaths
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.tables import read_table


def examine_funding(lake: Lake, dataset: FundingDataset, days: Sequence[date]) -> list[Finding]:
    """A finding per rule. A day of which a file cannot be read breaks every rule; one of which a file is gone has not
    the table that was certified."""
    looked = Looked()
    findings = {name: Finding(name, looked) for name in FUNDING_RULES}
    sealed = findings[table_is_what_was_certified.__name__]
    for day in days:
        try:
            tables, wrong = _look(lake, dataset, day)
        except DamagedFileError as error:
            looked.add(day, (), is_empty=False)
            for finding in findings.values():
                finding.tell(day, str(error))
            continue
        look(looked, tables)
        if wrong:
            sealed.tell(day, wrong)
        for name, rule in FUNDING_RULES.items():
            for symbol, count in rule.breaches(tables).iter_rows():
                findings[name].add(day, symbol, count)
    return list(findings.values())


def _look(lake: Lake, dataset: FundingDataset, day: date) -> tuple[DayTables, str | None]:
    """The day's files, and what is wrong with them; what looks like damage is read again while no run publishes it."""
    paths = paths_of(dataset, day)
    try:
        tables, wrong = _read(lake, paths)
    except DamagedFileError:
        wrong = "damaged"
    if wrong or table_is_what_was_certified(tables).height:
        with lake.locked(paths):
            return _read(lake, paths)
    return tables, wrong


def _read(lake: Lake, paths: FundingPaths) -> tuple[DayTables, str | None]:
    certificates, metadata = read_described(lake, paths.certificates, CERTIFICATE_SCHEMA)
    digest = lake.digest(paths.funding)
    tables = DayTables(
        paths.day,
        klines=read_table(lake, paths.funding, FUNDING_SCHEMA),
        archives=read_table(lake, paths.archives, ARCHIVE_SCHEMA),
        certificates=certificates,
    )
    where = (lake.uri(paths.funding), lake.uri(paths.certificates))
    return tables, flaw(metadata, certificates, digest, where)


def latest_funding_days(lake: Lake, dataset: FundingDataset, count: int, made: Collection[date] = ()) -> list[date]:
    """The last days that the lake has a table or certificates of, or that `made` names; ConfigurationError where there
    is none."""
    days = sorted({*stored_days(lake, dataset), *certified_days(lake, dataset), *made})
    if not days:
        raise ConfigurationError(f"{dataset} has no day in the lake yet. Materialize one first.")
    return days[-count:]
