"""Months and weeks computed from real finer klines are the months and weeks that Binance itself gives."""

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from klines_pipeline.domain.interval import Interval, LongInterval
from klines_pipeline.domain.utc_day import day_start
from klines_pipeline.exchanges.binance.wire import parse_rows, parse_texts
from klines_pipeline.exchanges.zips import open_single_member
from klines_pipeline.klines.resample import resample_klines, resample_period
from klines_pipeline.klines.schema import REST, WIRE_SCHEMA, with_provenance

SYMBOL = "BTCUSDT"
VOLUMES = [name for name in WIRE_SCHEMA.names() if name.endswith("volume")]
LONGEST = 1_000_000


def rest_rows(root: Path, *files: str) -> pl.DataFrame:
    """Answers of REST, read as the project reads them."""
    texts = [(root / f"rest/spot/klines/{SYMBOL}/{file}.json").read_text("utf-8") for file in files]
    return parse_rows(SYMBOL, [row for text in texts for row in json.loads(text)])


def hours(root: Path, *months: str) -> pl.DataFrame:
    """The text of monthly archives of hours."""
    folder = root / f"spot/monthly/klines/{SYMBOL}/1h"
    parsed = [parse_texts({SYMBOL: (folder / f"{SYMBOL}-1h-{month}.csv").read_bytes()}) for month in months]
    assert not any(found.corrupt for found in parsed)
    return pl.concat(found.frame for found in parsed)


def zipped(root: Path, folder: str, name: str) -> pl.DataFrame:
    """The rows of one archive."""
    content = (root / f"spot/{folder}/{name}.zip").read_bytes()
    parsed = parse_texts({SYMBOL: open_single_member(content, f"{name}.csv", LONGEST)})
    assert not parsed.corrupt
    return parsed.frame


def days_of(rows: pl.DataFrame) -> pl.DataFrame:
    """The 1d table of finer rows, by the project's own function."""
    stored = with_provenance(rows.sort("open_time"), REST, pl.lit(0), pl.lit(datetime(2026, 4, 1, tzinfo=UTC)))
    closed_until = dict.fromkeys(stored["symbol"].unique(), datetime(2026, 4, 1, tzinfo=UTC))
    return resample_klines(stored, Interval.parse("1d"), closed_until=closed_until, unexplained={}).klines


def periods_of(days: pl.DataFrame, interval: str, *opens: str) -> pl.DataFrame:
    """The periods that open at these days, each from its own days alone."""
    periods = [LongInterval(interval).period_of(date.fromisoformat(day)) for day in opens]
    assert [str(period.opens) for period in periods] == list(opens)
    own = [pl.col("open_time").is_between(day_start(opens), day_start(ends), closed="left") for opens, ends in periods]
    return pl.concat(
        resample_period(days.filter(inside), day_start(period.opens), incomplete=()).klines
        for period, inside in zip(periods, own, strict=True)
    )


def assert_same(computed: pl.DataFrame, given: pl.DataFrame, *, rows: int) -> None:
    """Prices and trades to the last digit; volumes to 1e-8, or one part in 1e12 where they are larger."""
    expected = given.join(computed, on="open_time", how="semi").sort("open_time")
    made = computed.select(WIRE_SCHEMA.names())
    assert made.height == expected.height == rows
    assert_frame_equal(made.drop(VOLUMES), expected.drop(VOLUMES), check_exact=True)
    assert_frame_equal(made.select(VOLUMES), expected.select(VOLUMES), rel_tol=1e-12, abs_tol=1e-8)


@pytest.mark.parametrize("month", ["2024-01", "2024-02", "2024-04", "2024-05"])
def test_a_published_month_is_the_month_that_rest_gives_in_every_field(real_root: Path, month: str) -> None:
    """No finer real data of these months is at hand.

    That the zip is REST's row here, and REST's row what is computed for the months below, is the proof for both.
    """
    published = zipped(real_root, f"monthly/klines/{SYMBOL}/1mo", f"{SYMBOL}-1mo-{month}")

    given = rest_rows(real_root, "1M/2010-01-01").filter(pl.col("open_time").dt.strftime("%Y-%m") == month)

    assert published.height == 1
    assert_frame_equal(published, given, check_exact=True)


@pytest.mark.parametrize("month", ["2023-03", "2024-12", "2025-01"])
def test_a_month_computed_from_hours_is_the_month_that_rest_gives(real_root: Path, month: str) -> None:
    """2023-03 has the outage of the 24th, an hour of which nobody has; 2024-12 is in ms and 2025-01 in µs."""
    computed = periods_of(days_of(hours(real_root, month)), "1M", f"{month}-01")

    assert_same(computed, rest_rows(real_root, "1M/2010-01-01"), rows=1)


def test_the_month_of_the_outage_is_the_same_from_the_hours_of_rest(real_root: Path) -> None:
    computed = periods_of(days_of(rest_rows(real_root, "1h/2023-03-01")), "1M", "2023-03-01")

    assert_same(computed, rest_rows(real_root, "1M/2010-01-01"), rows=1)


def test_weeks_computed_from_hours_are_the_weeks_that_rest_gives(real_root: Path) -> None:
    """Every whole week of the months at hand, one of them across the years."""
    days = days_of(hours(real_root, "2023-03", "2024-12", "2025-01"))
    outage = ["2023-03-06", "2023-03-13", "2023-03-20"]
    winter = [str(date(2024, 12, 2) + timedelta(weeks=number)) for number in range(8)]

    computed = periods_of(days, "1w", *outage, *winter)

    assert_same(computed, rest_rows(real_root, "1w/2020-01-01"), rows=11)


def test_the_week_across_the_years_is_the_same_from_quarters_of_an_hour(real_root: Path) -> None:
    computed = periods_of(days_of(rest_rows(real_root, "15m/2024-12-30")), "1w", "2024-12-30")

    assert_same(computed, rest_rows(real_root, "1w/2020-01-01"), rows=1)


def test_the_first_week_of_a_symbol_has_only_the_days_since_its_listing(real_root: Path) -> None:
    """BTCUSDT began on a Thursday, 2017-08-17 04:00; its week opens on the Monday before."""
    names = [f"{SYMBOL}-1m-2017-08-{day}" for day in (17, 18, 19, 20)]
    minutes = pl.concat(zipped(real_root, f"daily/klines/{SYMBOL}/1m", name) for name in names)

    computed = periods_of(days_of(minutes), "1w", "2017-08-14")

    assert_same(computed, rest_rows(real_root, "1w/2010-01-01"), rows=1)


def test_the_month_that_was_four_whole_weeks_is_their_sum(real_root: Path) -> None:
    """2021-02-01 was a Monday."""
    weeks = rest_rows(real_root, "1w/2020-01-01").filter(pl.col("open_time").dt.strftime("%Y-%m") == "2021-02")
    stored = with_provenance(weeks, REST, pl.lit(0), pl.col("open_time"))

    computed = resample_period(stored, datetime(2021, 2, 1, tzinfo=UTC), incomplete=()).klines

    assert weeks.height == 4
    assert_same(computed, rest_rows(real_root, "1M/2010-01-01"), rows=1)
