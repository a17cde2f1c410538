"""Day partitions, and the days a run is about. Symbols are never partitions: a day holds all of them."""

from collections.abc import Sequence
from datetime import date

import dagster as dg

from klines_pipeline.domain.utc_day import EPOCH, parse_day

RANGE_IS_ONE_RUN = dg.BackfillPolicy.single_run()
"""Of every asset here. `dagster asset materialize --partition-range` refuses any other policy, and a run a day would
cost a process each. What a stopped run has done stays done: launched again, it asks only for what is missing."""


def day_partitions(start: date) -> dg.DailyPartitionsDefinition:
    """UTC days from `start` to the one in progress."""
    return dg.DailyPartitionsDefinition(start_date=start.isoformat(), timezone="UTC", end_offset=1)


def newest_day() -> date:
    """The last partition: the day in progress by this machine's clock."""
    return parse_day(str(day_partitions(EPOCH.date()).get_last_partition_key()))


def days_of(partition_keys: Sequence[str]) -> list[date]:
    """The run's days, in order: one, or a range."""
    return sorted(parse_day(key) for key in partition_keys)
