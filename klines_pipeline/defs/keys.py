"""Asset keys: the folder's words, the table's name and the asset's key are one."""

from collections.abc import Iterable

import dagster as dg

from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.interval import AnyInterval
from klines_pipeline.stages.ingest import Stage


def asset_key(dataset: Dataset, stage: Stage) -> dg.AssetKey:
    """`binance/spot/vision_klines_1m`."""
    return dg.AssetKey([*dataset.prefix, f"{stage}_{dataset.interval}"])


def resampled_key(dataset: Dataset, interval: AnyInterval) -> dg.AssetKey:
    """`binance/spot/resampled_klines_1h`."""
    return dg.AssetKey([*dataset.prefix, f"resampled_klines_{interval}"])


def selected_stages(dataset: Dataset, selected: Iterable[dg.AssetKey]) -> list[Stage]:
    """Stages of the selected assets, in order of the flow."""
    keys = set(selected)
    return [stage for stage in Stage if asset_key(dataset, stage) in keys]


def op_name(*parts: str) -> str:
    """A name Dagster accepts for the step behind an asset."""
    return "__".join(parts)
