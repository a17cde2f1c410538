"""Examine days as they lie in the lake: every quality rule over the published files, not over what was meant to be."""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta

import polars as pl

from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.errors import ConfigurationError
from klines_pipeline.klines.findings import Finding, Looked
from klines_pipeline.klines.ledgers import ARCHIVE_SCHEMA, CERTIFICATE_SCHEMA
from klines_pipeline.klines.quality import RULES, due_time, examine, last_closes
from klines_pipeline.klines.schema import KLINE_SCHEMA
from klines_pipeline.klines.truths import CLOSES, DayTables
from klines_pipeline.stages.checking.mirror import MirrorLook
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.layout import DayPaths
from klines_pipeline.storage.tables import read_columns, read_klines, read_table, stored_days

_OF_CLOSES = pl.Schema({name: KLINE_SCHEMA[name] for name in ("symbol", "close")})


def examine_days(lake: Lake, dataset: Dataset, days: Sequence[date], cadence: timedelta) -> list[Finding]:
    """A finding per rule. `cadence` is how far a day in progress may lag behind the exchange's clock."""
    looked = Looked()
    findings = {name: Finding(name, looked) for name in RULES}
    for tables in _tables(lake, dataset, days, cadence):
        look(looked, tables)
        for name, breaches in examine(tables).items():
            for symbol, count in breaches.iter_rows():
                findings[name].add(tables.day, symbol, count)
    return list(findings.values())


def look(looked: Looked, tables: DayTables) -> None:
    """Note a day that rules are about to see."""
    is_empty = tables.klines.is_empty() and tables.certificates.is_empty()
    looked.add(tables.day, tables.certificates["symbol"], is_empty=is_empty)


def _tables(lake: Lake, dataset: Dataset, days: Sequence[date], cadence: timedelta) -> Iterator[DayTables]:
    """Each day's, in order; of a day before one that is not examined itself only the columns needed are read. A day is
    over once the lake has a later one."""
    known, closes, mirror = None, CLOSES.to_frame(), MirrorLook(lake)
    newest = max(stored_days(lake, "ledger/certificates", *dataset.prefix, str(dataset.interval)), default=date.min)
    for day in days:
        paths, before = DayPaths.of(dataset, day), day - timedelta(days=1)
        if known != before:
            closes = last_closes(read_columns(lake, DayPaths.of(dataset, before).klines, _OF_CLOSES))
        certificates = read_table(lake, paths.certificates, CERTIFICATE_SCHEMA)
        tables = DayTables(
            day,
            klines=read_klines(lake, paths.klines),
            archives=mirror.seen(read_table(lake, paths.archives, ARCHIVE_SCHEMA)),
            certificates=certificates,
            closes_before=closes,
            due=due_time(day, certificates, dataset.interval, cadence),
            owed=dataset.interval.bars_per_day if day < newest else 0,
        )
        yield tables
        known, closes = day, last_closes(tables.klines)


def latest_days(lake: Lake, dataset: Dataset, count: int) -> list[date]:
    """The last days the table has."""
    days = stored_days(lake, "klines", dataset.exchange, dataset.market, str(dataset.interval))
    if not days:
        raise ConfigurationError(f"{dataset} has no day in the lake yet. Materialize one first.")
    return days[-count:]
