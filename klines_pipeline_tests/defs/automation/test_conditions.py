"""What Dagster decides by itself: the derived assets that it asks for, and never a day twice."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from klines_pipeline.defs.automation.run_requests import FIRST, LAST
from klines_pipeline.domain.wanted import Kind
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline_tests.defs.checks.test_quality import spoil
from klines_pipeline_tests.defs.conftest import built
from klines_pipeline_tests.defs.patience import without_patience

KLINES, RESAMPLED, SYMBOLS = (
    dg.AssetKey(["binance", "spot", name]) for name in ("klines_1h", "resampled_klines_4h", "symbols")
)
CHAIN = [dg.AssetKey(["binance", "spot", f"{name}_klines_1h"]) for name in ("vision", "rest")] + [KLINES]
CONFIG = """
automation: {enabled: ENABLED}
datasets:
  - interval: 1h
    start: 2025-02-20
    symbols: [BTCUSDT]
    resample: [4h]
  - market: um
    interval: 1d
    start: 2025-02-20
    symbols: [BTCUSDT]
    funding: true
"""
NOW = datetime(2025, 3, 4, 9, tzinfo=UTC)
TODAY, OLD = "2025-03-04", "2025-03-01"


def definitions_of(exchange: EmbeddedExchange, tmp_path: Path, *, enabled: bool = True) -> dg.Definitions:
    return built(exchange, tmp_path, CONFIG.replace("ENABLED", str(enabled).lower()))


@pytest.fixture
def definitions(exchange: EmbeddedExchange, tmp_path: Path) -> dg.Definitions:
    return definitions_of(exchange, tmp_path)


class Conditions:
    """The condition sensor's work, tick by tick, each a minute of the exchange's time later."""

    def __init__(self, definitions: dg.Definitions, instance: dg.DagsterInstance) -> None:
        self.definitions, self.instance = definitions, instance
        self.now, self.cursor = NOW, None
        self.tick()

    def tick(self, later: timedelta = timedelta(minutes=1)) -> dict[str, set[str | None]]:
        """What is requested now: days by asset; None for an asset without days."""
        self.now += later
        found = dg.evaluate_automation_conditions(
            self.definitions,
            self.instance,
            asset_selection=dg.AssetSelection.assets(RESAMPLED, SYMBOLS),
            evaluation_time=self.now,
            cursor=self.cursor,
        )
        self.cursor = found.cursor  # type: ignore[assignment]
        requested = {key.path[-1]: found.get_requested_partitions(key) for key in (RESAMPLED, SYMBOLS)}
        return {name: {*days} for name, days in requested.items() if days}

    def materialize(self, day: str | None, *keys: dg.AssetKey, kind: Kind | None = None) -> bool:
        """One run, as a person or a schedule starts it; whether it made anything."""
        job = self.definitions.resolve_implicit_global_asset_job_def()
        tags = {"klines/kind": kind.value} if kind else {}
        done = job.execute_in_process(
            instance=self.instance, asset_selection=list(keys), partition_key=day, tags=tags, raise_on_error=False
        )
        return bool(done.get_asset_materialization_events())

    def examine(self, day: str) -> bool:
        """The table's checks alone, over one day; whether all of them passed."""
        keys = self.definitions.resolve_asset_graph().asset_check_keys
        job = self.definitions.resolve_implicit_global_asset_job_def().get_subset(
            asset_selection=set(), asset_check_selection={key for key in keys if key.asset_key == KLINES}
        )
        done = job.execute_in_process(instance=self.instance, tags={FIRST: day, LAST: day}, raise_on_error=False)
        return all(check.passed for check in done.get_asset_check_evaluations())


@pytest.fixture
def conditions(definitions: dg.Definitions, instance: dg.DagsterInstance) -> Conditions:
    return Conditions(definitions, instance)


def test_klines_of_the_latest_day_alone_bring_what_is_resampled_from_them(conditions: Conditions) -> None:
    assert conditions.materialize(TODAY, *CHAIN)

    assert conditions.tick() == {"resampled_klines_4h": {TODAY}}


def test_a_run_of_the_whole_chain_brings_nothing_more_however_often(conditions: Conditions) -> None:
    for _ in range(3):
        assert conditions.materialize(TODAY, *CHAIN, RESAMPLED, kind=Kind.FRESHNESS)

        assert conditions.tick() == {}
        assert conditions.tick(timedelta(minutes=4)) == {}


def test_a_request_is_made_once(conditions: Conditions) -> None:
    assert conditions.materialize(TODAY, *CHAIN)
    conditions.tick()
    assert conditions.materialize(TODAY, RESAMPLED)

    assert conditions.tick() == {}


def test_wrong_klines_of_an_old_day_hold_back_that_day_alone(conditions: Conditions, tmp_path: Path) -> None:
    assert conditions.materialize(OLD, *CHAIN)
    assert conditions.materialize(TODAY, *CHAIN)
    table = tmp_path / f"lake/klines/exchange=binance/market=spot/interval=1h/date={OLD}/part.parquet"
    spoil(table, (pl.col("low") - 1).alias("high"))
    assert not conditions.examine(OLD), "an error that blocks stands on the table"

    assert conditions.tick() == {"resampled_klines_4h": {TODAY}}
    assert conditions.materialize(TODAY, RESAMPLED)
    assert not conditions.materialize(OLD, RESAMPLED)


def test_old_days_bring_nothing(conditions: Conditions) -> None:
    assert conditions.materialize(OLD, *CHAIN)

    assert conditions.tick() == {}


def test_the_life_tables_are_made_anew_once_a_day_at_their_hour(conditions: Conditions) -> None:
    until_the_hour = timedelta(hours=18, minutes=58)

    assert conditions.tick(until_the_hour) == {}
    assert conditions.tick(timedelta(minutes=2)) == {"symbols": {None}}
    assert conditions.tick(timedelta(hours=23)) == {}
    assert conditions.tick(timedelta(hours=1)) == {"symbols": {None}}


def test_a_life_table_that_could_not_be_made_is_asked_for_each_hour(
    definitions: dg.Definitions, instance: dg.DagsterInstance, exchange: EmbeddedExchange
) -> None:
    conditions = Conditions(without_patience(definitions, exchange), instance)
    exchange.add_fault(kind="status", status=503, group="listing")
    conditions.tick(timedelta(hours=19))
    assert not conditions.materialize(None, SYMBOLS)

    assert conditions.tick() == {}
    assert conditions.tick(timedelta(hours=1)) == {"symbols": {None}}
    exchange.clear_faults()
    assert conditions.materialize(None, SYMBOLS)
    assert conditions.tick(timedelta(hours=1)) == {}


def test_one_sensor_covers_the_conditions_and_is_on_with_automation(exchange: EmbeddedExchange, tmp_path: Path) -> None:
    for enabled, status in [(True, dg.DefaultSensorStatus.RUNNING), (False, dg.DefaultSensorStatus.STOPPED)]:
        repository = definitions_of(exchange, tmp_path, enabled=enabled).get_repository_def()
        [sensor] = [
            found for found in repository.sensor_defs if isinstance(found, dg.AutomationConditionSensorDefinition)
        ]

        assert (sensor.name, sensor.default_status) == ("derived_assets", status)
        selection = sensor.asset_selection
        assert selection is not None
        covered = {key.to_user_string() for key in selection.resolve(repository.asset_graph)}
        assert covered == {"binance/spot/resampled_klines_4h", "binance/spot/symbols", "binance/um/symbols"}


def test_tables_and_archives_tell_how_old_they_may_grow(definitions: dg.Definitions) -> None:
    policies = {
        spec.key.to_user_string(): spec.freshness_policy
        for spec in definitions.resolve_all_asset_specs()
        if spec.freshness_policy
    }

    assert {key: policy.fail_window.to_timedelta() for key, policy in policies.items()} == {  # type: ignore[attr-defined]
        "binance/spot/vision_klines_1h": timedelta(hours=60),
        "binance/spot/klines_1h": timedelta(hours=3),
        "binance/um/vision_klines_1d": timedelta(hours=60),
        "binance/um/klines_1d": timedelta(hours=26),
        "binance/um/funding": timedelta(hours=5),
    }


def test_nothing_grows_too_old_where_nothing_runs_by_itself(exchange: EmbeddedExchange, tmp_path: Path) -> None:
    specs = definitions_of(exchange, tmp_path, enabled=False).resolve_all_asset_specs()

    assert [spec.key for spec in specs if spec.freshness_policy] == []
