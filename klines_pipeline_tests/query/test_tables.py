"""Which files answer a question."""

from datetime import date
from pathlib import Path

import pytest

from klines_pipeline.domain.errors import DamagedFileError
from klines_pipeline.klines.schema import KLINE_SCHEMA
from klines_pipeline.query.tables import collect_days, scan_days
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.tables import stored_days

WHERE = ("binance", "spot", "1m")


def test_stored_days_are_those_with_a_file_in_order(kept: Lake) -> None:
    assert stored_days(kept, "klines", *WHERE) == [date(2025, 3, 1), date(2025, 3, 2), date(2025, 3, 4)]
    assert stored_days(kept, "klines", "okx", "swap", "1m") == []


def test_a_file_that_is_gone_is_named_with_what_brings_it_back(tmp_path: Path) -> None:
    lake, day = Lake(str(tmp_path)), date(2025, 3, 1)
    rows = scan_days(lake, "klines", *WHERE, days=[day], schema=KLINE_SCHEMA)

    with pytest.raises(DamagedFileError, match=r"date=2025-03-01/part\.parquet is missing\. Materialize the day"):
        collect_days(rows, lake, "klines", WHERE, days=[day], schema=KLINE_SCHEMA)


def test_a_scan_has_the_day_of_each_row_beside_the_columns(kept: Lake) -> None:
    days = [date(2025, 3, 2), date(2025, 3, 4)]

    rows = scan_days(kept, "klines", *WHERE, days=days, schema=KLINE_SCHEMA).collect()

    assert rows.columns == [*KLINE_SCHEMA, "date"]
    assert rows.filter(rows["open_time"].dt.date() != rows["date"]).is_empty()
    assert rows["date"].unique().to_list() == [date(2025, 3, 2)]


def test_a_scan_of_no_days_has_columns_and_no_rows(kept: Lake) -> None:
    rows = scan_days(kept, "klines", *WHERE, days=[], schema=KLINE_SCHEMA).collect()

    assert (rows.columns, rows.height) == ([*KLINE_SCHEMA, "date"], 0)
