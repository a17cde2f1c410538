"""Intervals divide the UTC day."""

from datetime import timedelta

import pytest

from klines_pipeline.domain.errors import UnknownNameError
from klines_pipeline.domain.interval import DAILY_INTERVALS, DAY, Interval


@pytest.mark.parametrize("name", DAILY_INTERVALS)
def test_an_interval_fills_the_day_without_rest(name: str) -> None:
    interval = Interval.parse(name)

    assert interval.duration * interval.bars_per_day == DAY
    assert timedelta(microseconds=interval.microseconds) == interval.duration
    assert str(interval) == name


@pytest.mark.parametrize(("name", "nearest"), [("1M", "1m"), ("60m", "30m"), ("1H", "1h"), ("1", "1s")])
def test_what_is_not_an_interval_of_a_day_is_refused_with_a_near_one(name: str, nearest: str) -> None:
    with pytest.raises(
        UnknownNameError, match=f"here: unknown interval '{name}'. The nearest valid one is '{nearest}'"
    ):
        Interval.parse(name, where="here")


def test_intervals_sort_by_length_and_not_by_name() -> None:
    names = [str(interval) for interval in sorted(map(Interval.parse, reversed(DAILY_INTERVALS)))]

    assert names == list(DAILY_INTERVALS)
