"""Which files of a table answer a question, and a lazy frame over them. Pruned by folder name; no other file opens."""

from collections.abc import Sequence
from datetime import date

import polars as pl

from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.layout import PART, day_of, table_folder


def stored_days(lake: Lake, table: str, exchange: str, market: str, interval: str) -> list[date]:
    """Days the table has, in order."""
    names = lake.folders(table_folder(table, exchange, market, interval))
    return sorted(day for name in names if (day := day_of(name)))


def scan_days(
    lake: Lake, table: str, exchange: str, market: str, interval: str, *, days: Sequence[date], schema: pl.Schema
) -> pl.LazyFrame:
    """The days' files, one after the other, with their `date`; no rows for no days."""
    if not days:
        return schema.to_frame().with_columns(pl.lit(None, pl.Date).alias("date")).lazy()
    folder = table_folder(table, exchange, market, interval)
    files = [lake.uri(f"{folder}/date={day}/{PART}") for day in days]
    return pl.scan_parquet(
        files,
        hive_partitioning=True,
        hive_schema={"exchange": pl.String, "market": pl.String, "interval": pl.String, "date": pl.Date},
        storage_options=lake.reader_options(),
    ).select(*schema.names(), "date")
