"""Telling Dagster what became of each day: good days green with their own metadata, bad days red, exit code 1.

All days good: metadata by partition, and the step returns. Any bad: the good days are logged as materializations and
one Failure names the bad ones. Logging them as they finish would record each good day twice in a run that succeeds.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import dagster as dg

from klines_pipeline.defs.assets.metadata import Metadata
from klines_pipeline.defs.automation.run_requests import kind_of_run
from klines_pipeline.defs.operations.lost_runs import sign_run
from klines_pipeline.domain.errors import KlinesError, may_pass
from klines_pipeline.domain.wanted import Kind

_NAMED_DAYS = 20
_TRIES = 2


class DayReport(NamedTuple):
    """What is kept of a day once its rows are let go: metadata of each asset, and why an asset failed that day."""

    partition: str
    metadata: Mapping[dg.AssetKey, Metadata]
    failures: Mapping[dg.AssetKey, str]
    may_pass: bool = False
    """Whether another try soon may succeed."""


def report(
    context: dg.AssetExecutionContext,
    keys: Sequence[dg.AssetKey],
    days: Iterable[DayReport],
    *,
    retry_seconds: int | None = None,
) -> Iterator[dg.MaterializeResult[None]]:
    """Consume the days, then record them for the assets named. With `retry_seconds` an outage gets a second try."""
    sign_run(context)
    reports = list[DayReport]()
    try:
        reports.extend(days)
    except KlinesError as error:
        if may_pass(error):
            _try_again(context, retry_seconds, error)
        _record_good_days(context, keys, reports)
        raise dg.Failure(str(error), allow_retries=False) from error
    except BaseException:  # whatever it was, a cancelled run too: days that are done stay done
        _record_good_days(context, keys, reports)
        raise
    if not reports:
        raise dg.Failure(
            "The range holds no day. Write it as FIRST...LAST, the earlier day first.", allow_retries=False
        )
    if bad := [day for day in reports if day.failures]:
        failure = _failure(keys[-1], bad)
        if all(day.may_pass for day in bad):
            _try_again(context, retry_seconds, failure)
        _record_good_days(context, keys, reports)
        raise failure
    context.log.info(_summary(keys[-1], reports))
    for day in reports:
        for key in keys:
            context.add_asset_metadata(day.metadata[key], asset_key=key, partition_key=day.partition)
    for key in keys:
        yield dg.MaterializeResult(asset_key=key)


def _try_again(context: dg.AssetExecutionContext, seconds: int | None, cause: Exception) -> None:
    """Have Dagster start the step again, once. Nothing is recorded before: the second try meets the good days anew.

    Whoever begins a run by hand is told at once, and the next freshness run is the second try of the one before.
    """
    is_patient = kind_of_run(context.run) not in (None, Kind.FRESHNESS)
    if seconds is not None and is_patient and context.retry_number + 1 < _TRIES:
        raise dg.RetryRequested(max_retries=_TRIES - 1, seconds_to_wait=seconds) from cause


def _summary(asset: dg.AssetKey, reports: Sequence[DayReport]) -> str:
    metadata = (day.metadata[asset] for day in reports)
    rows = sum({values.get("period", number): values.get("rows", 0) for number, values in enumerate(metadata)}.values())
    days = f"{len(reports)} day(s), {reports[0].partition} to {reports[-1].partition}"
    return f"{asset.to_user_string()}: {days}, {rows:,} rows"


def _record_good_days(
    context: dg.AssetExecutionContext, keys: Sequence[dg.AssetKey], reports: Sequence[DayReport]
) -> None:
    for day in reports:
        for key in keys:
            if key not in day.failures:
                event = dg.AssetMaterialization(key, partition=day.partition, metadata=day.metadata[key])
                context.log_event(event)


def _failure(asset: dg.AssetKey, bad: Sequence[DayReport]) -> dg.Failure:
    lines = [f"{day.partition}: {text}" for day in bad for text in dict.fromkeys(day.failures.values())]
    more = [f"... and {len(lines) - _NAMED_DAYS} more"] if len(lines) > _NAMED_DAYS else []
    details = "\n".join(lines[:_NAMED_DAYS] + more)
    return dg.Failure(
        f"{asset.to_user_string()}: {len(bad)} day(s) failed. What could be had is in the lake; materialize these days "
        f"again and only what is missing is asked for.\n{details}",
        metadata={"failed_days": [day.partition for day in bad]},
        allow_retries=False,
    )
