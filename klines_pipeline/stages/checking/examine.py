"""Examine days as they lie in the lake: every quality rule over the published files, not over what was meant to be."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date, timedelta
from functools import partial
from itertools import chain
from typing import NamedTuple

import polars as pl

from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.errors import ConfigurationError, DamagedFileError
from klines_pipeline.klines.findings import Finding, Looked
from klines_pipeline.klines.ledgers import ARCHIVE_SCHEMA, CERTIFICATE_SCHEMA
from klines_pipeline.klines.quality import RULES, due_time, examine, last_closes, table_is_what_was_certified
from klines_pipeline.klines.schema import KLINE_SCHEMA
from klines_pipeline.klines.truths import CLOSES, DayTables
from klines_pipeline.stages.checking.mirror import MirrorLook
from klines_pipeline.stages.seal import flaw
from klines_pipeline.storage.described import read_described, read_digested
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.layout import DayPaths
from klines_pipeline.storage.tables import read_columns, read_table, stored_days

_SEALED = table_is_what_was_certified.__name__
_OF_CLOSES = pl.Schema({name: KLINE_SCHEMA[name] for name in ("symbol", "close")})


def examine_days(lake: Lake, dataset: Dataset, days: Sequence[date], cadence: timedelta) -> list[Finding]:
    """A finding per rule. `cadence` is how far a day in progress may lag behind the exchange's clock. A day of which a
    file cannot be read breaks every rule: none can be said to hold; one of which a file is gone has not the table that
    was certified.
    """
    looked = Looked()
    findings = {name: Finding(name, looked) for name in RULES}
    for seen in _days(lake, dataset, days, cadence):
        look(looked, seen.tables)
        for finding in findings.values() if seen.illegible else ():
            finding.tell(seen.tables.day, seen.illegible)
        if seen.flaw:
            findings[_SEALED].tell(seen.tables.day, seen.flaw)
        for name, breaches in seen.breaches.items():
            for symbol, count in breaches.iter_rows():
                findings[name].add(seen.tables.day, symbol, count)
    return list(findings.values())


def look(looked: Looked, tables: DayTables) -> None:
    """Note a day that rules are about to see."""
    is_empty = tables.klines.is_empty() and tables.certificates.is_empty()
    looked.add(tables.day, tables.certificates["symbol"], is_empty=is_empty)


class _Seen(NamedTuple):
    """What was found of a day."""

    tables: DayTables
    breaches: Mapping[str, pl.DataFrame]
    flaw: str | None = None
    """What is wrong with its table or its certificates as files."""
    illegible: str = ""
    """Why nothing else can be said of it."""

    @property
    def is_damaged(self) -> bool:
        """Whether the table is not what was certified."""
        return bool(self.illegible or self.flaw or self.breaches[_SEALED].height)


def _days(lake: Lake, dataset: Dataset, days: Sequence[date], cadence: timedelta) -> Iterator[_Seen]:
    """Each day, in order. What looks like damage is looked at again while no run can be publishing the day."""
    newest = max(stored_days(lake, "ledger/certificates", *dataset.prefix, str(dataset.interval)), default=date.min)
    last: _Seen | None = None
    mirror = MirrorLook(lake)
    for day in days:
        before = day - timedelta(days=1)
        known = last is not None and last.tables.day == before
        closes = last_closes(last.tables.klines) if last and known else _closes_of(lake, dataset, before)
        see = partial(_see, mirror, dataset, day, closes, cadence, is_over=day < newest)
        seen = see()
        if seen.is_damaged:
            with lake.locked(DayPaths.of(dataset, day)):
                seen = see()
        yield seen
        last = seen


def _closes_of(lake: Lake, dataset: Dataset, day: date) -> pl.DataFrame:
    """Of a day that is not examined itself: of one that cannot be read nothing is known."""
    try:
        return last_closes(read_columns(lake, DayPaths.of(dataset, day).klines, _OF_CLOSES))
    except DamagedFileError:
        return CLOSES.to_frame()


def _see(
    mirror: MirrorLook, dataset: Dataset, day: date, closes: pl.DataFrame, cadence: timedelta, *, is_over: bool
) -> _Seen:
    """One day's files; it is over once the lake has a later one."""
    lake, paths = mirror.lake, DayPaths.of(dataset, day)
    try:
        certificates, metadata = read_described(lake, paths.certificates, CERTIFICATE_SCHEMA)
        klines, digest = read_digested(lake, paths.klines)
        archives = mirror.seen(read_table(lake, paths.archives, ARCHIVE_SCHEMA))
    except DamagedFileError as error:
        unknown = DayTables(day, KLINE_SCHEMA.to_frame(), certificates=CERTIFICATE_SCHEMA.to_frame())
        return _Seen(unknown, {}, illegible=str(error))
    tables = DayTables(
        day,
        klines=klines,
        archives=archives,
        certificates=certificates,
        closes_before=closes,
        due=due_time(day, certificates, dataset.interval, cadence),
        owed=dataset.interval.bars_per_day if is_over else 0,
    )
    where = (lake.uri(paths.klines), lake.uri(paths.certificates))
    return _Seen(tables, examine(tables), flaw(metadata, certificates, digest, where))


def latest_days(lake: Lake, dataset: Dataset, count: int, made: Collection[date] = ()) -> list[date]:
    """The last days that the lake has a table, certificates or an archives ledger of, or that `made` names."""
    where = (*dataset.prefix, str(dataset.interval))
    stored = (stored_days(lake, table, *where) for table in ("klines", "ledger/certificates", "ledger/archives"))
    days = sorted({*made, *chain.from_iterable(stored)})
    if not days:
        raise ConfigurationError(f"{dataset} has no day in the lake yet. Materialize one first.")
    return days[-count:]
