"""What tells versions of archives apart, for many days at once: a few columns of the archives ledgers. No network."""

from collections.abc import Mapping, Sequence
from datetime import date

import polars as pl

from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.errors import DamagedFileError
from klines_pipeline.domain.states import ArchiveState
from klines_pipeline.klines.ledgers import ARCHIVE_SCHEMA
from klines_pipeline.stages.verdict import VERSION
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.layout import DayPaths
from klines_pipeline.storage.tables import read_legible

_MARKS = pl.Schema({name: ARCHIVE_SCHEMA[name] for name in ("symbol", "state", *VERSION, "error")})
_PLACE = ["date", "symbol"]


def read_versions(
    lake: Lake, dataset: Dataset, days: Sequence[date]
) -> tuple[pl.DataFrame, Mapping[date, DamagedFileError]]:
    """A row a symbol-day, none for a day without a ledger; and what is wrong with ledgers that cannot be read."""
    return read_legible(lake, [DayPaths.of(dataset, day).archives for day in days], _MARKS)


def unlike(listed: pl.DataFrame, marks: pl.DataFrame, *states: ArchiveState) -> pl.DataFrame:
    """What is listed and not known, in one of the states, in just that version; nearly nothing, as a rule."""
    known = marks.filter(pl.col("state").is_in(states))
    return listed.join(known, on=[*_PLACE, *VERSION], how="anti")


def withdrawn(listed: pl.DataFrame, marks: pl.DataFrame) -> pl.DataFrame:
    """What is held and no longer listed. `marks`: of symbols that were listed."""
    held = marks.filter(pl.col("state") == ArchiveState.OK)
    return held.join(listed, on=_PLACE, how="anti").sort(_PLACE)
