"""A lazy frame over the files of a table's days, chosen by name before any of them is opened."""

from collections.abc import Sequence
from datetime import date

import polars as pl

from klines_pipeline.domain.errors import DamagedFileError
from klines_pipeline.klines.ledgers import ADDED_LATER
from klines_pipeline.klines.schema import KLINE_SCHEMA, with_contracts
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.layout import DAY_OF_FILE, day_file
from klines_pipeline.storage.tables import ILLEGIBLE, read_names, read_table

_FILE = "__file"


def scan_days(
    lake: Lake, table: str, exchange: str, market: str, interval: str, *, days: Sequence[date], schema: pl.Schema
) -> pl.LazyFrame:
    """The days' files, one after the other, with their `date`; no rows for no days.

    The date is read from each file's own folder alone: the lake's root may itself look like a Hive path or a pattern.
    Columns that a schema got later are null where a file lacks them.
    """
    if not days:
        return schema.to_frame().with_columns(pl.lit(None, pl.Date).alias("date")).lazy()
    files = [lake.uri(day_file(table, exchange, market, interval, day)) for day in days]
    day = pl.col(_FILE).str.extract(DAY_OF_FILE).str.to_date("%Y-%m-%d").alias("date")
    grown = not ADDED_LATER.isdisjoint(schema)
    return pl.scan_parquet(
        files,
        schema=schema if grown else None,
        missing_columns="insert" if grown else "raise",
        extra_columns="ignore" if grown else "raise",
        glob=False,
        hive_partitioning=False,
        include_file_paths=_FILE,
        storage_options=lake.reader_options(),
    ).select(*schema.names(), day)


def klines_schema(lake: Lake, table: str, exchange: str, market: str, interval: str, days: Sequence[date]) -> pl.Schema:
    """Columns of the table's klines in these days, read from the first file: a market's files all have the same."""
    if not days:
        return KLINE_SCHEMA
    first = day_file(table, exchange, market, interval, days[0])
    return with_contracts(KLINE_SCHEMA) if "contracts" in read_names(lake, first) else KLINE_SCHEMA


def collect_days(
    frame: pl.LazyFrame,
    lake: Lake,
    table: str,
    where: tuple[str, str, str],
    *,
    days: Sequence[date],
    schema: pl.Schema,
) -> pl.DataFrame:
    """Collect a frame over `scan_days`; if a file cannot be read, or is gone, DamagedFileError says which. Replacing
    one leaves no moment without it: what is gone was deleted."""
    try:
        return frame.collect()
    except (*ILLEGIBLE, OSError):
        for path in (day_file(table, *where, day) for day in days):
            if read_table(lake, path, schema).is_empty() and lake.size(path) is None:
                raise DamagedFileError(f"{lake.uri(path)} is missing. Materialize the day again.") from None
        raise
