"""Which files answer a question."""

from datetime import date

from klines_pipeline.klines.schema import KLINE_SCHEMA
from klines_pipeline.query.tables import scan_days
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.tables import stored_days

WHERE = ("binance", "spot", "1m")


def test_stored_days_are_those_with_a_folder_in_order(kept: Lake) -> None:
    assert stored_days(kept, "klines", *WHERE) == [date(2025, 3, 1), date(2025, 3, 2), date(2025, 3, 4)]
    assert stored_days(kept, "klines", "okx", "swap", "1m") == []


def test_a_scan_has_the_day_of_each_row_beside_the_columns(kept: Lake) -> None:
    days = [date(2025, 3, 2), date(2025, 3, 4)]

    rows = scan_days(kept, "klines", *WHERE, days=days, schema=KLINE_SCHEMA).collect()

    assert rows.columns == [*KLINE_SCHEMA, "date"]
    assert rows.filter(rows["open_time"].dt.date() != rows["date"]).is_empty()
    assert rows["date"].unique().to_list() == [date(2025, 3, 2)]


def test_a_scan_of_no_days_has_columns_and_no_rows(kept: Lake) -> None:
    rows = scan_days(kept, "klines", *WHERE, days=[], schema=KLINE_SCHEMA).collect()

    assert (rows.columns, rows.height) == ([*KLINE_SCHEMA, "date"], 0)
