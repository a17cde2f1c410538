"""A dataset and the names made from it."""

from datetime import date

import pytest

from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.interval import Interval


@pytest.mark.parametrize(
    ("exchange", "market", "interval", "name"),
    [("binance", "spot", "1m", "binance/spot/klines_1m"), ("okx", "swap", "1h", "okx/swap/klines_1h")],
)
def test_asset_key_and_table_have_one_name(exchange: str, market: str, interval: str, name: str) -> None:
    dataset = Dataset(exchange, market, Interval.parse(interval), ("BTCUSDT",), date(2024, 1, 1))

    assert (dataset.name, str(dataset)) == (name, name)
    assert "/".join(dataset.prefix) == name.rpartition("/")[0]
