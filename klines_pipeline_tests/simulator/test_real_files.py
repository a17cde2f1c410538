"""Real archives laid over the synthetic ones."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from klines_pipeline.simulator.server import EmbeddedExchange


def test_real_bytes_are_served_untouched(real: Any, real_folder: Path) -> None:
    for path in sorted(real_folder.joinpath("spot").rglob("*.zip*")) + sorted(
        real_folder.joinpath("futures").rglob("*.zip*")
    ):
        answer = real.get("data/" + path.relative_to(real_folder).as_posix())
        assert (answer.status_code, answer.content) == (200, path.read_bytes())


@pytest.mark.parametrize(
    ("symbol", "day", "interval", "rows"),
    [
        ("BTCUSDT", "2023-03-24", "1m", 1360),
        ("BTCUSDT", "2023-03-24", "15m", 91),
        ("BTCUSDT", "2023-03-24", "1h", 23),
        ("BTCUSDT", "2020-01-01", "1m", 1440),
        ("BTCUSDT", "2025-01-15", "1m", 1440),
        ("ARBUSDT", "2023-03-23", "1m", 540),
        ("ETHUSDT", "2024-02-29", "1m", 1440),
        ("BTCUSDT", "2024-01-15", "1d", 1),
    ],
)
def test_rest_answers_with_exactly_the_real_rows(real: Any, symbol: str, day: str, interval: str, rows: int) -> None:
    found = real.rest_rows(symbol, day, interval)

    assert len(found) == rows
    assert found == real.rows(real.key(symbol, day, interval))


def test_other_days_and_intervals_stay_synthetic(real: Any, bucket: Any) -> None:
    assert real.rows(real.key("BTCUSDT", "2020-01-03")) == bucket.rows(bucket.key("BTCUSDT", "2020-01-03"))
    assert real.rows(real.key("BTCUSDT", "2020-01-01", "5m")) == bucket.rows(bucket.key("BTCUSDT", "2020-01-01", "5m"))


def test_a_real_zip_without_a_checksum_has_no_synthetic_one(real: Any, real_folder: Path) -> None:
    zips = list(real_folder.joinpath("spot/daily").rglob("*.zip"))
    bare = [path for path in zips if not path.with_name(path.name + ".CHECKSUM").exists()]
    keys = ["data/" + path.relative_to(real_folder).as_posix() for path in bare]

    assert keys
    for key in keys:
        assert real.get(f"{key}.CHECKSUM").status_code == 404
        assert real.page(prefix=key).keys == [key]


def test_last_modified_is_the_time_inside_the_zip(real: Any) -> None:
    assert real.get(real.key("BTCUSDT", "2024-01-15")).headers["Last-Modified"] == "Tue, 16 Jan 2024 02:36:40 GMT"


def test_listing_mixes_real_and_synthetic_in_order(real: Any) -> None:
    keys = real.page(prefix=f"{real.prefix}BTCUSDT/1m/BTCUSDT-1m-2020-01").keys

    assert keys == sorted(keys)
    assert len(keys) == len(set(keys)) >= 60


def test_futures_keys_are_listed_beside(real: Any) -> None:
    assert real.page(prefix="data/futures/", delimiter="/").folders == ["data/futures/cm/", "data/futures/um/"]


def test_a_folder_of_ones_own(tmp_path: Path) -> None:
    folder = tmp_path / "spot/daily/klines/OLDUSDT/1h"
    folder.mkdir(parents=True)
    folder.joinpath("OLDUSDT-1h-2019-01-01.zip").write_bytes(b"broken")
    folder.joinpath("notes.txt").write_text("ignored")
    with EmbeddedExchange(rate=0, root=tmp_path) as exchange, httpx.Client(base_url=exchange.url) as client:
        key = "data/spot/daily/klines/OLDUSDT/1h/OLDUSDT-1h-2019-01-01.zip"
        rows = client.get("/api/v3/klines", params={"symbol": "OLDUSDT", "interval": "1h", "startTime": 0})
        assert client.get(f"/{key}").content == b"broken"
        assert client.get(f"/{key.replace('OLDUSDT-1h-2019-01-01.zip', 'notes.txt')}").status_code == 404
        assert rows.json() == []


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotADirectoryError, match="spot/"):
        EmbeddedExchange(root=tmp_path / "none")


def test_real_days_obey_the_clock(real_folder: Path) -> None:
    start = datetime(2020, 1, 1, 12, tzinfo=UTC)
    with (
        EmbeddedExchange(now=start, rate=0, root=real_folder) as exchange,
        httpx.Client(base_url=exchange.url) as client,
    ):
        rows = client.get("/api/v3/klines", params={"symbol": "BTCUSDT", "interval": "1m", "limit": 1}).json()
        key = "data/spot/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2020-01-01.zip"
        assert rows[0][0] == 1_577_880_000_000
        assert client.get(f"/{key}").status_code == 404
