"""Real archives hold the truths that checks ask for, so that a breach means something."""

from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from klines_pipeline.domain.interval import Interval
from klines_pipeline.domain.utc_day import day_end
from klines_pipeline.exchanges.registry import connect
from klines_pipeline.klines.agreement import SUMMED, compare
from klines_pipeline.klines.quality import RULES, last_closes
from klines_pipeline.klines.resample import resample_klines
from klines_pipeline.klines.schema import VISION, with_provenance
from klines_pipeline.klines.truths import CLOSES, DayTables, what_is_wrong

FIRST_WEEK = [date(2017, 8, 17) + timedelta(days=number) for number in range(6)]
HALT = date(2023, 3, 24)


def archived(root: Path, interval: str, day: date) -> pl.DataFrame:
    """BTCUSDT's spot archive, through the project's own parser."""
    key = f"data/spot/daily/klines/BTCUSDT/{interval}/BTCUSDT-{interval}-{day}.zip"
    content = (root / key.removeprefix("data/")).read_bytes()
    archive, step = connect("binance", "spot", {}).archive, Interval.parse(interval)
    rows = archive.parse({"BTCUSDT": archive.open(content, key, step)}, step).frame
    return with_provenance(rows, VISION, pl.lit(1), pl.lit(day_end(day))).sort("symbol", "open_time")


@pytest.mark.parametrize("day", [*FIRST_WEEK, date(2020, 1, 1), HALT, date(2024, 1, 15), date(2025, 1, 15)])
def test_no_real_day_would_be_red(real_root: Path, day: date) -> None:
    assert what_is_wrong(DayTables(day, archived(real_root, "1m", day)), RULES) is None


def test_the_price_continues_from_day_to_day_even_in_the_first_week_of_trading(real_root: Path) -> None:
    closes = CLOSES.to_frame()
    for day in FIRST_WEEK:
        klines = archived(real_root, "1m", day)
        assert RULES["price_continues_across_days"].breaches(DayTables(day, klines, closes_before=closes)).is_empty()
        closes = last_closes(klines)
    assert closes.height == 1


@pytest.mark.parametrize(
    ("interval", "day"), [("15m", HALT), ("1h", HALT), ("15m", date(2024, 1, 15)), ("1h", date(2024, 1, 15))]
)
def test_resampled_minutes_equal_the_klines_that_binance_published_on_the_day_of_a_halt_too(
    real_root: Path, interval: str, day: date
) -> None:
    minutes, published = archived(real_root, "1m", day), archived(real_root, interval, day)
    coarser = Interval.parse(interval)

    computed = resample_klines(minutes, coarser, closed_until={"BTCUSDT": day_end(day)}, unexplained={}).klines

    found = compare(computed, published, coarser, rounding=SUMMED)
    assert (found.rows, found.differing) == (published.height, 0)
    assert found.largest < 1e-12
