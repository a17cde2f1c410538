"""Telling Dagster what became of each day: good days green with their own metadata, bad days red, exit code 1.

All days good: metadata by partition, and the step returns. Any bad: the good days are logged as materializations and
one Failure names the bad ones. Logging them as they finish would record each good day twice in a run that succeeds.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import dagster as dg

from klines_pipeline.defs.metadata import Metadata, stage_metadata
from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.stages.ingest import Stage
from klines_pipeline.stages.results import DayResult

_NAMED_DAYS = 20


class DayReport(NamedTuple):
    """What is kept of a day once its rows are let go."""

    partition: str
    metadata: Mapping[Stage, Metadata]
    failures: Mapping[str, str]


def asset_key(dataset: Dataset, stage: Stage) -> dg.AssetKey:
    """`binance/spot/vision_klines_1m`."""
    return dg.AssetKey([*dataset.prefix, f"{stage}_{dataset.interval}"])


def selected_stages(dataset: Dataset, selected: Iterable[dg.AssetKey]) -> list[Stage]:
    """Stages of the selected assets, in order of the flow."""
    keys = set(selected)
    return [stage for stage in Stage if asset_key(dataset, stage) in keys]


def report(
    context: dg.AssetExecutionContext, dataset: Dataset, stages: list[Stage], results: Iterable[DayResult]
) -> Iterator[dg.MaterializeResult[None]]:
    """Consume the days, then record them."""
    reports = [DayReport(str(day.day), stage_metadata(day), day.failures) for day in results]
    if any(day.failures for day in reports):
        _record_good_days(context, dataset, stages, reports)
        raise _failure(dataset, [day for day in reports if day.failures])
    for day in reports:
        for stage in stages:
            key = asset_key(dataset, stage)
            context.add_asset_metadata(day.metadata[stage], asset_key=key, partition_key=day.partition)
    for stage in stages:
        yield dg.MaterializeResult(asset_key=asset_key(dataset, stage))


def _record_good_days(
    context: dg.AssetExecutionContext, dataset: Dataset, stages: list[Stage], reports: list[DayReport]
) -> None:
    for day in reports:
        for stage in stages:
            if stage in day.failures:
                continue
            key, metadata = asset_key(dataset, stage), day.metadata[stage]
            context.log_event(dg.AssetMaterialization(key, partition=day.partition, metadata=metadata))


def _failure(dataset: Dataset, bad: list[DayReport]) -> dg.Failure:
    lines = [f"{day.partition}: {text}" for day in bad for text in dict.fromkeys(day.failures.values())]
    more = [f"... and {len(lines) - _NAMED_DAYS} more"] if len(lines) > _NAMED_DAYS else []
    details = "\n".join(lines[:_NAMED_DAYS] + more)
    return dg.Failure(
        f"{dataset}: {len(bad)} day(s) failed. What could be had is in the lake; materialize these days again and only "
        f"what is missing is asked for.\n{details}",
        metadata={"failed_days": [day.partition for day in bad]},
        allow_retries=False,
    )
