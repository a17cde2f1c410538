"""Ticks of schedules under test: an instance in memory, and moments of the month in which the exchange stands."""

from collections.abc import Iterator
from datetime import UTC, datetime

import dagster as dg
import pytest


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def at(day: int, hour: int, minute: int = 0, second: int = 30) -> datetime:
    """A moment of March 2025, UTC."""
    return datetime(2025, 3, day, hour, minute, second, tzinfo=UTC)
