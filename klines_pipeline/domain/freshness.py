"""How old the newest materialization of an asset may grow before people are told. No Dagster, no clock.

These windows watch the pipeline: whether it still runs. Whether the newest klines are there is a question to the data.
"""

from datetime import timedelta
from typing import NamedTuple


class Window(NamedTuple):
    """Ages since the newest materialization: the first is worth a look, the second is a failure."""

    warn: timedelta
    fail: timedelta


ARCHIVES = Window(timedelta(hours=36), timedelta(hours=60))
"""A day's archives come within half a day of its end; a day without any is rare (2022-09-14), two are not known."""
_PATIENCE = timedelta(minutes=30)
"""A top-up may wait for the chunk of history that has its REST host."""


def table_window(step: timedelta, cadence: timedelta) -> Window:
    """Of a table with news each `step` that is topped up each `cadence`."""
    due, patience = max(step, cadence), max(_PATIENCE, cadence)
    return Window(due + patience, due + 4 * patience)
