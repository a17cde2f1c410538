"""Symbols are text from elsewhere: any letters pass through URLs, paths and SQL; none climbs out of the lake."""

import json
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from klines_pipeline.domain.errors import ConfigurationError
from klines_pipeline.settings import read_config
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.conftest import archive_entry, certificate, make_dataset, read_day
from klines_pipeline_tests.faults.archives import key_of
from klines_pipeline_tests.faults.conftest import Recovery, Runner, asked, asked_klines, assert_good

CHINESE = "币安人生USDT"


def test_a_symbol_in_chinese_comes_from_its_archive(
    exchange: EmbeddedExchange, run: Runner, lake: Lake, assert_recovers: Recovery
) -> None:
    dataset, day = make_dataset("BTCUSDT", CHINESE), "2025-02-01"

    assert_good(run(dataset, day))

    key = key_of(CHINESE, day)
    assert (archive_entry(lake, CHINESE, day)["state"], archive_entry(lake, CHINESE, day)["key"]) == ("ok", key)
    assert certificate(lake, CHINESE, day)["from_vision"] == 1440
    assert Path(lake.base, "vision", key).is_file()
    assert exchange.requests()["by_path"][f"/{key}"] == 1
    assert asked(exchange) == {"archives": 2, "checksums": 2, "rest": 0}
    assert_recovers(dataset, day)


def test_a_symbol_in_chinese_comes_from_rest(
    exchange: EmbeddedExchange, run: Runner, lake: Lake, assert_recovers: Recovery
) -> None:
    dataset, day = make_dataset("BTCUSDT", CHINESE), "2025-03-03"
    exchange.set_clock(datetime(2025, 3, 4, 1, tzinfo=UTC))

    assert_good(run(dataset, day))

    assert certificate(lake, CHINESE, day)["from_rest"] == 1440
    slices = read_day(lake, "ledger/slices", day)["slice_key"].to_list()
    assert sum(key.startswith(f"{CHINESE}:1m:") for key in slices) == 2
    assert asked_klines(exchange) == 4
    assert_recovers(dataset, day)


def test_a_symbol_in_chinese_is_found_by_sql(run: Runner, lake: Lake) -> None:
    run(make_dataset("BTCUSDT", CHINESE), "2025-02-01")
    table = f"{lake.base}/klines/**/part.parquet"

    found = duckdb.execute("select count(*) from read_parquet(?) where symbol = ?", [table, CHINESE]).fetchone()

    assert found == (1440,)


def test_an_outage_of_a_symbol_in_chinese_is_named_as_it_is_written(
    exchange: EmbeddedExchange, run: Runner, lake: Lake, assert_recovers: Recovery
) -> None:
    dataset, day = make_dataset("BTCUSDT", CHINESE), "2025-02-01"
    exchange.add_fault(kind="status", status=503, match=f"/{key_of(CHINESE, day)}")

    [result] = run(dataset, day)

    assert CHINESE in result.failures["klines"]
    assert certificate(lake, "BTCUSDT", day)["from_vision"] == 1440
    assert_recovers(dataset, day)


CLIMBING = ["", "..", ".", "../BTCUSDT", "BTC/USDT", "/etc/passwd", "BTC\\USDT", "BTC\0USDT", "BTC\nUSDT", "a" * 61]


@pytest.mark.parametrize("symbol", CLIMBING)
def test_a_symbol_that_could_climb_is_refused_by_the_configuration(symbol: str) -> None:
    quoted = json.dumps(symbol)
    text = f"datasets:\n  - interval: 1m\n    start: 2024-01-01\n    symbols: [BTCUSDT, {quoted}]\n"

    with pytest.raises(
        ConfigurationError, match=r"klines\.yaml, line 4: datasets\.0\.symbols\.1: .* cannot be a symbol"
    ):
        read_config(text, "klines.yaml")


@pytest.mark.parametrize("symbol", ["..", "../../../../outside", "/outside"])
def test_a_symbol_that_could_climb_writes_nothing_even_without_the_configuration(
    exchange: EmbeddedExchange, run: Runner, lake: Lake, tmp_path: Path, symbol: str
) -> None:
    with pytest.raises(ConfigurationError):
        run(make_dataset("BTCUSDT", symbol), "2024-03-01")

    outside = [path for path in tmp_path.rglob("*") if path.is_file() and not path.is_relative_to(lake.base)]
    assert outside == []
