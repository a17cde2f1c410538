"""The code location from settings: a dataset's words are checked against its exchange, then its assets are built."""

import logging
from collections.abc import Sequence
from datetime import date
from itertools import chain

import dagster as dg

from klines_pipeline.defs.assets.catalog import catalogued
from klines_pipeline.defs.assets.funding import build_funding, build_funding_checks, funding_key
from klines_pipeline.defs.assets.klines import build_assets, build_resampled
from klines_pipeline.defs.assets.symbols import build_symbols
from klines_pipeline.defs.automation.conditions import build_condition_sensors, declare
from klines_pipeline.defs.automation.funding_schedules import build_funding_schedules
from klines_pipeline.defs.automation.left_behind import Derived, build_left_behind
from klines_pipeline.defs.automation.published_days import build_published_days
from klines_pipeline.defs.automation.rewritten_archives import build_rewritten_archives
from klines_pipeline.defs.automation.schedules import build_schedules
from klines_pipeline.defs.checks.agreement import build_agreement_checks
from klines_pipeline.defs.checks.quality import build_checks
from klines_pipeline.defs.keys import asset_key, resampled_key
from klines_pipeline.defs.operations.alerts import build_alerts
from klines_pipeline.defs.operations.housekeeping import build_housekeeping, housekeeping
from klines_pipeline.defs.operations.lost_runs import build_lost_runs
from klines_pipeline.defs.resources import ExchangesResource, LakeResource
from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.exchanges.registry import check_dataset, check_endpoints, words_of
from klines_pipeline.settings import Settings
from klines_pipeline.stages.funding.dataset import funding_datasets
from klines_pipeline.stages.funding.ingest import FundingStage
from klines_pipeline.stages.ingest import Stage


def build_definitions(settings: Settings) -> dg.Definitions:
    """No network, no listing, no file beyond klines.yaml."""
    logging.getLogger("klines_pipeline").setLevel(settings.log_level)
    check_endpoints(settings.endpoints)
    for dataset in settings.datasets:
        check_dataset(dataset, where=f"klines.yaml: {dataset}")
    made = catalogued(_assets(settings.datasets), lake=settings.lake, owners=settings.owners)
    assets, checks = declare(made, settings.datasets, settings.automation), _checks(settings)
    return dg.Definitions(
        assets=assets,
        asset_checks=checks,
        jobs=[housekeeping],
        schedules=_schedules(settings),
        sensors=_sensors(settings, assets, checks),
        resources={
            "lake": LakeResource(root=settings.lake, options=dict(settings.lake_options)),
            "exchanges": ExchangesResource(
                endpoints=dict(settings.endpoints),
                state=settings.state,
                retry_seconds=settings.automation.retry_seconds,
            ),
        },
        executor=dg.in_process_executor,
    )


def _assets(datasets: Sequence[Dataset]) -> list[dg.AssetsDefinition]:
    return [
        *(build_assets(dataset, words_of(*dataset.prefix)) for dataset in datasets),
        *(
            build_resampled(dataset, words_of(*dataset.prefix), interval)
            for dataset in datasets
            for interval in dataset.resample
        ),
        *(build_symbols(*venue) for venue in sorted({dataset.prefix for dataset in datasets})),
        *build_funding(datasets),
    ]


def _checks(settings: Settings) -> list[dg.AssetChecksDefinition]:
    return [
        *(build_checks(dataset, settings.automation.cadence) for dataset in settings.datasets),
        *(check for data in settings.datasets for check in build_agreement_checks(data, words_of(*data.prefix))),
        *build_funding_checks(settings.datasets),
    ]


def _schedules(settings: Settings) -> list[dg.ScheduleDefinition]:
    """What comes round by the clock."""
    automation = settings.automation
    by_dataset = [build_schedules(data, words_of(*data.prefix), automation) for data in settings.datasets]
    by_market = [build_funding_schedules(found, automation) for found in funding_datasets(settings.datasets)]
    return [*chain.from_iterable(by_dataset), *chain.from_iterable(by_market), build_housekeeping(automation)]


def _sensors(
    settings: Settings, assets: Sequence[dg.AssetsDefinition], checks: Sequence[dg.AssetChecksDefinition]
) -> list[dg.SensorDefinition]:
    """What watches by itself."""
    automation = settings.automation
    markets = [(dataset, words_of(*dataset.prefix)) for dataset in settings.datasets]
    return [
        *(build_published_days(dataset, words, automation) for dataset, words in markets),
        *(build_rewritten_archives(dataset, words, automation) for dataset, words in markets if words.archived),
        *build_condition_sensors(assets, automation),
        *build_left_behind(_derived(settings.datasets, checks), automation),
        build_lost_runs(automation, {made.op.pool for made in assets if made.op.pool}),
        *([build_alerts(settings.alert_url, _kept(settings))] if settings.alert_url else []),
    ]


def _derived(datasets: Sequence[Dataset], checks: Sequence[dg.AssetChecksDefinition]) -> dict[str, Derived]:
    """By dataset, what follows its table."""
    found = {
        str(data): (asset_key(data, Stage.KLINES), [resampled_key(data, to) for to in data.resample])
        for data in datasets
    }
    found |= {str(data): (funding_key(data, FundingStage.FUNDING), []) for data in funding_datasets(datasets)}
    keys = [key for made in checks for key in made.check_keys]
    return {
        name: Derived(table, made, [key for key in keys if key.asset_key in {table, *made}])
        for name, (table, made) in found.items()
    }


def _kept(settings: Settings) -> dict[str, date]:
    """What automation keeps, by name, with its first day; nothing where it is off."""
    if not settings.automation.enabled:
        return {}
    klines = {str(dataset): dataset.start for dataset in settings.datasets}
    return klines | {str(dataset): dataset.start for dataset in funding_datasets(settings.datasets)}
