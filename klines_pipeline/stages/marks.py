"""What tells versions of archives apart, for many days at once: a few columns of the archives ledgers. No network."""

from collections.abc import Mapping, Sequence
from datetime import date

import polars as pl

from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.errors import DamagedFileError
from klines_pipeline.domain.states import ArchiveState
from klines_pipeline.klines.ledgers import ARCHIVE_SCHEMA
from klines_pipeline.stages.news import readable_versions
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.layout import DAY_OF_FILE, DayPaths

_FILE, _NAMES = "__file", ("symbol", "state", "etag", "size", "error")
MARK_SCHEMA = pl.Schema({"date": pl.Date(), **{name: ARCHIVE_SCHEMA[name] for name in _NAMES}})
_VERSION = ["date", "symbol", "etag", "size"]


def read_marks(
    lake: Lake, dataset: Dataset, days: Sequence[date]
) -> tuple[pl.DataFrame, Mapping[date, DamagedFileError]]:
    """A row a symbol-day, none for a day without a ledger; and what is wrong with ledgers that cannot be read."""
    if not days:
        return MARK_SCHEMA.to_frame(), {}
    paths = [DayPaths.of(dataset, day).archives for day in days]
    rows = pl.scan_parquet(
        [lake.uri(path) for path in paths],
        glob=False,
        hive_partitioning=False,
        include_file_paths=_FILE,
        storage_options=lake.reader_options(),
    )
    day = pl.col(_FILE).str.extract(DAY_OF_FILE).str.to_date("%Y-%m-%d").alias("date")
    try:
        return rows.select(day, *_NAMES).collect(), {}
    except (pl.exceptions.PolarsError, OSError):  # a file is damaged, or has gone since its folder was listed
        held, damaged = readable_versions(lake, dataset, days)
        return held.select(MARK_SCHEMA.names()), damaged


def unlike(listed: pl.DataFrame, marks: pl.DataFrame) -> pl.DataFrame:
    """What is listed and not held, whole and verified, in just that version; nearly nothing, as a rule."""
    held = marks.filter(pl.col("state") == ArchiveState.OK)
    return listed.join(held, on=_VERSION, how="anti")


def withdrawn(listed: pl.DataFrame, marks: pl.DataFrame) -> pl.DataFrame:
    """What is held and no longer listed. `marks`: of symbols that were listed."""
    held = marks.filter(pl.col("state") == ArchiveState.OK)
    return held.join(listed, on=["date", "symbol"], how="anti").sort("date", "symbol")
