"""The life table as an asset: one per market of klines.yaml, with counts for people."""

from pathlib import Path

import dagster as dg
import pytest

from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline_tests.defs.conftest import built

CONFIG = """
datasets:
  - {interval: 1m, start: 2024-01-01, symbols: [BTCUSDT]}
  - {interval: 1h, start: 2024-01-01, symbols: [BTCUSDT]}
  - {market: um, interval: 1m, start: 2024-01-01, symbols: {quote: [USDT], contract: perpetual}}
"""
UM = dg.AssetKey(["binance", "um", "symbols"])


@pytest.fixture
def definitions(exchange: EmbeddedExchange, tmp_path: Path) -> dg.Definitions:
    return built(exchange, tmp_path, CONFIG)


def materialize(definitions: dg.Definitions) -> dg.ExecuteInProcessResult:
    """The USD-M table."""
    job = definitions.resolve_implicit_global_asset_job_def()
    return job.execute_in_process(asset_selection=[UM], raise_on_error=False)


def test_each_market_has_one_unpartitioned_table(definitions: dg.Definitions) -> None:
    specs = {spec.key: spec for spec in definitions.resolve_all_asset_specs()}
    tables = [key for key in specs if key.path[-1] == "symbols"]

    assert sorted(key.to_user_string() for key in tables) == ["binance/spot/symbols", "binance/um/symbols"]
    assert all(specs[key].partitions_def is None for key in tables)
    assert specs[UM].group_name == specs[dg.AssetKey(["binance", "um", "klines_1m"])].group_name


def test_it_tells_how_many_symbols_there_are_and_what_that_took(
    definitions: dg.Definitions, exchange: EmbeddedExchange, tmp_path: Path
) -> None:
    exchange.put_object("data/futures/um/daily/klines/ODDCOIN/1d/ODDCOIN-1d-2024-01-01.zip", b"x")
    exchange.reset_requests()
    result = materialize(definitions)
    [event] = result.asset_materializations_for_node("binance__um__symbols")
    told = {name: value.value for name, value in event.metadata.items()}

    assert result.success
    assert (told["symbols"], told["listed"], told["delisted"]) == (21, 14, 7)
    assert (told["with_holes"], told["reused"], told["unknown_quote"]) == (1, 1, 1)
    assert told["symbols_of_unknown_quote"] == ["ODDCOIN"]
    assert told["listing_requests"] == exchange.requests()["listing"]
    assert told["rest_requests"] == exchange.requests()["rest_total"] == 1
    assert (tmp_path / "lake/ledger/symbols/exchange=binance/market=um/part.parquet").is_file()


def test_where_rest_cannot_be_asked_the_run_fails_in_words_and_the_archives_are_recorded(
    definitions: dg.Definitions, exchange: EmbeddedExchange
) -> None:
    exchange.add_fault(kind="status", group="rest", status=418, headers={"Retry-After": "120"})

    result = materialize(definitions)

    assert not result.success
    [failed] = [event for event in result.all_events if event.event_type_value == "STEP_FAILURE"]
    told = failed.step_failure_data.user_failure_data
    assert told is not None
    assert "1 could not be had: exchangeInfo" in str(told.description)
    assert told.metadata["symbols"].value == 19
