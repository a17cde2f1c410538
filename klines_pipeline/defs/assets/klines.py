"""Assets of a dataset: one multi_asset, three steps of one flow. The work is `stages.ingest`.

A range of days is one run, streamed day after day; one day is the special case. Launched again after a failure or a
kill, a run asks only for what the lake has not.
"""

from collections.abc import Callable, Iterator
from datetime import date

import dagster as dg

from klines_pipeline.defs.assets.columns import SCHEMA, archive_columns, kline_columns
from klines_pipeline.defs.assets.metadata import resampled_metadata, stage_metadata
from klines_pipeline.defs.assets.pictures import with_pictures
from klines_pipeline.defs.assets.reporting import DayReport, report
from klines_pipeline.defs.automation.run_requests import kind_of_run
from klines_pipeline.defs.keys import asset_key, op_name, resampled_key, rest_pool, selected_stages, stages_of, steps_of
from klines_pipeline.defs.partitions import RANGE_IS_ONE_RUN, day_partitions, days_of
from klines_pipeline.defs.resources import ExchangesResource, LakeResource
from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.errors import KlinesError
from klines_pipeline.domain.interval import AnyInterval, LongInterval
from klines_pipeline.domain.wanted import Kind
from klines_pipeline.exchanges.protocols import MarketWords
from klines_pipeline.stages.ingest import Ingest, Stage
from klines_pipeline.stages.resample import ResampledDay, resampler
from klines_pipeline.stages.results import DayResult
from klines_pipeline.storage.lake import Lake

CODE_VERSION = "1"


def build_assets(dataset: Dataset, words: MarketWords) -> dg.AssetsDefinition:
    """vision_klines -> rest_klines -> klines; without the first where a market has no archives."""

    @dg.multi_asset(
        name=op_name(*dataset.prefix, f"klines_{dataset.interval}"),
        specs=_specs(dataset, words),
        partitions_def=day_partitions(dataset.start),
        backfill_policy=RANGE_IS_ONE_RUN,
        can_subset=True,
        pool=rest_pool(*dataset.prefix, words),
    )
    def ingest_days(
        context: dg.AssetExecutionContext, lake: LakeResource, exchanges: ExchangesResource
    ) -> Iterator[dg.MaterializeResult[None]]:
        stages = selected_stages(dataset, context.selected_asset_keys)
        steps = steps_of(stages, words)
        opened, days = lake.open(), days_of(context.partition_keys)
        ingest = Ingest(opened, exchanges.market(dataset), dataset, stages=steps, log=context.log.info)
        reports = (_ingested(opened, dataset, result) for result in ingest.days(days))
        comes_often = kind_of_run(context.run) is Kind.FRESHNESS
        shown = reports if comes_often else with_pictures(reports, opened, dataset)
        keys = [asset_key(dataset, stage) for stage in stages]
        yield from report(context, keys, shown, retry_seconds=exchanges.retry_seconds)

    return ingest_days


def _ingested(lake: Lake, dataset: Dataset, result: DayResult) -> DayReport:
    stages = stage_metadata(result, lake, dataset)
    metadata = {asset_key(dataset, stage): values for stage, values in stages.items()}
    failures = {asset_key(dataset, Stage(stage)): text for stage, text in result.failures.items()}
    return DayReport(str(result.day), metadata, failures, result.may_pass)


def build_resampled(dataset: Dataset, words: MarketWords, interval: AnyInterval) -> dg.AssetsDefinition:
    """klines -> resampled_klines of a coarser interval."""
    key = resampled_key(dataset, interval)

    @dg.multi_asset(
        name=op_name(*dataset.prefix, f"resampled_klines_{interval}"),
        specs=[
            _spec(
                dataset,
                key,
                _description(dataset, interval),
                deps=[asset_key(dataset, Stage.KLINES)],
                kinds={"parquet", "polars"},
                metadata={SCHEMA: kline_columns(contracts=words.contracts)},
            )
        ],
        partitions_def=day_partitions(dataset.start),
        backfill_policy=RANGE_IS_ONE_RUN,
    )
    def resample_days(context: dg.AssetExecutionContext, lake: LakeResource) -> Iterator[dg.MaterializeResult[None]]:
        resample = resampler(lake.open(), dataset, interval)
        days = (_resampled(resample, key, day) for day in days_of(context.partition_keys))
        yield from report(context, [key], days)

    return resample_days


def _description(dataset: Dataset, interval: AnyInterval) -> str:
    text = f"{interval} klines computed from klines_{dataset.interval}."
    if not isinstance(interval, LongInterval):
        return f"{text} One that would cover a gap nobody has explained is left out."
    return (
        f"{text} Any day of a period computes its kline again, once the period is closed, and publishes it at the day "
        "on which the period opens; a symbol that lacks a day of it without a reason is left out. A partition that is "
        "up to date says that the period was computed with that day, not that every day of it is there: see left_out."
    )


def _resampled(resample: Callable[[date], ResampledDay], key: dg.AssetKey, day: date) -> DayReport:
    try:
        return DayReport(str(day), {key: resampled_metadata(resample(day))}, {})
    except (KlinesError, OSError) as error:
        return DayReport(str(day), {}, {key: str(error)})


def _specs(dataset: Dataset, words: MarketWords) -> list[dg.AssetSpec]:
    vision, rest, klines = (asset_key(dataset, stage) for stage in Stage)
    archives = [vision] if words.archived else []
    venue, interval = f"{dataset.exchange} {dataset.market}", dataset.interval
    columns = kline_columns(contracts=words.contracts)
    sources = "from its archive, or from REST where that has none" if words.archived else "from REST"
    lacking = "those that no archive has, so a day of complete archives costs no request"
    if not words.archived:
        lacking = "no archive of this market is used"
    specs = {
        Stage.VISION: _spec(
            dataset,
            vision,
            f"Daily {interval} archives that {venue} publishes in its public bucket (Vision), each checked against its "
            ".CHECKSUM and kept byte for byte. A symbol without an archive is noted in the ledger, not an error.",
            kinds={"zip"},
            metadata={SCHEMA: archive_columns(contracts=words.contracts)},
        ),
        Stage.REST: _spec(
            dataset,
            rest,
            f"The {interval} klines of {venue} as REST gave them, closed ones only, each asked for once: {lacking}.",
            deps=archives,
            kinds={"parquet"},
            metadata={SCHEMA: columns},
        ),
        Stage.KLINES: _spec(
            dataset,
            klines,
            f"The table: one {interval} kline per symbol and open time on {venue}, {sources}, with "
            "a certificate per symbol and day that says what is missing and why.",
            deps=[*archives, rest],
            kinds={"parquet", "polars"},
            metadata={SCHEMA: columns, "dagster/table_name": dataset.name},
        ),
    }
    return [specs[stage] for stage in stages_of(words)]


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
        kinds=kinds,
        code_version=CODE_VERSION,
    )
