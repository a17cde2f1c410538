"""What Dagster decides by itself: when derived assets are made anew, and when an asset has grown too old.

History is no matter of conditions: they look at the latest day, while whoever asks for old days asks for the whole
chain, resampled tables included. Nor is whether klines are sound: checks have no days, and one that failed on an old
range must not hold back today; `stages.resample` refuses the very days that are wrong.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import dagster as dg

from klines_pipeline.defs.assets.funding import funding_key
from klines_pipeline.defs.automation.ticks import sensor_status
from klines_pipeline.defs.keys import asset_key, resampled_key
from klines_pipeline.domain.automation import Automation
from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.freshness import ARCHIVES, Window, table_window
from klines_pipeline.stages.funding.dataset import funding_datasets
from klines_pipeline.stages.funding.ingest import FundingStage
from klines_pipeline.stages.ingest import Stage

SYMBOLS_CRON = "0 4 * * *"  # UTC; most archives of the day before are there by then
_FUNDING_CADENCE = timedelta(hours=1)
_CONDITIONS_SECONDS = 60


def declare(
    assets: Sequence[dg.AssetsDefinition], datasets: Sequence[Dataset], automation: Automation
) -> list[dg.AssetsDefinition]:
    """The assets with their automation conditions, and with freshness policies where automation is on."""
    conditions, windows = _conditions(datasets), _windows(datasets, automation) if automation.enabled else {}

    def declared(spec: dg.AssetSpec) -> dg.AssetSpec:
        found = spec
        if condition := conditions.get(spec.key):
            found = found.replace_attributes(automation_condition=condition)
        if window := windows.get(spec.key):
            policy = dg.FreshnessPolicy.time_window(fail_window=window.fail, warn_window=window.warn)
            found = found.replace_attributes(freshness_policy=policy)
        return found

    return [made.map_asset_specs(declared) for made in assets]


def build_condition_sensors(
    assets: Sequence[dg.AssetsDefinition], automation: Automation
) -> list[dg.AutomationConditionSensorDefinition]:
    """One sensor over the assets that have a condition; none where there is no such asset."""
    keys = [spec.key for made in assets for spec in made.specs if spec.automation_condition]
    if not keys:
        return []
    sensor = dg.AutomationConditionSensorDefinition(
        "derived_assets",
        target=dg.AssetSelection.assets(*keys),
        description="Makes the tables that follow from others: resampled klines whenever the latest day of theirs was "
        "materialized without them, and symbols, the life table of each market, at 04:00 UTC, after a failure each "
        "hour. History is resampled by the runs that bring it.",
        default_status=sensor_status(automation),
        minimum_interval_seconds=_CONDITIONS_SECONDS,
    )
    return [sensor]


def _conditions(datasets: Sequence[Dataset]) -> Mapping[dg.AssetKey, dg.AutomationCondition[Any]]:
    latest = dg.AutomationCondition.eager().with_label("latest day of its klines is new")
    daily = dg.AutomationCondition.on_cron(SYMBOLS_CRON, "UTC")
    hour = dg.AutomationCondition.cron_tick_passed("0 * * * *", "UTC")
    again = hour & dg.AutomationCondition.execution_failed() & ~dg.AutomationCondition.in_progress()
    daily_until_done = (daily | again).with_label("daily at 04:00 UTC, hourly after a failure")
    resampled = {resampled_key(dataset, interval): latest for dataset in datasets for interval in dataset.resample}
    return {**resampled, **{dg.AssetKey([*dataset.prefix, "symbols"]): daily_until_done for dataset in datasets}}


def _windows(datasets: Sequence[Dataset], automation: Automation) -> dict[dg.AssetKey, Window]:
    """By asset. Keys that are no assets (a market without archives has none to show) are never looked up."""
    cadence = timedelta(minutes=automation.freshness_minutes)
    archives = {asset_key(dataset, Stage.VISION): ARCHIVES for dataset in datasets}
    tables = {
        asset_key(dataset, Stage.KLINES): table_window(dataset.interval.duration, cadence) for dataset in datasets
    }
    funding = {
        funding_key(dataset, FundingStage.FUNDING): table_window(_FUNDING_CADENCE, _FUNDING_CADENCE)
        for dataset in funding_datasets(datasets)
    }
    return {**archives, **tables, **funding}
