"""One bucket, many stretches of keys: byte order over all of them, folders of any width."""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from klines_pipeline.simulator.keyspace import CHECKSUM
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.simulator.venue import Venue

NOW = datetime(2020, 9, 20, 12, tzinfo=UTC)
PREFIXES = (
    "data/futures/cm/daily/klines/",
    "data/futures/cm/monthly/fundingRate/",
    "data/futures/um/daily/klines/",
    "data/futures/um/monthly/fundingRate/",
    "data/spot/daily/klines/",
)


@pytest.fixture(scope="module")
def venue() -> Venue:
    return Venue(seed=7, now=NOW, rate=0, root=None, extra_symbols=0)


@pytest.fixture(scope="module")
def keys(venue: Venue) -> list[bytes]:
    return list(venue.bucket.keys_from(b"", NOW))


def test_every_key_is_in_byte_order_once(keys: list[bytes]) -> None:
    assert keys == sorted(set(keys))
    assert [prefix for prefix in PREFIXES if any(key.startswith(prefix.encode()) for key in keys)] == list(PREFIXES)
    assert all(key.startswith(tuple(prefix.encode() for prefix in PREFIXES)) for key in keys)


def test_a_page_can_begin_anywhere(venue: Venue, keys: list[bytes]) -> None:
    for place in range(0, len(keys), len(keys) // 300):
        for bound, expected in ((keys[place], keys[place]), (keys[place] + b"\0", [*keys, None][place + 1])):
            assert next(venue.bucket.keys_from(bound, NOW), None) == expected


def test_every_listed_zip_exists_with_its_checksum_and_no_later_one_does(venue: Venue, keys: list[bytes]) -> None:
    known = set(keys)
    for key in (key.decode() for key in keys[:: len(keys) // 500]):
        zip_key = key.removesuffix(CHECKSUM)
        assert {zip_key.encode(), (zip_key + CHECKSUM).encode()} <= known
        assert venue.bucket.exists(key, NOW)
        assert venue.bucket.last_modified(key) <= NOW
    assert not venue.bucket.exists("data/futures/um/monthly/fundingRate/BTCUSDT/BTCUSDT-fundingRate-2020-09.zip", NOW)


def folders_of(client: httpx.Client, prefix: str) -> list[list[str]]:
    """Pages of folder names, version 1."""
    pages: list[list[str]] = []
    marker = ""
    while marker is not None:
        query = {"prefix": prefix, "delimiter": "/", "marker": marker}
        text = client.get("/data.binance.vision", params=query).text
        pages.append([part.partition("<")[0] for part in text.split("<CommonPrefixes><Prefix>")[1:]])
        marker = text.partition("<NextMarker>")[2].partition("<")[0] or None
    return pages


def test_each_symbol_is_one_folder_paged_by_a_thousand() -> None:
    with EmbeddedExchange(rate=0, extra_symbols=1050) as exchange, httpx.Client(base_url=exchange.url) as client:
        prefix = "data/futures/um/daily/klines/"
        pages = folders_of(client, prefix)
        archived = {name for name, found in exchange.market_of("um").listings.items() if found.lives}
        funded = folders_of(client, "data/futures/um/monthly/fundingRate/")

    found = [folder for page in pages for folder in page]
    assert [len(page) for page in pages] == [1000, len(archived) - 1000]
    assert found == sorted((f"{prefix}{symbol}/" for symbol in archived), key=str.encode)
    assert found[-1] == f"{prefix}币安人生USDT/"
    assert sum(map(len, funded)) == len(archived) - 5 - 1  # delivery contracts and leftovers; NOVAUSDT's first month


def test_futures_folders_can_be_walked_from_the_top(bucket: Any) -> None:
    def names(prefix: str) -> list[str]:
        return [folder.removeprefix(prefix) for folder in bucket.page(prefix=prefix, delimiter="/").folders]

    assert names("data/") == ["futures/", "spot/"]
    assert names("data/futures/") == ["cm/", "um/"]
    assert names("data/futures/cm/") == names("data/futures/um/") == ["daily/", "monthly/"]
    assert names("data/futures/cm/daily/klines/") == [
        "BTCUSD_241227/", "BTCUSD_250328/", "BTCUSD_PERP/", "ETHUSD_250328/", "ETHUSD_PERP/", "XMRUSD_PERP/",
    ]  # fmt: skip
    assert names("data/futures/um/daily/klines/")[:6] == [
        "1000SHIBUSDT/", "BTCUSDC/", "BTCUSDT/", "BTCUSDT_241227/", "BTCUSDT_250328/", "BTCUSDT_250627/",
    ]  # fmt: skip
