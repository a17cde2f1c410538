"""Asset keys: the folder's words, the table's name and the asset's key are one."""

from collections.abc import Iterable, Sequence

import dagster as dg

from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.interval import AnyInterval
from klines_pipeline.exchanges.protocols import MarketWords
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


def stages_of(words: MarketWords) -> list[Stage]:
    """The stages that are assets on a market: without archives there is nothing to show of them."""
    return [stage for stage in Stage if words.archived or stage is not Stage.VISION]


def steps_of(selected: Sequence[Stage], words: MarketWords) -> list[Stage]:
    """The stages to run for the selected ones: where archives are no asset, looking for them is REST's first step."""
    hidden = not words.archived and Stage.REST in selected
    return [Stage.VISION, *selected] if hidden else [*selected]


def op_name(*parts: str) -> str:
    """A name Dagster accepts for the step behind an asset."""
    return "__".join(parts)


def rest_pool(exchange: str, market: str, words: MarketWords) -> str:
    """The pool of all steps that ask one REST host: `binance_spot_rest`, `okx_rest`."""
    return f"{words.rest_host or f'{exchange}_{market}'}_rest"


def chain(dataset: Dataset, words: MarketWords) -> list[dg.AssetKey]:
    """Every asset of a dataset, from the archives to what is resampled from its table."""
    stages = [asset_key(dataset, stage) for stage in stages_of(words)]
    return [*stages, *(resampled_key(dataset, interval) for interval in dataset.resample)]
