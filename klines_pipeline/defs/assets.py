"""Assets of a dataset: one multi_asset, three steps of one flow. The work is `stages.ingest`.

A range of days is one run, streamed day after day; one day is the special case.
"""

from collections.abc import Iterator

import dagster as dg

from klines_pipeline.defs.metadata import column_schema
from klines_pipeline.defs.partitions import day_partitions, days_of
from klines_pipeline.defs.reporting import asset_key, report, selected_stages
from klines_pipeline.defs.resources import ExchangesResource, LakeResource
from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.stages.ingest import Ingest, Stage

CODE_VERSION = "1"


def build_assets(dataset: Dataset) -> dg.AssetsDefinition:
    """vision_klines -> rest_klines -> klines."""

    @dg.multi_asset(
        name="__".join((*dataset.prefix, f"klines_{dataset.interval}")),
        specs=_specs(dataset),
        partitions_def=day_partitions(dataset.start),
        backfill_policy=dg.BackfillPolicy.single_run(),
        can_subset=True,
    )
    def ingest_days(
        context: dg.AssetExecutionContext, lake: LakeResource, exchanges: ExchangesResource
    ) -> Iterator[dg.MaterializeResult[None]]:
        stages = selected_stages(dataset, context.selected_asset_keys)
        ingest = Ingest(lake.open(), exchanges.market(dataset), dataset, stages=stages, log=context.log.info)
        yield from report(context, dataset, stages, ingest.days(days_of(context.partition_keys)))

    return ingest_days


def _specs(dataset: Dataset) -> list[dg.AssetSpec]:
    vision, rest, klines = (asset_key(dataset, stage) for stage in Stage)
    venue, interval = f"{dataset.exchange} {dataset.market}", dataset.interval
    return [
        _spec(
            dataset,
            vision,
            f"Daily {interval} archives that {venue} publishes, each checked against its .CHECKSUM and kept byte for "
            "byte. A symbol that is not published is a recorded state, not an error.",
            kinds={"zip"},
        ),
        _spec(
            dataset,
            rest,
            f"The {interval} klines that no archive of {venue} holds, asked from REST once, closed ones only. A day of "
            "complete archives costs no request.",
            deps=[vision],
            kinds={"parquet"},
        ),
        _spec(
            dataset,
            klines,
            f"The table: one {interval} kline per symbol and open time on {venue}, archive first, REST where "
            "it has none, with a certificate per symbol that says what is missing and why.",
            deps=[vision, rest],
            kinds={"parquet", "polars"},
            metadata={"dagster/column_schema": column_schema(), "dagster/table_name": dataset.name},
        ),
    ]


def _spec(
    dataset: Dataset,
    key: dg.AssetKey,
    description: str,
    *,
    kinds: set[str],
    deps: list[dg.AssetKey] | None = None,
    metadata: dict[str, object] | None = None,
) -> dg.AssetSpec:
    return dg.AssetSpec(
        key,
        deps=deps or [],
        description=description,
        metadata=metadata or {},
        group_name="_".join(dataset.prefix),
        kinds={dataset.exchange, *kinds},
        code_version=CODE_VERSION,
    )
