"""Schedules of a klines dataset: fresh klines from REST all day long, and once a day a look for what nobody mended.

Which days are wanted, `stages.watching.freshness` and `stages.watching.safety_net` say. Schedules of funding stand in
`funding_schedules`.
"""

from collections.abc import Iterable
from datetime import datetime

import dagster as dg

from klines_pipeline.defs.automation.upkeep import Found, Seen, Upkeep, lacks_nothing
from klines_pipeline.defs.checks.quality import fresh_checks
from klines_pipeline.defs.keys import asset_key, chain, resampled_key
from klines_pipeline.domain.automation import Automation, symbol_day_seconds
from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.wanted import Wanted
from klines_pipeline.exchanges.protocols import Market, MarketWords
from klines_pipeline.stages.ingest import Stage
from klines_pipeline.stages.watching.freshness import wanted_for_freshness
from klines_pipeline.stages.watching.safety_net import (
    examined_days,
    older_days,
    older_repairs,
    symbols_held,
    wanted_repairs,
)
from klines_pipeline.storage.lake import Lake

SAFETY_NET_CRON = "30 11 * * *"
"""Half past eleven UTC: the archives of the day before are out by then, as a rule."""


def build_schedules(dataset: Dataset, words: MarketWords, automation: Automation) -> list[dg.ScheduleDefinition]:
    """freshness and safety_net of one dataset."""
    seconds = symbol_day_seconds(dataset.interval.bars_per_day, archived=words.archived)
    upkeep = Upkeep(
        dataset,
        f"klines_{dataset.interval}",
        automation,
        assets=chain(dataset, words),
        archives=asset_key(dataset, Stage.VISION),
        fresh_checks=fresh_checks(dataset),
        made_of={resampled_key(dataset, interval): asset_key(dataset, Stage.KLINES) for interval in dataset.resample},
    )

    def fresh(lake: Lake, market: Market, now: datetime) -> Iterable[Wanted]:
        del market  # the ledgers tell it all
        return wanted_for_freshness(lake, dataset, now, archived=words.archived)

    def unmended(seen: Seen) -> Found:
        longest = automation.days_of_history(symbols_held(seen.lake, dataset), seconds)
        days = examined_days(dataset.start, seen.today, automation.safety_net_days)
        older = older_days(seen.lake, dataset, min(days, default=dataset.start), seen.today, longest)
        said = seen.said_of([*older, *days])
        lately = wanted_repairs(seen.lake, dataset, days, seen.today, said)
        long_ago = older_repairs(seen.lake, dataset, older, seen.today, said, longest)
        return Found([*lately, *long_ago], longest, lacks_nothing(days, older))

    return [
        upkeep.freshness(
            automation.freshness_cron,
            fresh,
            "No kline has closed that the lake has not",
            f"Keeps {dataset} fresh: every {automation.freshness_minutes} minutes, the klines that have closed since "
            "then are asked from REST, of the day in progress and of each day "
            f"{'not archived yet' if words.archived else 'not closed'}, one slice a symbol. The exchange's clock "
            "decides what has closed. Nothing is requested while the run before is still under way.",
        ),
        upkeep.safety_net(
            SAFETY_NET_CRON,
            unmended,
            f"Once a day, looks at the last {automation.safety_net_days} days of {dataset}, and at a seventh of all "
            "days before them, and requests again those that are missing, damaged, failed, not resampled, or that lack "
            "klines on which REST has not been heard; those around the end of a listing once the bucket tells; and "
            "damaged archives ever more seldom. A run asks only for what the lake lacks.",
        ),
    ]
