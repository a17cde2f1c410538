"""UTC days and instants."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klines_pipeline.domain import utc_day
from klines_pipeline.domain.errors import ConfigurationError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
INSTANTS = st.integers(0, 10**16).map(lambda number: EPOCH + timedelta(microseconds=number))


@pytest.mark.parametrize("text", ["20240101", "2024-1-1", "2024-02-30", "2024-01-01T00:00", "yesterday", ""])
def test_only_iso_dates_are_days(text: str) -> None:
    with pytest.raises(ConfigurationError, match=f"start: '{text}' is not a date. Write it as YYYY-MM-DD"):
        utc_day.parse_day(text, where="start")


@given(st.dates())
def test_a_day_is_read_as_it_is_written(day: date) -> None:
    assert utc_day.parse_day(day.isoformat()) == day


@given(st.dates(max_value=date(9999, 12, 30)))
def test_a_day_ends_where_the_next_one_starts(day: date) -> None:
    assert utc_day.day_end(day) == utc_day.day_start(day + timedelta(days=1))
    assert utc_day.day_start(day).tzinfo is UTC


def test_a_range_of_days_has_both_its_ends() -> None:
    days = list(utc_day.days_between(date(2024, 2, 28), date(2024, 3, 1)))

    assert days == [date(2024, 2, 28), date(2024, 2, 29), date(2024, 3, 1)]
    assert list(utc_day.days_between(date(2024, 3, 2), date(2024, 3, 1))) == []


@given(INSTANTS)
def test_instants_survive_a_round_trip_through_integers(instant: datetime) -> None:
    assert utc_day.from_microseconds(utc_day.to_microseconds(instant)) == instant
    milliseconds = utc_day.from_milliseconds(utc_day.to_milliseconds(instant))
    assert timedelta(0) <= instant - milliseconds < timedelta(milliseconds=1)
