"""Schedules of funding: the newest settlements each hour, and once a day the archives' news and what nobody mended.

Which days are wanted, `stages.funding.freshness` says.
"""

from contextlib import closing
from datetime import datetime

import dagster as dg

from klines_pipeline.defs.assets.funding import funding_chain, funding_fresh_checks, funding_key
from klines_pipeline.defs.automation.run_requests import RunRequester
from klines_pipeline.defs.automation.ticks import Answer, asked_time, said_by_dagster, schedule, why_not_yet
from klines_pipeline.defs.keys import op_name
from klines_pipeline.defs.resources import ExchangesResource, LakeResource
from klines_pipeline.domain.automation import Automation
from klines_pipeline.exchanges.registry import words_of
from klines_pipeline.stages.funding.dataset import FundingDataset
from klines_pipeline.stages.funding.freshness import archive_news, funding_repairs, wanted_of_funding
from klines_pipeline.stages.funding.ingest import FundingStage
from klines_pipeline.stages.watching.safety_net import examined_days

HOURLY_CRON = "10 * * * *"
"""Ten minutes past: what was settled on the hour is there for good."""
DAILY_CRON = "40 11 * * *"
"""Monthly archives came at about eight UTC."""


def build_funding_schedules(dataset: FundingDataset, automation: Automation) -> list[dg.ScheduleDefinition]:
    """freshness and safety_net of one market's funding."""
    assets = funding_chain(dataset)
    on_rest = [key for key in assets if key != funding_key(dataset, FundingStage.VISION)]
    venue = " ".join(dataset.prefix)
    archived = words_of(*dataset.prefix).archived
    archives = "requests the days whose monthly archive came or was published anew, and " if archived else ""

    def asker(context: dg.ScheduleEvaluationContext, now: datetime) -> RunRequester:
        return RunRequester(
            context.instance,
            str(dataset),
            assets,
            now,
            automation.days_per_run,
            without_archives=on_rest,
            fresh_checks=funding_fresh_checks(dataset),
        )

    def ask_for_newest(
        context: dg.ScheduleEvaluationContext, lake: LakeResource, exchanges: ExchangesResource
    ) -> Answer:
        now = asked_time(exchanges.market(dataset.paragraphs[0]))
        if reason := why_not_yet(dataset.start, now, dataset.exchange):
            return dg.SkipReason(reason)
        market = exchanges.market(dataset.paragraphs[0])
        with closing(market.api):
            wanted = wanted_of_funding(lake.open(), market, dataset, now)
        return asker(context, now).ask(wanted).tick(f"Nothing was settled since, as of {now:%H:%M} UTC.")

    def ask_for_the_rest(
        context: dg.ScheduleEvaluationContext, lake: LakeResource, exchanges: ExchangesResource
    ) -> Answer:
        now, opened = asked_time(exchanges.market(dataset.paragraphs[0]), or_heard=True), lake.open()
        days = examined_days(dataset.start, now.date(), automation.safety_net_days)
        said = said_by_dagster(context.instance, dataset.start, assets, days, {})
        market = exchanges.market(dataset.paragraphs[0])
        market.api.hasten()
        with closing(market.api):
            news = archive_news(opened, market, dataset, now.date(), automation.revisit_days)
            wanted = [*news, *funding_repairs(opened, market, dataset, days, now.date(), said)]
        return (
            asker(context, now)
            .ask(wanted)
            .tick(f"No archive is new, and the last {len(days)} days are complete or explained.")
        )

    return [
        schedule(
            op_name(*dataset.prefix, "funding", "freshness"),
            HOURLY_CRON,
            ask_for_newest,
            assets,
            automation,
            f"Ten minutes past each hour, asks REST for the funding settled on {venue} yesterday and today, one "
            "request a symbol in the limit that funding has for itself. Earlier days that were never materialized are "
            "asked for too.",
        ),
        schedule(
            op_name(*dataset.prefix, "funding", "safety_net"),
            DAILY_CRON,
            ask_for_the_rest,
            assets,
            automation,
            f"Once a day, {archives}requests those of the last {automation.safety_net_days} days of {dataset} that are "
            "missing, failed, or incomplete for a reason that is not the exchange's own.",
        ),
    ]
