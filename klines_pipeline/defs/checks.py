"""Asset checks: one per quality rule, over the days of the run. A rule registered in `klines.quality` shows up here.

Checks are unpartitioned and see a range as a whole: the bad days stand in their metadata.
"""

from collections.abc import Iterator

import dagster as dg

from klines_pipeline.defs.keys import asset_key, op_name
from klines_pipeline.defs.partitions import days_of
from klines_pipeline.defs.resources import LakeResource
from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.klines.quality import RULES, Rule
from klines_pipeline.stages.examine import Finding, examine_days, latest_days
from klines_pipeline.stages.ingest import Stage

_WITHOUT_PARTITION = 30
"""Days examined when a check is run by itself: the latest month."""


def build_checks(dataset: Dataset) -> dg.AssetChecksDefinition:
    """Every rule, on the dataset's table."""
    asset = asset_key(dataset, Stage.KLINES)

    @dg.multi_asset_check(
        name=op_name(*dataset.prefix, f"klines_{dataset.interval}", "checks"),
        specs=[dg.AssetCheckSpec(rule.name, asset=asset, description=rule.description) for rule in RULES.values()],
        can_subset=True,
    )
    def examine(context: dg.AssetCheckExecutionContext, lake: LakeResource) -> Iterator[dg.AssetCheckResult]:
        opened = lake.open()
        has_partitions = context.has_partition_key or context.has_partition_key_range
        days = days_of(context.partition_keys) if has_partitions else latest_days(opened, dataset, _WITHOUT_PARTITION)
        wanted = {key.name for key in context.selected_asset_check_keys}
        for finding in examine_days(opened, dataset, days):
            if finding.rule in wanted:
                yield check_result(asset, RULES[finding.rule], finding, len(days))

    return examine


def check_result(asset: dg.AssetKey, rule: Rule, finding: Finding, days: int) -> dg.AssetCheckResult:
    """A finding as Dagster shows it."""
    return dg.AssetCheckResult(
        asset_key=asset,
        check_name=rule.name,
        passed=not finding.breaches,
        severity=dg.AssetCheckSeverity(rule.severity.value),
        description=rule.description,
        metadata={
            "breaches": finding.breaches,
            "days_examined": days,
            "bad_days": finding.bad_days,
            "examples": finding.examples,
        },
    )
