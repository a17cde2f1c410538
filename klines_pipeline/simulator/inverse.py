"""COIN-M volumes: what contracts are worth in the base asset, at the average price they changed hands for."""

import numpy as np

from klines_pipeline.simulator.columns import Klines
from klines_pipeline.simulator.hashing import Ints


def in_base(klines: Klines, size: int) -> Klines:
    """Klines whose quote volumes are contracts times price, with base volumes in their place.

    Base volume is contracts x `size` (quote per contract) / average price, rounded to 1e-8.
    """
    return klines.with_columns(
        quote_volume=_base_volume(klines.volume, klines.quote_volume, size),
        taker_buy_quote_volume=_base_volume(klines.taker_buy_volume, klines.taker_buy_quote_volume, size),
    )


def _base_volume(contracts: Ints, contracts_at_price: Ints, size: int) -> Ints:
    price = contracts_at_price / np.maximum(contracts, 1)
    volume: Ints = np.rint(contracts * float(size) / np.where(price > 0, price, 1.0)).astype(np.int64)
    return volume
