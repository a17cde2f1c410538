"""How old a table may grow: its step and its cadence decide."""

from datetime import timedelta

import pytest

from klines_pipeline.domain.freshness import ARCHIVES, table_window

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.mark.parametrize(
    ("step", "cadence", "warn", "fail"),
    [
        (MINUTE, 5 * MINUTE, 35 * MINUTE, 125 * MINUTE),
        (HOUR, 5 * MINUTE, 90 * MINUTE, 180 * MINUTE),
        (DAY, 5 * MINUTE, DAY + 30 * MINUTE, DAY + 2 * HOUR),
        (MINUTE, 12 * HOUR, 24 * HOUR, 60 * HOUR),
    ],
)
def test_a_table_may_miss_one_top_up_and_fails_after_four(
    step: timedelta, cadence: timedelta, warn: timedelta, fail: timedelta
) -> None:
    assert table_window(step, cadence) == (warn, fail)


def test_an_archive_that_comes_each_day_is_never_too_old_in_between() -> None:
    assert DAY < ARCHIVES.warn < ARCHIVES.fail
