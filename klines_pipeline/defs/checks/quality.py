"""Asset checks: one per quality rule, over the days of the run. A rule registered in `klines.quality` shows up here.

Checks are unpartitioned and see a range as a whole: the bad days stand in their metadata. What takes a second source
stands in `agreement`.
"""

from collections.abc import Iterable, Iterator
from datetime import date, timedelta

import dagster as dg

from klines_pipeline.defs.checks.results import check_result
from klines_pipeline.defs.keys import asset_key, op_name
from klines_pipeline.defs.partitions import days_of
from klines_pipeline.defs.resources import LakeResource
from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.klines.quality import RULES, klines_are_fresh
from klines_pipeline.klines.truths import Truth
from klines_pipeline.stages.checking.examine import examine_days, latest_days
from klines_pipeline.stages.ingest import Stage
from klines_pipeline.storage.lake import Lake

WITHOUT_PARTITION = 30
"""Days examined when a check is run by itself: the latest month."""


def build_checks(dataset: Dataset, cadence: timedelta) -> dg.AssetChecksDefinition:
    """Every rule, on the dataset's table. `cadence` is how often a day in progress is topped up."""
    asset = asset_key(dataset, Stage.KLINES)

    @dg.multi_asset_check(
        name=op_name(*dataset.prefix, f"klines_{dataset.interval}", "checks"),
        specs=check_specs(asset, (rule.truth for rule in RULES.values())),
        can_subset=True,
    )
    def examine(context: dg.AssetCheckExecutionContext, lake: LakeResource) -> Iterator[dg.AssetCheckResult]:
        opened = lake.open()
        wanted = {key.name for key in context.selected_asset_check_keys}
        for finding in examine_days(opened, dataset, run_days(context, opened, dataset), cadence):
            if finding.rule in wanted:
                yield check_result(asset, RULES[finding.rule].truth, finding)

    return examine


def check_specs(asset: dg.AssetKey, truths: Iterable[Truth]) -> list[dg.AssetCheckSpec]:
    """Where a blocking one fails, nothing downstream of the asset starts in the same run."""
    return [
        dg.AssetCheckSpec(truth.name, asset=asset, description=truth.description, blocking=truth.blocking)
        for truth in truths
    ]


def fresh_checks(dataset: Dataset) -> list[dg.AssetCheckKey]:
    """Those that speak of a day in progress: how fresh it is, and what blocks."""
    asset = asset_key(dataset, Stage.KLINES)
    return [
        dg.AssetCheckKey(asset, name)
        for name, rule in RULES.items()
        if rule.truth.blocking or rule.breaches is klines_are_fresh
    ]


def run_days(context: dg.AssetCheckExecutionContext, lake: Lake, dataset: Dataset) -> list[date]:
    """The run's days; where a check runs by itself, the latest of the lake and of those that Dagster says were made."""
    if context.has_partition_key or context.has_partition_key_range:
        return days_of(context.partition_keys)
    made = days_of(sorted(context.instance.get_materialized_partitions(asset_key(dataset, Stage.KLINES))))
    return latest_days(lake, dataset, WITHOUT_PARTITION, made)
