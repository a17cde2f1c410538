"""Intervals divide the UTC day, or span whole ones."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klines_pipeline.domain.errors import UnknownNameError
from klines_pipeline.domain.interval import (
    DAILY_INTERVALS,
    DAY,
    INTERVALS,
    LONG_INTERVALS,
    Interval,
    LongInterval,
    parse_interval,
)


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


@pytest.mark.parametrize(
    ("name", "day", "period"),
    [
        ("1w", "2024-02-26", "2024-02-26 to 2024-03-03"),
        ("1w", "2024-03-03", "2024-02-26 to 2024-03-03"),
        ("1w", "2025-01-01", "2024-12-30 to 2025-01-05"),
        ("1M", "2024-02-29", "2024-02-01 to 2024-02-29"),
        ("1M", "2023-02-28", "2023-02-01 to 2023-02-28"),
        ("1M", "2024-12-31", "2024-12-01 to 2024-12-31"),
        ("3d", "1970-01-01", "1970-01-01 to 1970-01-03"),
        ("3d", "1969-12-31", "1969-12-29 to 1969-12-31"),
        ("3d", "2024-02-29", "2024-02-29 to 2024-03-02"),
    ],
)
def test_a_week_opens_on_monday_a_month_on_the_first_and_three_days_count_from_1970(
    name: str, day: str, period: str
) -> None:
    assert str(LongInterval.parse(name).period_of(date.fromisoformat(day))) == period


@given(st.dates(date(1900, 1, 1), date(2100, 12, 31)), st.sampled_from(LONG_INTERVALS))
def test_periods_hold_each_day_once(day: date, name: str) -> None:
    interval = LongInterval.parse(name)
    period = interval.period_of(day)

    days = list(period.days())

    assert day in days
    assert {interval.period_of(other) for other in days} == {period}
    assert interval.period_of(period.ends).opens == period.ends
    assert (days[0], days[-1] + DAY) == period


def test_every_interval_is_read_by_its_name_and_no_other_word_is() -> None:
    assert [str(parse_interval(name)) for name in INTERVALS] == list(INTERVALS)
    with pytest.raises(UnknownNameError, match="here: unknown interval '1mo'"):
        parse_interval("1mo", where="here")
    with pytest.raises(UnknownNameError, match=r"unknown interval '1d'. The nearest valid one is '3d'"):
        LongInterval.parse("1d")


@pytest.mark.parametrize("name", LONG_INTERVALS)
def test_an_interval_above_a_day_is_refused_where_the_exchange_is_asked_and_told_where_it_is_to_be_had(
    name: str,
) -> None:
    with pytest.raises(UnknownNameError, match=rf"`resample: \[{name}\]` under interval 1d"):
        Interval.parse(name)
