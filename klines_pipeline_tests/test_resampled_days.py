"""Hours and days from minutes: none beyond what each symbol's own certificate covers, none of a table that is lost."""

from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from klines_pipeline.domain.errors import DamagedFileError
from klines_pipeline.domain.interval import Interval
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.stages.resample import ResampledDay, resample_day
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.conftest import Run, certificate, make_dataset, read_day

DAY = "2025-03-03"
BOTH = make_dataset("BTCUSDT", "ETHUSDT")


def resampled(lake: Lake, interval: str) -> ResampledDay:
    """The day's table, coarser."""
    return resample_day(lake, BOTH, Interval.parse(interval), date.fromisoformat(DAY))


def counted(lake: Lake, interval: str) -> dict[str, int]:
    """Klines by symbol."""
    rows = read_day(lake, "resampled_klines", DAY, interval=interval)
    return dict(rows.group_by("symbol").len().rows())


def table_file(lake: Lake) -> Path:
    """The day's minutes."""
    return Path(lake.base, f"klines/exchange=binance/market=spot/interval=1m/date={DAY}/part.parquet")


def test_a_symbol_given_up_in_the_middle_of_a_day_gets_no_kline_beyond_its_last_minute(
    exchange: EmbeddedExchange, ingest: Run, lake: Lake
) -> None:
    """ETHUSDT was last asked for at 10:30 and is configured no more: neither its day nor its 11th hour is over."""
    exchange.set_clock(datetime(2025, 3, 3, 10, 30, tzinfo=UTC))
    ingest(BOTH, DAY)
    exchange.set_clock(datetime(2025, 3, 4, 12, tzinfo=UTC))
    ingest(make_dataset("BTCUSDT"), DAY)
    assert certificate(lake, "ETHUSDT", DAY)["expected"] == 630

    for interval in ("1h", "1d"):
        resampled(lake, interval)

    assert counted(lake, "1h") == {"BTCUSDT": 24, "ETHUSDT": 10}
    assert counted(lake, "1d") == {"BTCUSDT": 1}


def test_a_day_in_progress_has_the_hours_that_are_over(exchange: EmbeddedExchange, ingest: Run, lake: Lake) -> None:
    exchange.set_clock(datetime(2025, 3, 3, 10, 59, 59, tzinfo=UTC))
    ingest(BOTH, DAY)

    assert resampled(lake, "1h").rows == 2 * 10

    exchange.set_clock(datetime(2025, 3, 3, 11, tzinfo=UTC))
    ingest(BOTH, DAY)
    assert resampled(lake, "1h").rows == 2 * 11


def test_a_table_that_is_gone_is_not_taken_for_a_day_without_klines(ingest: Run, lake: Lake) -> None:
    ingest(BOTH, DAY)
    resampled(lake, "1h")
    table_file(lake).unlink()

    with pytest.raises(DamagedFileError, match=str(table_file(lake).relative_to(lake.base))):
        resampled(lake, "1h")

    assert counted(lake, "1h") == {"BTCUSDT": 24, "ETHUSDT": 24}


def test_a_table_other_than_the_one_certified_is_refused(ingest: Run, lake: Lake) -> None:
    ingest(BOTH, DAY)
    path = table_file(lake)
    rows = pl.read_parquet(path, hive_partitioning=False)
    rows.filter(~((pl.col("symbol") == "ETHUSDT") & (pl.col("open_time").dt.hour() == 7))).write_parquet(path)

    with pytest.raises(DamagedFileError):
        resampled(lake, "1h")
