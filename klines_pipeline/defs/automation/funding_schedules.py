"""Schedules of funding: the newest settlements each hour, and once a day the archives' news and what nobody mended.

Which days are wanted, `freshness`, `news` and `safety_net` of `stages.funding` say.
"""

from collections.abc import Iterable
from datetime import datetime

import dagster as dg

from klines_pipeline.defs.assets.funding import funding_chain, funding_fresh_checks, funding_key
from klines_pipeline.defs.automation.upkeep import Found, Seen, Upkeep, lacks_nothing
from klines_pipeline.domain.automation import Automation
from klines_pipeline.domain.wanted import Wanted
from klines_pipeline.exchanges.protocols import Market
from klines_pipeline.exchanges.registry import words_of
from klines_pipeline.stages.funding.dataset import FundingDataset
from klines_pipeline.stages.funding.freshness import wanted_of_funding
from klines_pipeline.stages.funding.ingest import FundingStage
from klines_pipeline.stages.funding.news import archive_news
from klines_pipeline.stages.funding.safety_net import funding_repairs, older_funding_days, older_funding_repairs
from klines_pipeline.stages.watching.safety_net import examined_days
from klines_pipeline.storage.lake import Lake

HOURLY_CRON = "10 * * * *"
"""Ten minutes past: what was settled on the hour is there for good."""
DAILY_CRON = "40 11 * * *"
"""Monthly archives came at about eight UTC."""


def build_funding_schedules(dataset: FundingDataset, automation: Automation) -> list[dg.ScheduleDefinition]:
    """freshness and safety_net of one market's funding."""
    venue, longest = " ".join(dataset.prefix), automation.days_per_run
    archived = words_of(*dataset.prefix).archived
    archives = "requests the days whose monthly archive came or was published anew, and " if archived else ""
    upkeep = Upkeep(
        dataset,
        "funding",
        automation,
        assets=funding_chain(dataset),
        archives=funding_key(dataset, FundingStage.VISION),
        fresh_checks=funding_fresh_checks(dataset),
        made_of={},
    )

    def fresh(lake: Lake, market: Market, now: datetime) -> Iterable[Wanted]:
        return wanted_of_funding(lake, market, dataset, now)

    def unmended(seen: Seen) -> Found:
        lake, market, today = seen.lake, seen.market, seen.today
        news = archive_news(lake, market, dataset, today, automation.revisit_days)
        days = examined_days(dataset.start, today, automation.safety_net_days)
        older = older_funding_days(lake, dataset, min(days, default=dataset.start), today, longest)
        said = seen.said_of([*older, *days])
        lately = funding_repairs(lake, market, dataset, days, today, said)
        long_ago = older_funding_repairs(lake, market, dataset, older, today, said, longest)
        words = " ".join(text for text in (lacks_nothing(days, older), news.words) if text)
        return Found([*news.wanted, *lately, *long_ago], longest, words)

    return [
        upkeep.freshness(
            HOURLY_CRON,
            fresh,
            "Nothing was settled since",
            f"Ten minutes past each hour, asks REST for the funding settled on {venue} yesterday and today, one "
            "request a symbol in the limit that funding has for itself. Earlier days that were never materialized are "
            "asked for too. Nothing is asked for while the run before is still under way.",
        ),
        upkeep.safety_net(
            DAILY_CRON,
            unmended,
            f"Once a day, {archives}requests those of the last {automation.safety_net_days} days of {dataset}, and of "
            "a seventh of all days before them, that are missing, damaged, failed, or that lack settlements on which "
            "REST has not been heard.",
        ),
    ]
