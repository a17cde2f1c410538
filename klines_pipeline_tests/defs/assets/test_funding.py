"""Funding as Dagster sees it: one group of assets a market, days good and bad, checks."""

from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from klines_pipeline.defs.build import build_definitions
from klines_pipeline.domain.errors import ConfigurationError
from klines_pipeline.settings import Settings
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.stages.funding.rules import FUNDING_RULES
from klines_pipeline_tests.defs.assets.test_klines import failed_partitions, metadata_of, run
from klines_pipeline_tests.defs.checks.test_quality import outcomes

VISION, REST, FUNDING = (dg.AssetKey(["binance", "um", name]) for name in ("vision_funding", "rest_funding", "funding"))
CONFIG = """
datasets:
  - {market: um, interval: 1h, start: 2024-01-01, symbols: [BTCUSDT, SOLUSDT], funding: true}
  - {market: um, interval: 1m, start: 2023-01-01, symbols: [ETHUSDT, BTCUSDT_250328], funding: true}
  - {market: cm, interval: 1h, start: 2024-01-01, symbols: [BTCUSD_PERP]}
  - {exchange: okx, market: swap, interval: 1h, start: 2025-01-01, symbols: [BTC-USDT-SWAP], funding: true}
"""


def built(exchange: EmbeddedExchange, folder: Path, config: str = CONFIG) -> dg.Definitions:
    path = folder / "klines.yaml"
    path.write_text(config, "utf-8")
    return build_definitions(Settings.from_env({**exchange.environment(), "KLINES_CONFIG": str(path)}))


@pytest.fixture
def definitions(exchange: EmbeddedExchange, tmp_path: Path) -> dg.Definitions:
    return built(exchange, tmp_path)


def test_assets_exist_for_markets_that_ask_and_archives_only_where_there_are_any(definitions: dg.Definitions) -> None:
    keys = {key.to_user_string() for key in definitions.resolve_asset_graph().get_all_asset_keys()}

    assert {key for key in keys if "funding" in key} == {
        "binance/um/vision_funding",
        "binance/um/rest_funding",
        "binance/um/funding",
        "okx/swap/rest_funding",
        "okx/swap/funding",
    }
    graph = definitions.resolve_asset_graph()
    assert graph.get(FUNDING).parent_keys == {VISION, REST}
    assert graph.get(dg.AssetKey(["okx", "swap", "funding"])).parent_keys == {
        dg.AssetKey(["okx", "swap", "rest_funding"])
    }
    partitions = graph.get(FUNDING).partitions_def
    assert partitions is not None
    assert partitions.get_first_partition_key() == "2023-01-01"


def test_a_market_without_funding_is_refused_when_definitions_are_built(
    exchange: EmbeddedExchange, tmp_path: Path
) -> None:
    spot = "datasets: [{interval: 1h, start: 2024-01-01, symbols: [BTCUSDT], funding: true}]"

    with pytest.raises(ConfigurationError, match="binance spot has no funding rates"):
        built(exchange, tmp_path, spot)


def test_a_range_is_one_run_with_its_own_metadata_for_each_day(
    definitions: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    result = run(definitions, instance, "2025-02-11", "2025-03-02", VISION, REST, FUNDING)

    assert result.success
    days = metadata_of(instance, FUNDING)
    assert len(days) == 20
    assert {values["rows"] for values in days.values()} == {12}
    assert days["2025-02-12"]["rows_from_rest"] == 1
    assert {(values["rows_rejected"], values["days_renewed"]) for values in days.values()} == {(0, 0)}
    assert days["2025-03-01"]["rows_from_vision"] == days["2025-03-01"]["settlements_missing"] == 0
    assert days["2025-03-01"]["completeness_pct"] == 100.0
    assert Path(days["2025-03-01"]["path"]).is_file()
    assert metadata_of(instance, VISION)["2025-02-11"]["downloads"] == 3
    assert metadata_of(instance, VISION)["2025-03-01"]["symbols_not_published"] == 3
    checks = outcomes(result)
    assert set(checks) == set(FUNDING_RULES)
    assert all(check.passed for check in checks.values())
    assert {check.metadata["days_examined"].value for check in checks.values()} == {20}


def test_good_days_are_green_and_bad_days_red_in_the_same_run(
    definitions: dg.Definitions, instance: dg.DagsterInstance, exchange: EmbeddedExchange
) -> None:
    exchange.add_fault(kind="status", status=503, match="*SOLUSDT-fundingRate-2025-02.zip")

    result = run(definitions, instance, "2025-02-27", "2025-03-02", VISION, REST, FUNDING)

    assert not result.success
    days = ["2025-02-27", "2025-02-28", "2025-03-01", "2025-03-02"]
    assert failed_partitions(instance, VISION, days) == {"2025-02-27", "2025-02-28"}
    assert failed_partitions(instance, REST, days) == set()
    assert failed_partitions(instance, FUNDING, days) == {"2025-02-27", "2025-02-28"}
    [failure] = [event for event in result.all_events if event.is_step_failure and "checks" not in str(event.step_key)]
    message = str(failure.step_failure_data.user_failure_data.description)
    assert "2025-02-27: 1 symbol(s) failed: SOLUSDT" in message
    assert "HTTP 503" in message


def test_okx_is_asked_without_archives(definitions: dg.Definitions, instance: dg.DagsterInstance) -> None:
    rest, funding = (dg.AssetKey(["okx", "swap", name]) for name in ("rest_funding", "funding"))

    result = run(definitions, instance, "2025-03-01", "2025-03-02", rest, funding)

    assert result.success
    assert {values["rows"] for values in metadata_of(instance, funding).values()} == {3}


def test_an_archive_that_differs_from_its_checksum_is_a_warning_with_the_days(
    definitions: dg.Definitions, instance: dg.DagsterInstance, exchange: EmbeddedExchange
) -> None:
    exchange.add_fault(kind="checksum", match="*ETHUSDT-fundingRate-2025-02.zip*")

    result = run(definitions, instance, "2025-02-28", "2025-03-01", VISION, REST, FUNDING)

    check = outcomes(result)["archive_matches_checksum"]
    assert result.success
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert check.metadata["bad_days"].value == ["2025-02-28"]
    assert "1 archive refused: 2025-02-28 ETHUSDT." in str(check.description)


def test_a_symbol_nobody_ever_had_fails_the_run_with_the_nearest_name(
    exchange: EmbeddedExchange, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    text = "datasets: [{market: um, interval: 1h, start: 2024-01-01, symbols: [BTCUSTD, ETHUSDT], funding: true}]"

    result = run(built(exchange, tmp_path, text), instance, "2025-03-01", "2025-03-01", VISION, REST, FUNDING)

    assert not result.success
    [failure] = [event for event in result.all_events if event.is_step_failure and "checks" not in str(event.step_key)]
    assert "binance/um/funding, symbols: unknown symbol 'BTCUSTD'. The nearest valid one is 'BTCUSDT'" in str(
        failure.step_failure_data.user_failure_data.description
    )


def test_a_settlement_nobody_explains_is_a_warning(
    definitions: dg.Definitions, instance: dg.DagsterInstance, exchange: EmbeddedExchange
) -> None:
    exchange.add_fault(kind="blocked", group="rest")

    result = run(definitions, instance, "2025-03-01", "2025-03-01", VISION, REST, FUNDING)

    check = outcomes(result)["funding_is_complete_or_explained"]
    assert not check.passed
    assert check.metadata["breaches"].value == 9


def test_checks_read_what_lies_in_the_lake(
    definitions: dg.Definitions, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    run(definitions, instance, "2025-02-26", "2025-02-27", VISION, REST, FUNDING)
    path = tmp_path / "lake/funding/exchange=binance/market=um/date=2025-02-27/part.parquet"
    pl.read_parquet(path, hive_partitioning=False).reverse().write_parquet(path)
    only_checks = dg.define_asset_job("only_checks", selection=dg.AssetSelection.checks_for_assets(FUNDING))
    job = dg.Definitions.merge(definitions, dg.Definitions(jobs=[only_checks])).resolve_job_def("only_checks")

    check = outcomes(job.execute_in_process(instance=instance, raise_on_error=False))["key_is_unique_and_sorted"]

    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert check.metadata["bad_days"].value == ["2025-02-27"]
