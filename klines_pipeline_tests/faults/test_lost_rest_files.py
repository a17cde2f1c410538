"""A file of REST rows that is lost, whole or in part: a ledger without its rows proves nothing, so REST is asked."""

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.stages.ingest import Stage
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.conftest import Run, certificate, make_dataset, read_day
from klines_pipeline_tests.faults.lakes import all_files

OKX = "okx/spot"
DAY = "2025-03-02"


def rest_file(lake: Lake, day: str, venue: str) -> Path:
    """The day's rows as REST gave them."""
    exchange, market = venue.split("/")
    return Path(lake.base, f"rest_klines/exchange={exchange}/market={market}/interval=1m/date={day}/part.parquet")


def asked(exchange: EmbeddedExchange) -> int:
    """Requests for klines or candles."""
    return sum(count for name, count in exchange.requests()["rest"].items() if name.endswith(("klines", "candles")))


@pytest.mark.parametrize(
    ("venue", "symbols", "day"),
    [(OKX, ("BTC-USDT", "ETH-USDT"), DAY), ("binance/spot", ("BTCUSDT",), "2025-03-03")],
)
def test_slices_whose_file_was_lost_are_asked_again_and_the_lake_is_as_it_was(
    exchange: EmbeddedExchange, ingest: Run, lake: Lake, venue: str, symbols: tuple[str, ...], day: str
) -> None:
    exchange.set_clock(datetime(2025, 3, 4, 1, tzinfo=UTC))
    dataset = make_dataset(*symbols, exchange=venue.split("/")[0])
    ingest(dataset, day)
    before, first = all_files(lake), asked(exchange)
    rest_file(lake, day, venue).unlink()
    exchange.reset_requests()

    [result] = ingest(dataset, day)

    assert not result.failures
    assert asked(exchange) == first > 0
    assert all_files(lake) == before
    assert certificate(lake, symbols[0], day, venue=venue)["present"] == 1440


def test_of_a_file_that_lacks_one_symbol_only_that_symbol_is_asked_for(
    exchange: EmbeddedExchange, ingest: Run, lake: Lake
) -> None:
    dataset = make_dataset("BTC-USDT", "ETH-USDT", exchange="okx")
    ingest(dataset, DAY)
    path = rest_file(lake, DAY, OKX)
    pl.read_parquet(path, hive_partitioning=False).filter(pl.col("symbol") == "BTC-USDT").write_parquet(path)
    exchange.reset_requests()

    [result] = ingest(dataset, DAY)

    assert not result.failures
    assert asked(exchange) == 1440 // 300 + 1
    assert [certificate(lake, name, DAY, venue=OKX)["present"] for name in dataset.symbols] == [1440, 1440]


def test_the_table_alone_is_not_made_of_rows_that_are_lost(ingest: Run, lake: Lake) -> None:
    dataset = make_dataset("BTC-USDT", exchange="okx")
    ingest(dataset, DAY)
    rest_file(lake, DAY, OKX).unlink()

    [result] = ingest(dataset, DAY, stages=[Stage.KLINES])

    assert "rest_klines_1m has fewer rows than its ledger counts. Materialize it again" in result.failures["klines"]
    assert read_day(lake, "klines", DAY, venue=OKX).height == 1440


def test_an_outage_while_lost_rows_are_asked_again_does_not_pass_for_a_hole(
    exchange: EmbeddedExchange, ingest: Run, lake: Lake
) -> None:
    dataset = make_dataset("BTC-USDT", exchange="okx")
    ingest(dataset, DAY)
    rest_file(lake, DAY, OKX).unlink()
    exchange.add_fault(kind="status", status=400, match="*candles", body='{"code":"51000","msg":"no","data":[]}')

    [red] = ingest(dataset, DAY)
    lost = certificate(lake, "BTC-USDT", DAY, venue=OKX)
    exchange.clear_faults()
    [green] = ingest(dataset, DAY)

    assert set(red.failures) == {"rest_klines", "klines"}
    assert (lost["missing"], lost["reason"]) == (1440, "unavailable")
    assert not green.failures
    assert certificate(lake, "BTC-USDT", DAY, venue=OKX)["present"] == 1440
