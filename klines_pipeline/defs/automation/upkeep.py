"""The two schedules that every dataset has, klines or funding: one keeps it fresh, one looks for what nobody mended.

Which days are wanted, and what to say where none are, is handed in.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import date, datetime

import dagster as dg

from klines_pipeline.defs.automation.run_requests import RunRequester
from klines_pipeline.defs.automation.ticks import Answer, asked_time, said_by_dagster, schedule, why_not_yet
from klines_pipeline.defs.keys import op_name, rest_pool
from klines_pipeline.defs.resources import ExchangesResource, LakeResource
from klines_pipeline.domain.automation import Automation
from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.wanted import Kind, Wanted
from klines_pipeline.exchanges.protocols import Market
from klines_pipeline.exchanges.registry import words_of
from klines_pipeline.stages.funding.dataset import FundingDataset
from klines_pipeline.stages.watching.safety_net import Said
from klines_pipeline.storage.lake import Lake

_MOST_RUNS = 100
"""Asked for by a tick that comes once a day: 13 s to queue them."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the safety net looks at: the lake, the market, the exchange's day, and what Dagster says of days."""

    lake: Lake
    market: Market
    today: date
    said_of: Callable[[Sequence[date]], Said]


@dataclass(frozen=True, slots=True)
class Found:
    """What it found; `longest`: days of one run; `words` for a tick that asks for nothing."""

    wanted: Sequence[Wanted]
    longest: int
    words: str


@dataclass(frozen=True, slots=True)
class Upkeep:
    """Of one dataset, called `name` in its market."""

    dataset: Dataset | FundingDataset
    name: str
    automation: Automation
    assets: Sequence[dg.AssetKey]
    archives: dg.AssetKey
    """The one of them that looks at the bucket."""
    fresh_checks: Sequence[dg.AssetCheckKey]
    made_of: Mapping[dg.AssetKey, dg.AssetKey]
    """Assets that can be older than the one they are made of, with that one."""

    def freshness(
        self, cron: str, wanted: Callable[[Lake, Market, datetime], Iterable[Wanted]], nothing: str, description: str
    ) -> dg.ScheduleDefinition:
        """`nothing` is said, with the time, where no day is wanted."""

        def ask(context: dg.ScheduleEvaluationContext, lake: LakeResource, exchanges: ExchangesResource) -> Answer:
            market = exchanges.connect(*self.dataset.prefix)
            with closing(market.api):
                now = asked_time(market)
                if reason := why_not_yet(self.dataset.start, now, self.dataset.exchange):
                    return dg.SkipReason(reason)
                asker = self._asker(context.instance, now)
                if asker.is_under_way(Kind.FRESHNESS):
                    return dg.SkipReason(
                        "The run that an earlier tick asked for has not ended; this one asks for nothing more."
                    )
                found = list(wanted(lake.open(), market, now))
            return asker.ask(found).tick(f"{nothing}, as of {now:%H:%M} UTC.")

        return self._schedule("freshness", cron, ask, description)

    def safety_net(self, cron: str, look: Callable[[Seen], Found], description: str) -> dg.ScheduleDefinition:
        """A host that does not serve this address still tells it the time."""

        def ask(context: dg.ScheduleEvaluationContext, lake: LakeResource, exchanges: ExchangesResource) -> Answer:
            def said_of(days: Sequence[date]) -> Said:
                return said_by_dagster(context.instance, self.dataset.start, self.assets, days, self.made_of)

            market = exchanges.connect(*self.dataset.prefix)
            with closing(market.api):
                now = asked_time(market, or_heard=True)
                found = look(Seen(lake.open(), market, now.date(), said_of))
            asker = replace(self._asker(context.instance, now), longest=found.longest, most_runs=_MOST_RUNS)
            return asker.ask(found.wanted).tick(found.words)

        return self._schedule("safety_net", cron, ask, description)

    def _asker(self, instance: dg.DagsterInstance, now: datetime) -> RunRequester:
        return RunRequester(
            instance,
            str(self.dataset),
            self.assets,
            now,
            self.automation.days_per_run,
            without_archives=[key for key in self.assets if key != self.archives],
            fresh_checks=self.fresh_checks,
            pool=rest_pool(*self.dataset.prefix, words_of(*self.dataset.prefix)),
        )

    def _schedule(
        self,
        part: str,
        cron: str,
        body: Callable[[dg.ScheduleEvaluationContext, LakeResource, ExchangesResource], Answer],
        description: str,
    ) -> dg.ScheduleDefinition:
        name = op_name(*self.dataset.prefix, self.name, part)
        return schedule(name, cron, body, self.assets, self.automation, description)


def lacks_nothing(days: Sequence[date], older: Sequence[date]) -> str:
    """What is said of days of which nothing is wanted."""
    more = f" Nor do {len(older)} days before them; each is looked at once a week." if older else ""
    return f"The last {len(days)} days lack nothing that a run could bring.{more}"
