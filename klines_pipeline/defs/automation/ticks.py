"""What ticks of sensors and schedules share: whether they are on, what they say while nobody can be asked, the
exchange's time, what Dagster knows of the days.

A tick's body asks `stages` which days are wanted; what stands here is how it is put to Dagster.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime

import dagster as dg

from klines_pipeline.defs.automation.run_requests import RunRequester
from klines_pipeline.defs.keys import rest_pool
from klines_pipeline.defs.partitions import day_partitions
from klines_pipeline.defs.resources import ExchangesResource, LakeResource
from klines_pipeline.domain.automation import Automation
from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.errors import BlockedError, TransientError
from klines_pipeline.exchanges.protocols import Market
from klines_pipeline.exchanges.registry import words_of
from klines_pipeline.stages.watching.tick import Tick

Answer = list[dg.RunRequest] | dg.SkipReason
"""What a schedule's tick says."""


def sensor_status(automation: Automation) -> dg.DefaultSensorStatus:
    """On or off when a daemon first meets a sensor."""
    return dg.DefaultSensorStatus.RUNNING if automation.enabled else dg.DefaultSensorStatus.STOPPED


def schedule_status(automation: Automation) -> dg.DefaultScheduleStatus:
    """On or off when a daemon first meets a schedule."""
    return dg.DefaultScheduleStatus.RUNNING if automation.enabled else dg.DefaultScheduleStatus.STOPPED


def schedule(
    name: str,
    cron: str,
    body: Callable[[dg.ScheduleEvaluationContext, LakeResource, ExchangesResource], Answer],
    assets: Sequence[dg.AssetKey],
    automation: Automation,
    description: str,
) -> dg.ScheduleDefinition:
    """A schedule over some assets, in UTC, on or off as klines.yaml says."""

    @dg.schedule(
        name=name,
        cron_schedule=cron,
        execution_timezone="UTC",
        target=dg.AssetSelection.assets(*assets),
        default_status=schedule_status(automation),
        description=description,
    )
    def tick(context: dg.ScheduleEvaluationContext, lake: LakeResource, exchanges: ExchangesResource) -> Answer:
        try:
            return body(context, lake, exchanges)
        except (BlockedError, TransientError) as error:
            return dg.SkipReason(_nobody_answers(error))

    return tick


def sensor(
    name: str,
    seconds: int,
    body: Callable[[dg.SensorEvaluationContext, LakeResource, ExchangesResource], dg.SensorResult],
    assets: Sequence[dg.AssetKey],
    automation: Automation,
    description: str,
) -> dg.SensorDefinition:
    """A sensor over some assets, each so many seconds, on or off as klines.yaml says. A tick in an outage keeps the
    cursor.
    """

    @dg.sensor(
        name=name,
        target=dg.AssetSelection.assets(*assets),
        minimum_interval_seconds=seconds,
        default_status=sensor_status(automation),
        description=description,
    )
    def tick(context: dg.SensorEvaluationContext, lake: LakeResource, exchanges: ExchangesResource) -> dg.SensorResult:
        try:
            return body(context, lake, exchanges)
        except (BlockedError, TransientError) as error:
            return dg.SensorResult(skip_reason=_nobody_answers(error), cursor=context.cursor)

    return tick


def answered(
    instance: dg.DagsterInstance, dataset: Dataset, assets: Sequence[dg.AssetKey], automation: Automation, tick: Tick
) -> dg.SensorResult:
    """A sensor's answer after a look: the runs of the days wanted, or why there are none."""
    if tick.now is None:
        return dg.SensorResult(skip_reason=tick.words)
    if reason := why_not_yet(dataset.start, tick.now, dataset.exchange):
        return dg.SensorResult(skip_reason=reason)
    pool = rest_pool(*dataset.prefix, words_of(*dataset.prefix))
    asker = RunRequester(instance, dataset.name, assets, tick.now, automation.days_per_run, pool=pool)
    asked = asker.ask(tick.wanted)
    return asked.result(tick.cursor_after(asked.postponed), tick.words)


def _nobody_answers(error: BlockedError | TransientError) -> str:
    return f"Nothing can be asked for now; the next tick tries again. {error}"


def asked_time(market: Market, *, or_heard: bool = False) -> datetime:
    """The exchange's time, without patience; `or_heard`: also that of a host that does not serve this address, by its
    refusal.
    """
    market.api.hasten()
    try:
        return market.api.now()
    except BlockedError as error:
        if or_heard and error.served_at:
            return error.served_at
        raise


def why_not_yet(start: date, now: datetime, exchange: str) -> str | None:
    """Why nothing can be asked for before the dataset begins; None once it has."""
    if now.date() < start:
        return f"klines.yaml begins on {start}; on {exchange} it is {now:%Y-%m-%d %H:%M} UTC."
    return None


def said_by_dagster(
    instance: dg.DagsterInstance,
    start: date,
    assets: Sequence[dg.AssetKey],
    days: Sequence[date],
    made_of: Mapping[dg.AssetKey, dg.AssetKey],
) -> dict[date, list[str]]:
    """Days whose last run failed, and those of which an asset is not there, or older than the one
    it is made of."""
    said: dict[date, list[str]] = {day: [] for day in days}
    partitions, keys = day_partitions(start), [str(day) for day in days]
    states = {asset: instance.get_status_by_partition(asset, keys, partitions) or {} for asset in assets}
    for day in days:
        bad = (asset for asset, found in states.items() if found.get(str(day)) is dg.AssetPartitionStatus.FAILED)
        if failed := ", ".join(asset.path[-1] for asset in bad):
            said[day].append(f"{failed} failed")
    for asset, source in made_of.items():
        made, before = (_recorded(instance, key, keys) for key in (asset, source))
        for day in days:
            if str(day) in before and made.get(str(day), 0) < before[str(day)]:
                older = f"is older than {source.path[-1]}" if str(day) in made else "is missing"
                said[day].append(f"{asset.path[-1]} {older}")
    return said


def _recorded(instance: dg.DagsterInstance, asset: dg.AssetKey, keys: Sequence[str]) -> Mapping[str, int]:
    """The place of each day's latest materialization in the order of events."""
    kind = dg.DagsterEventType.ASSET_MATERIALIZATION
    return instance.get_latest_storage_id_by_partition(asset, kind, partitions=set(keys))
