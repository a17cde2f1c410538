"""Keys that do not belong among archives but lie in the real bucket: leftovers, unpadded names, no checksums."""

from datetime import UTC, datetime

from klines_pipeline.simulator.stored import StoredObject

_LEFT_BEHIND = datetime(2021, 3, 5, 6, 12, 40, tzinfo=UTC)
_KEYS = (
    "data/spot/daily/klines/BTCUSDT/1m/part-00000-7c1f0d5e-c000.zip",
    "data/spot/monthly/aggTrades/BTCUSDT/part-00000-2b9ad1f3-c000.zip",
    "data/spot/monthly/klines/ADABKRW/1d/ADABKRW-1d-2020-8.zip",
)


def junk_objects() -> dict[str, StoredObject]:
    """The junk by key."""
    return {key: StoredObject(b"PK\x05\x06" + bytes(18), _LEFT_BEHIND, _LEFT_BEHIND) for key in _KEYS}
