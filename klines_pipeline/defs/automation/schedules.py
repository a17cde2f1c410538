"""Schedules of a klines dataset: fresh klines from REST all day long, and once a day a look for what nobody mended.

Which days are wanted, `stages.watching.freshness` and `stages.watching.safety_net` say. Schedules of funding stand in
`funding_schedules`.
"""

from dataclasses import replace
from datetime import datetime

import dagster as dg

from klines_pipeline.defs.automation.run_requests import RunRequester
from klines_pipeline.defs.automation.ticks import Answer, asked_time, said_by_dagster, schedule, why_not_yet
from klines_pipeline.defs.checks.quality import fresh_checks
from klines_pipeline.defs.keys import asset_key, chain, op_name, resampled_key
from klines_pipeline.defs.resources import ExchangesResource, LakeResource
from klines_pipeline.domain.automation import Automation, symbol_day_seconds
from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.wanted import Kind
from klines_pipeline.exchanges.protocols import MarketWords
from klines_pipeline.stages.ingest import Stage
from klines_pipeline.stages.watching.freshness import wanted_for_freshness
from klines_pipeline.stages.watching.safety_net import (
    examined_days,
    older_days,
    older_repairs,
    symbols_held,
    wanted_repairs,
)

SAFETY_NET_CRON = "30 11 * * *"
"""Half past eleven UTC: the archives of the day before are out by then, as a rule."""
_MOST_REPAIRS = 100
"""Runs asked for in one tick, which comes once a day: 13 s to queue them."""


def build_schedules(dataset: Dataset, words: MarketWords, automation: Automation) -> list[dg.ScheduleDefinition]:
    """freshness and safety_net of one dataset."""
    assets = chain(dataset, words)
    on_rest = [key for key in assets if key != asset_key(dataset, Stage.VISION)]

    seconds = symbol_day_seconds(dataset.interval.bars_per_day, archived=words.archived)

    def asker(context: dg.ScheduleEvaluationContext, now: datetime) -> RunRequester:
        return RunRequester(
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
        now, opened = asked_time(exchanges.market(dataset), or_heard=True), lake.open()
        today, longest = now.date(), automation.days_of_history(symbols_held(opened, dataset), seconds)
        days = examined_days(dataset.start, today, automation.safety_net_days)
        older = older_days(opened, dataset, min(days, default=dataset.start), today, longest)
        said = said_by_dagster(context.instance, dataset.start, assets, [*older, *days], _made_of(dataset))
        lately = wanted_repairs(opened, dataset, days, today, said)
        wanted = [*lately, *older_repairs(opened, dataset, older, today, said, longest)]
        more = f" Nor do {len(older)} days before them; each is looked at once a week." if older else ""
        limited = replace(asker(context, now), longest=longest, most_runs=_MOST_REPAIRS)
        return limited.ask(wanted).tick(f"The last {len(days)} days lack nothing that a run could bring.{more}")

    minutes = automation.freshness_minutes
    return [
        schedule(
            op_name(*dataset.prefix, f"klines_{dataset.interval}", "freshness"),
            automation.freshness_cron,
            ask_for_fresh,
            assets,
            automation,
            f"Keeps {dataset} fresh: every {minutes} minutes, the klines that have closed since then are asked from "
            f"REST, of the day in progress and of each day {'not archived yet' if words.archived else 'not closed'}, "
            "one slice a symbol. The exchange's clock decides what has closed. Nothing is requested while the run "
            "before is still under way.",
        ),
        schedule(
            op_name(*dataset.prefix, f"klines_{dataset.interval}", "safety_net"),
            SAFETY_NET_CRON,
            ask_for_repairs,
            assets,
            automation,
            f"Once a day, looks at the last {automation.safety_net_days} days of {dataset}, and at a seventh of all "
            "days before them, and requests again those that are missing, damaged, failed, not resampled, or that lack "
            "klines on which REST has not been heard. A run asks only for what the lake lacks.",
        ),
    ]


def _made_of(dataset: Dataset) -> dict[dg.AssetKey, dg.AssetKey]:
    return {resampled_key(dataset, interval): asset_key(dataset, Stage.KLINES) for interval in dataset.resample}
