"""Resample days of the table into coarser klines, one file a day beside it."""

from dataclasses import dataclass
from datetime import date

from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.errors import IncompleteError
from klines_pipeline.domain.interval import Interval
from klines_pipeline.domain.utc_day import day_start
from klines_pipeline.klines.certificate import is_explained
from klines_pipeline.klines.grid import TimeRange
from klines_pipeline.klines.ledgers import CERTIFICATE_SCHEMA
from klines_pipeline.klines.resample import resample_klines
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.layout import DayPaths
from klines_pipeline.storage.tables import klines_to_parquet, read_klines, read_table


@dataclass(frozen=True, slots=True)
class ResampledDay:
    """What became of one day."""

    day: date
    rows: int
    left_out: int
    path: str
    changed: bool


def resample_day(lake: Lake, dataset: Dataset, interval: Interval, day: date) -> ResampledDay:
    """Compute and publish; IncompleteError where the day's table is not there."""
    paths = DayPaths.of(dataset, day)
    certificates = read_table(lake, paths.certificates, CERTIFICATE_SCHEMA)
    if certificates.is_empty():
        raise IncompleteError(f"{day} of {dataset} is not in the lake. Materialize {dataset} for that day first.")
    unexplained = {
        row["symbol"]: [TimeRange(gap["start"], gap["end"]) for gap in row["missing_ranges"]]
        for row in certificates.iter_rows(named=True)
        if not is_explained(row["reason"])
    }
    expected = max(row["expected"] for row in certificates.iter_rows(named=True))
    resampled = resample_klines(
        read_klines(lake, paths.klines),
        interval,
        closed_until=day_start(day) + expected * dataset.interval.duration,
        unexplained=unexplained,
    )
    identity = {**paths.identity, "interval": str(interval), "resampled_from": str(dataset.interval)}
    target = paths.resampled(interval)
    changed = lake.publish(target, klines_to_parquet(resampled.klines, identity))
    return ResampledDay(day, resampled.klines.height, resampled.left_out, lake.uri(target), changed)
