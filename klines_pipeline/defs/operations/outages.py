"""What fails without a run to show for it, as alerts: ticks that raise, and datasets of which nothing succeeds."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import dagster as dg

from klines_pipeline.defs.unpublished import Tick, ticks_that_failed
from klines_pipeline.domain.alerts import Alert, AlertKind
from klines_pipeline.domain.telling import SILENT_HOURS, Happened

_TICKS = 20
"""Failed ticks read of one sensor or schedule; more say nothing more."""
_LONGEST = 600


class FailedTick(NamedTuple):
    """A tick of a sensor or schedule that raised, and when (seconds since 1970)."""

    tick: Tick
    at: float

    @property
    def happened(self) -> Happened:
        """As the alerts' cursor knows it; no run has a name like it."""
        return Happened(f"t{self.tick.tick_id}", self.at)


def failed_ticks(instance: dg.DagsterInstance, since: float, location: str | None) -> Iterator[FailedTick]:
    """Of this code location, begun since `since` (seconds since 1970). An instance in memory keeps none."""
    for tick in ticks_that_failed(instance, since, location, _TICKS):
        yield FailedTick(tick, tick.end_timestamp or tick.timestamp)


def tick_alert(failed: FailedTick) -> Alert:
    """With the first line of the last cause."""
    error = failed.tick.error
    while error and error.cause:
        error = error.cause
    lines = error.message.strip().splitlines() if error else []
    return Alert(
        AlertKind.TICK,
        severity="ERROR",
        message=lines[0][:_LONGEST] if lines else "It failed without a word.",
        run_id=None,
        at=datetime.fromtimestamp(failed.at, UTC),
        asset=failed.tick.instigator_name,
    )


def dataset_alerts(datasets: Sequence[str], now: datetime) -> list[Alert]:
    """Of datasets of which nothing has succeeded for long."""
    return [
        Alert(
            AlertKind.DATASET,
            severity="ERROR",
            message=f"no run that a sensor or schedule asked for has succeeded for {SILENT_HOURS} hours. Look at the "
            "ticks of its sensors and schedules: they say what they wait for, or are switched off.",
            run_id=None,
            at=now,
            dataset=dataset,
        )
        for dataset in datasets
    ]
