"""How many days of history one run takes: about five minutes of a REST host, and no crowd of runs for few symbols."""

import pytest

from klines_pipeline.domain.automation import Automation, symbol_day_seconds


@pytest.mark.parametrize(
    ("symbols", "bars_per_day", "archived", "days"),
    [
        (3, 1440, True, 31),
        (500, 1440, True, 16),
        (3, 86_400, True, 31),
        (500, 86_400, True, 1),
        (3, 1440, False, 31),
        (100, 1440, False, 4),
        (101, 1440, False, 4),
        (500, 1440, False, 1),
        (500, 24, False, 4),
        (0, 1440, True, 31),
        (100_000, 1440, False, 1),
    ],
)
def test_a_run_of_history_takes_about_five_minutes_and_a_small_dataset_whole_months(
    symbols: int, bars_per_day: int, *, archived: bool, days: int
) -> None:
    assert Automation().days_of_history(symbols, symbol_day_seconds(bars_per_day, archived=archived)) == days


def test_days_per_run_is_the_most() -> None:
    assert Automation(days_per_run=5).days_of_history(1, 0.02) == 5
    assert Automation(days_per_run=366).days_of_history(500, 0.02) == 16
