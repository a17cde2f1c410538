"""A month of twenty symbols: one run, repeatable without a download, and the same bytes on an exchange's bad day."""

import io
import zipfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import dagster as dg
import httpx
import pytest

from klines_pipeline.domain.utc_day import day_start, to_milliseconds
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline_tests.acceptance.conftest import Workplace, workplace

SYMBOLS = [f"X{number:04d}USDT" for number in range(1, 21)]
MARCH = "2024-03-01...2024-03-31"


@pytest.fixture
def wide_exchange() -> Iterator[EmbeddedExchange]:
    with EmbeddedExchange(rate=0, extra_symbols=20) as exchange:
        yield exchange


def shorten(exchange: EmbeddedExchange, symbol: str, day: date) -> None:
    """Republish an archive with its first 1,000 minutes only: REST has the rest."""
    name = f"{symbol}-1m-{day}"
    lines = b"".join(b",".join(map(_text, row)) + b"\n" for row in _rows(exchange, symbol, day)[:1000])
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{name}.csv", lines)
    exchange.put_object(f"data/spot/daily/klines/{symbol}/1m/{name}.zip", body.getvalue())


def _rows(exchange: EmbeddedExchange, symbol: str, day: date) -> list[list[object]]:
    query = {"symbol": symbol, "interval": "1m", "startTime": to_milliseconds(day_start(day)), "limit": 1000}
    rows: list[list[object]] = httpx.get(f"{exchange.url}/api/v3/klines", params=query).json()
    return rows


def _text(value: object) -> bytes:
    return str(value).encode()


def misbehave(exchange: EmbeddedExchange) -> None:
    """5 % of objects answer 503, each key is cut once and damaged once, REST says 429 now and then."""
    for group in ("archives", "checksums"):
        exchange.add_fault(kind="status", status=503, group=group, probability=0.05)
        exchange.add_fault(kind="reset", group=group, times=1, per_key=True)
        exchange.add_fault(kind="corrupt", group=group, times=1, per_key=True)
    exchange.add_fault(kind="status", status=503, group="listing", probability=0.05)
    exchange.add_fault(kind="status", status=429, group="rest", probability=0.2, headers={"Retry-After": "1"})


def prepare(exchange: EmbeddedExchange) -> None:
    """Give REST something to do: short archives and days that are never published."""
    for number, day in ((1, 4), (5, 11), (9, 20)):
        shorten(exchange, f"X{number:04d}USDT", date(2024, 3, day))
    for number, day in ((2, 6), (7, 25)):
        exchange.hold_publication(f"X{number:04d}USDT", date(2024, 3, day), until=None)


def test_a_month_of_twenty_symbols_is_one_run_and_31_partitions_each_with_its_metadata(
    wide_exchange: EmbeddedExchange, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = workplace(tmp_path, wide_exchange, SYMBOLS, "1m")

    done = place.materialize("--partition-range", MARCH)

    assert done.returncode == 0, done.stdout[-2000:]
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    key = dg.AssetKey(["binance", "spot", "klines_1m"])
    with dg.DagsterInstance.get() as instance:
        runs = instance.get_runs()
        records = instance.fetch_materializations(key, limit=1000).records
    assert len(runs) == 1
    rows = {record.partition_key: record.asset_materialization.metadata["rows"].value for record in records}
    assert rows == {f"2024-03-{day:02d}": 20 * 1440 for day in range(1, 32)}


def test_a_second_run_downloads_nothing_and_leaves_every_file_as_it_was(
    wide_exchange: EmbeddedExchange, tmp_path: Path
) -> None:
    prepare(wide_exchange)
    place = workplace(tmp_path, wide_exchange, SYMBOLS, "1m")
    place.materialize("--partition-range", MARCH)
    before = place.digests()
    wide_exchange.reset_requests()

    done = place.materialize("--partition-range", MARCH)

    counts = wide_exchange.requests()
    assert done.returncode == 0
    assert (counts["archives"], counts["checksums"], counts["rest_total"]) == (0, 0, 0)
    assert place.digests() == before


@pytest.mark.slow
def test_a_bad_day_of_the_exchange_ends_with_the_same_bytes(wide_exchange: EmbeddedExchange, tmp_path: Path) -> None:
    prepare(wide_exchange)
    calm, stormy = (workplace(tmp_path / name, wide_exchange, SYMBOLS, "1m") for name in ("calm", "stormy"))
    calm.materialize("--partition-range", MARCH)
    wide_exchange.reset_requests()
    misbehave(wide_exchange)

    done = stormy.materialize("--partition-range", MARCH)

    statuses = wide_exchange.requests()["by_status"]
    assert done.returncode == 0, done.stdout[-2000:]
    assert statuses["503"] > 50
    assert statuses["429"] > 0
    assert tables(stormy) == tables(calm)


def tables(place: Workplace) -> dict[str, str]:
    """Everything but the ledgers, which must differ: they count attempts."""
    kept = {name: digest for name, digest in place.digests().items() if not name.startswith("ledger/")}
    assert any(name.startswith("klines/") for name in kept)
    return kept
