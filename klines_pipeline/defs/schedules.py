"""Schedules of a klines dataset: fresh klines from REST all day long, and once a day a look for what nobody mended.

Which days are wanted, `stages.freshness` and `stages.safety_net` say. Schedules of funding stand in
`funding_schedules`.
"""

from datetime import datetime

import dagster as dg

from klines_pipeline.defs.checks import fresh_checks
from klines_pipeline.defs.keys import asset_key, chain, op_name, resampled_key
from klines_pipeline.defs.requests import Asker
from klines_pipeline.defs.resources import ExchangesResource, LakeResource
from klines_pipeline.defs.ticks import Answer, asked_time, said_by_dagster, schedule, why_not_yet
from klines_pipeline.domain.automation import Automation
from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.wanted import Kind
from klines_pipeline.exchanges.protocols import MarketWords
from klines_pipeline.stages.freshness import wanted_for_freshness
from klines_pipeline.stages.ingest import Stage
from klines_pipeline.stages.safety_net import examined_days, wanted_repairs

SAFETY_NET_CRON = "30 11 * * *"
"""Half past eleven UTC: the archives of the day before are out by then, as a rule."""


def build_schedules(dataset: Dataset, words: MarketWords, automation: Automation) -> list[dg.ScheduleDefinition]:
    """freshness and safety_net of one dataset."""
    assets = chain(dataset, words)
    on_rest = [key for key in assets if key != asset_key(dataset, Stage.VISION)]

    def asker(context: dg.ScheduleEvaluationContext, now: datetime) -> Asker:
        return Asker(
            context.instance,
            str(dataset),
            assets,
            now,
            automation.days_per_run,
            without_archives=on_rest,
            fresh_checks=fresh_checks(dataset),
        )

    def ask_for_fresh(
        context: dg.ScheduleEvaluationContext, lake: LakeResource, exchanges: ExchangesResource
    ) -> Answer:
        now = asked_time(exchanges.market(dataset))
        if reason := why_not_yet(dataset.start, now, dataset.exchange):
            return dg.SkipReason(reason)
        if asker(context, now).is_under_way(Kind.FRESHNESS):
            return dg.SkipReason(
                "The run that an earlier tick asked for has not ended; this one asks for nothing more."
            )
        wanted = wanted_for_freshness(lake.open(), dataset, now, archived=words.archived)
        return (
            asker(context, now).ask(wanted).tick(f"No kline has closed that the lake has not, as of {now:%H:%M} UTC.")
        )

    def ask_for_repairs(
        context: dg.ScheduleEvaluationContext, lake: LakeResource, exchanges: ExchangesResource
    ) -> Answer:
        now = asked_time(exchanges.market(dataset), or_heard=True)
        days = examined_days(dataset.start, now.date(), automation.safety_net_days)
        said = said_by_dagster(context.instance, dataset.start, assets, days, _made_of(dataset))
        wanted = wanted_repairs(lake.open(), dataset, days, now.date(), said)
        return asker(context, now).ask(wanted).tick(f"The last {len(days)} days lack nothing that a run could bring.")

    minutes = automation.freshness_minutes
    return [
        schedule(
            op_name(*dataset.prefix, f"klines_{dataset.interval}", "freshness"),
            automation.freshness_cron,
            ask_for_fresh,
            assets,
            automation,
            f"Keeps klines_{dataset.interval} of {' '.join(dataset.prefix)} as fresh as the last closed kline: every "
            f"{minutes} minutes, the day in progress and each day whose archives are not out yet are topped up from "
            "REST, one request a symbol. The exchange's clock decides what has closed. Nothing is asked for while the "
            "run before is still under way.",
        ),
        schedule(
            op_name(*dataset.prefix, f"klines_{dataset.interval}", "safety_net"),
            SAFETY_NET_CRON,
            ask_for_repairs,
            assets,
            automation,
            f"Once a day, looks at the last {automation.safety_net_days} days of klines_{dataset.interval} of "
            f"{' '.join(dataset.prefix)} and asks again for those that are missing, damaged, failed, or incomplete "
            "though REST has not been heard on it all. A run asks only for what the lake has not.",
        ),
    ]


def _made_of(dataset: Dataset) -> dict[dg.AssetKey, dg.AssetKey]:
    return {resampled_key(dataset, interval): asset_key(dataset, Stage.KLINES) for interval in dataset.resample}
