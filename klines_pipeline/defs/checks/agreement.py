"""Asset checks that take a second source: REST beside the archives, the exchange's own klines beside resampled ones.

REST is asked in runs that sensors and schedules request, and where a check is run by itself. Whoever materializes by
hand was promised that complete archives cost no request, and freshness runs come every few minutes: neither asks, and
what was not compared leaves the last result as it stands: freshness requests do not even select these checks. No pool:
three answers wait for nobody's backfill.
"""

from collections.abc import Iterator

import dagster as dg

from klines_pipeline.defs.automation.run_requests import kind_of_run
from klines_pipeline.defs.checks.quality import check_specs, run_days
from klines_pipeline.defs.checks.results import comparison_result
from klines_pipeline.defs.keys import asset_key, op_name, resampled_key
from klines_pipeline.defs.resources import ExchangesResource, LakeResource
from klines_pipeline.defs.unpublished import materializes
from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.interval import Interval
from klines_pipeline.domain.wanted import Kind
from klines_pipeline.exchanges.protocols import MarketWords
from klines_pipeline.klines.agreement import RESAMPLED_EQUALS, REST_AGREES
from klines_pipeline.stages.checking.agreement import compare_archives, compare_resampled
from klines_pipeline.stages.ingest import Stage


def build_agreement_checks(dataset: Dataset, words: MarketWords) -> list[dg.AssetChecksDefinition]:
    """Of the table where archives are published, and of each resampled one that the exchange has klines of, too.

    Longer intervals than a day have none: no dataset can hold the exchange's own, and REST is not asked for them.
    """
    resampled = [found for found in dataset.resample if isinstance(found, Interval) and str(found) in words.intervals]
    archives = [_of_archives(dataset)] if words.archived else []
    return [*archives, *(_of_resampled(dataset, interval) for interval in resampled)]


def _of_archives(dataset: Dataset) -> dg.AssetChecksDefinition:
    asset = asset_key(dataset, Stage.KLINES)

    @dg.multi_asset_check(
        name=op_name(*dataset.prefix, f"klines_{dataset.interval}", REST_AGREES.name),
        specs=check_specs(asset, [REST_AGREES]),
        can_subset=True,
    )
    def agree(
        context: dg.AssetCheckExecutionContext, lake: LakeResource, exchanges: ExchangesResource
    ) -> Iterator[dg.AssetCheckResult]:
        if not _may_ask(context):
            return
        opened, market = lake.open(), exchanges.market(dataset)
        try:
            compared = compare_archives(opened, market, dataset, run_days(context, opened, dataset))
        finally:
            market.api.close()
        yield comparison_result(asset, REST_AGREES, compared)

    return agree


def _of_resampled(dataset: Dataset, interval: Interval) -> dg.AssetChecksDefinition:
    asset = resampled_key(dataset, interval)

    @dg.multi_asset_check(
        name=op_name(*dataset.prefix, f"resampled_klines_{interval}", "from", f"{dataset.interval}", "checks"),
        specs=check_specs(asset, [RESAMPLED_EQUALS]),
        can_subset=True,
    )
    def equal(
        context: dg.AssetCheckExecutionContext, lake: LakeResource, exchanges: ExchangesResource
    ) -> Iterator[dg.AssetCheckResult]:
        opened, market = lake.open(), exchanges.market(dataset) if _may_ask(context) else None
        try:
            compared = compare_resampled(opened, dataset, interval, run_days(context, opened, dataset), market)
        finally:
            if market is not None:
                market.api.close()
        if compared.rows or compared.differing or market is not None:
            yield comparison_result(asset, RESAMPLED_EQUALS, compared)

    return equal


def _may_ask(context: dg.AssetCheckExecutionContext) -> bool:
    is_requested = kind_of_run(context.run) not in (None, Kind.FRESHNESS)
    return is_requested or not materializes(context)
