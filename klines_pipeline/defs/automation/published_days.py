"""Sensors: what is watched, how often, and the runs that follow. The watching is `stages`' affair."""

from datetime import timedelta

import dagster as dg

from klines_pipeline.defs.automation.ticks import answered, sensor
from klines_pipeline.defs.keys import chain, op_name
from klines_pipeline.defs.resources import ExchangesResource, LakeResource
from klines_pipeline.domain.automation import Automation
from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.exchanges.protocols import MarketWords
from klines_pipeline.klines.arrivals import NOBODY_WAITS_LONGER
from klines_pipeline.stages.watching.published_days import watch

_SECONDS = 60


def build_published_days(dataset: Dataset, words: MarketWords, automation: Automation) -> dg.SensorDefinition:
    """`binance__spot__klines_1m__published_days`."""
    keys = chain(dataset, words)

    def published_days(
        context: dg.SensorEvaluationContext, lake: LakeResource, exchanges: ExchangesResource
    ) -> dg.SensorResult:
        market = exchanges.market(dataset)
        tick = watch(lake.open(), market, dataset, automation, context.cursor, log=context.log.info)
        return answered(context.instance, dataset, keys, automation, tick)

    name = op_name(*dataset.prefix, f"klines_{dataset.interval}", "published_days")
    return sensor(name, _SECONDS, published_days, keys, automation, _description(dataset, words, automation))


def _description(dataset: Dataset, words: MarketWords, automation: Automation) -> str:
    history = (
        f"Days since {dataset.start} that the table never had are requested newest first, at most "
        f"{automation.days_per_run} in one run, fewer of many symbols."
    )
    if not words.archived:
        return (
            f"Requests each day of {dataset} once it has ended on the exchange's clock, which is asked each minute; "
            f"{dataset.exchange} has no archives to wait for. {history}"
        )
    hours = NOBODY_WAITS_LONGER / timedelta(hours=1)
    return (
        f"Requests each day of {dataset} when its archives appear; each minute it lists what is published. A day is "
        f"begun once all of its symbols are, or {automation.straggler_share:.0%} of them and "
        f"{automation.straggler_hours:g} hours have passed since the first, or {hours:g} hours whoever is missing; "
        f"those that come later are merged later, in few runs. "
        f"{history} A tick without a run says what it waits for."
    )
