"""Assets and checks of funding rates: one multi_asset a market, three steps of one flow. See `stages.funding`."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import dagster as dg

from klines_pipeline.defs.assets.columns import SCHEMA, funding_columns
from klines_pipeline.defs.assets.funding_metadata import funding_metadata
from klines_pipeline.defs.assets.reporting import DayReport, report
from klines_pipeline.defs.checks.quality import WITHOUT_PARTITION, check_specs
from klines_pipeline.defs.checks.results import check_result
from klines_pipeline.defs.keys import op_name, rest_pool
from klines_pipeline.defs.partitions import RANGE_IS_ONE_RUN, day_partitions, days_of
from klines_pipeline.defs.resources import ExchangesResource, LakeResource
from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.exchanges.registry import words_of
from klines_pipeline.stages.funding.dataset import FundingDataset, funding_datasets
from klines_pipeline.stages.funding.examine import examine_funding, latest_funding_days
from klines_pipeline.stages.funding.ingest import FundingIngest, FundingStage
from klines_pipeline.stages.funding.results import FundingDay
from klines_pipeline.stages.funding.rules import FUNDING_RULES

CODE_VERSION = "1"


def build_funding(datasets: Sequence[Dataset]) -> list[dg.AssetsDefinition]:
    """vision_funding -> rest_funding -> funding of every market that a dataset asks it for."""
    return [_build_assets(dataset) for dataset in funding_datasets(datasets)]


def build_funding_checks(datasets: Sequence[Dataset]) -> list[dg.AssetChecksDefinition]:
    """Every rule, on each market's table."""
    return [_build_checks(dataset) for dataset in funding_datasets(datasets)]


def funding_key(dataset: FundingDataset, stage: FundingStage) -> dg.AssetKey:
    """`binance/um/vision_funding`."""
    return dg.AssetKey([*dataset.prefix, stage.value])


def funding_chain(dataset: FundingDataset) -> list[dg.AssetKey]:
    """Every asset of a market's funding, from the archives to the table."""
    return [funding_key(dataset, stage) for stage in _stages(dataset)]


def funding_fresh_checks(dataset: FundingDataset) -> list[dg.AssetCheckKey]:
    """Those that speak of days still without archives: what blocks."""
    asset = funding_key(dataset, FundingStage.FUNDING)
    return [dg.AssetCheckKey(asset, name) for name, rule in FUNDING_RULES.items() if rule.truth.blocking]


def _stages(dataset: FundingDataset) -> list[FundingStage]:
    """The stages that are assets: a market without archives has none of them to show."""
    archived = words_of(*dataset.prefix).archived
    return [stage for stage in FundingStage if archived or stage is not FundingStage.VISION]


def _build_assets(dataset: FundingDataset) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name=op_name(*dataset.prefix, "funding"),
        specs=_specs(dataset),
        partitions_def=day_partitions(dataset.start),
        backfill_policy=RANGE_IS_ONE_RUN,
        can_subset=True,
        pool=rest_pool(*dataset.prefix, words_of(*dataset.prefix)),
    )
    def ingest_funding(
        context: dg.AssetExecutionContext, lake: LakeResource, exchanges: ExchangesResource
    ) -> Iterator[dg.MaterializeResult[None]]:
        stages = _selected(dataset, context.selected_asset_keys)
        market = exchanges.market(dataset.paragraphs[0])
        ingest = FundingIngest(lake.open(), market, dataset, stages=stages, log=context.log.info)
        days = (_ingested(dataset, result) for result in ingest.days(days_of(context.partition_keys)))
        keys = [funding_key(dataset, stage) for stage in stages]
        yield from report(context, keys, days, retry_seconds=exchanges.retry_seconds)

    return ingest_funding


def _selected(dataset: FundingDataset, selected: Iterable[dg.AssetKey]) -> list[FundingStage]:
    keys = set(selected)
    return [stage for stage in FundingStage if funding_key(dataset, stage) in keys]


def _ingested(dataset: FundingDataset, result: FundingDay) -> DayReport:
    by_stage = funding_metadata(result)
    metadata = {funding_key(dataset, stage): values for stage, values in by_stage.items()}
    failures = {funding_key(dataset, FundingStage(stage)): text for stage, text in result.failures.items()}
    return DayReport(str(result.day), metadata, failures, result.may_pass)


def _specs(dataset: FundingDataset) -> list[dg.AssetSpec]:
    venue, stages = " ".join(dataset.prefix), _stages(dataset)
    sources, lacking = "from REST", "no archive of this market is used"
    if FundingStage.VISION in stages:
        sources = "from its archive, or from REST where that has none"
        lacking = "those that no archive has, so a day of complete archives costs no request"
    descriptions = {
        FundingStage.VISION: f"Monthly funding archives that {venue} publishes, each checked against its .CHECKSUM and "
        "kept byte for byte. A day's row speaks of the archive of its month.",
        FundingStage.REST: f"The funding rates of {venue} as REST gave them, each asked for once, within a limit of "
        f"their own: {lacking}.",
        FundingStage.FUNDING: f"The table: one funding rate per symbol and settlement on {venue}, {sources}, with a "
        "certificate per symbol and day that says what is missing and why.",
    }
    kinds = {FundingStage.VISION: {"zip"}, FundingStage.REST: {"parquet"}, FundingStage.FUNDING: {"parquet", "polars"}}
    table: Mapping[str, object] = {SCHEMA: funding_columns(), "dagster/table_name": str(dataset)}
    return [
        dg.AssetSpec(
            funding_key(dataset, stage),
            deps=[funding_key(dataset, earlier) for earlier in stages[:place]],
            description=descriptions[stage],
            metadata=table if stage is FundingStage.FUNDING else {},
            group_name="_".join(dataset.prefix),
            kinds=kinds[stage],
            code_version=CODE_VERSION,
        )
        for place, stage in enumerate(stages)
    ]


def _build_checks(dataset: FundingDataset) -> dg.AssetChecksDefinition:
    asset = funding_key(dataset, FundingStage.FUNDING)

    @dg.multi_asset_check(
        name=op_name(*dataset.prefix, "funding", "checks"),
        specs=check_specs(asset, (rule.truth for rule in FUNDING_RULES.values())),
        can_subset=True,
    )
    def examine(context: dg.AssetCheckExecutionContext, lake: LakeResource) -> Iterator[dg.AssetCheckResult]:
        opened = lake.open()
        has_partitions = context.has_partition_key or context.has_partition_key_range
        keys = context.partition_keys if has_partitions else ()
        made = () if has_partitions else days_of(sorted(context.instance.get_materialized_partitions(asset)))
        days = days_of(keys) if has_partitions else latest_funding_days(opened, dataset, WITHOUT_PARTITION, made)
        wanted = {key.name for key in context.selected_asset_check_keys}
        for finding in examine_funding(opened, dataset, days):
            if finding.rule in wanted:
                yield check_result(asset, FUNDING_RULES[finding.rule].truth, finding)

    return examine
