"""Weeks and months as day-partitioned assets, on a real Dagster instance."""

from pathlib import Path

import dagster as dg
import pytest

from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline_tests.defs.assets.test_klines import metadata_of, run
from klines_pipeline_tests.defs.conftest import built

TABLES = [dg.AssetKey(["binance", "spot", f"{name}_1d"]) for name in ("vision_klines", "rest_klines", "klines")]
WEEKS, MONTHS = (dg.AssetKey(["binance", "spot", f"resampled_klines_{name}"]) for name in ("1w", "1M"))
CONFIG = """
datasets:
  - interval: 1d
    start: 2024-02-01
    symbols: [BTCUSDT, ETHUSDT]
    resample: [3d, 1w, 1M]
"""


@pytest.fixture
def definitions(exchange: EmbeddedExchange, tmp_path: Path) -> dg.Definitions:
    return built(exchange, tmp_path, CONFIG)


def test_each_day_of_a_range_says_what_became_of_its_period(
    definitions: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    result = run(definitions, instance, "2025-02-24", "2025-03-04", *TABLES, WEEKS, MONTHS)

    assert result.success
    weeks, months = metadata_of(instance, WEEKS), metadata_of(instance, MONTHS)
    assert [(weeks[day]["rows"], weeks[day]["period"]) for day in ("2025-02-24", "2025-03-02", "2025-03-03")] == [
        (2, "2025-02-24 to 2025-03-02"),
        (2, "2025-02-24 to 2025-03-02"),
        (0, "2025-03-03 to 2025-03-09"),
    ]
    assert weeks["2025-03-02"]["path"].endswith("interval=1w/date=2025-02-24/part.parquet")
    assert weeks["2025-03-04"]["waits_for"] == "2025-03-09, its last day, which is not in the lake"
    assert "path" not in weeks["2025-03-04"]
    assert months["2025-02-28"]["left_out"] == 2
    assert months["2025-03-01"]["waits_for"].startswith("2025-03-31")


def test_the_log_counts_the_klines_of_a_week_once(
    definitions: dg.Definitions, instance: dg.DagsterInstance, capfd: pytest.CaptureFixture[str]
) -> None:
    run(definitions, instance, "2024-02-05", "2024-02-18", *TABLES, WEEKS)

    assert "resampled_klines_1w: 14 day(s), 2024-02-05 to 2024-02-18, 4 rows" in capfd.readouterr().err


def test_the_description_says_what_a_partition_stands_for(definitions: dg.Definitions) -> None:
    specs = {spec.key: spec for spec in definitions.resolve_all_asset_specs()}

    assert "at the day on which the period opens" in str(specs[MONTHS].description)
    assert TABLES[2] in {dep.asset_key for dep in specs[WEEKS].deps}


def test_a_day_without_its_table_is_red_and_the_others_green(
    definitions: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    run(definitions, instance, "2024-02-05", "2024-02-11", *TABLES)

    result = run(definitions, instance, "2024-02-10", "2024-02-12", WEEKS)

    assert not result.success
    assert instance.get_materialized_partitions(WEEKS) == {"2024-02-10", "2024-02-11"}
    assert metadata_of(instance, WEEKS)["2024-02-11"]["rows"] == 2
