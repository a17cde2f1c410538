"""Telling Dagster what became of each day: good days green with their own metadata, bad days red, exit code 1.

All days good: metadata by partition, and the step returns. Any bad: the good days are logged as materializations and
one Failure names the bad ones. Logging them as they finish would record each good day twice in a run that succeeds.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import dagster as dg

from klines_pipeline.defs.metadata import Metadata
from klines_pipeline.domain.errors import KlinesError

_NAMED_DAYS = 20


class DayReport(NamedTuple):
    """What is kept of a day once its rows are let go: metadata of each asset, and why an asset failed that day."""

    partition: str
    metadata: Mapping[dg.AssetKey, Metadata]
    failures: Mapping[dg.AssetKey, str]


def report(
    context: dg.AssetExecutionContext, keys: Sequence[dg.AssetKey], days: Iterable[DayReport]
) -> Iterator[dg.MaterializeResult[None]]:
    """Consume the days, then record them for the assets named."""
    reports = list[DayReport]()
    try:
        reports.extend(days)
    except KlinesError as error:
        _record_good_days(context, keys, reports)
        raise dg.Failure(str(error), allow_retries=False) from error
    except Exception:  # whatever it was, days that are done stay done
        _record_good_days(context, keys, reports)
        raise
    if not reports:
        raise dg.Failure(
            "The range holds no day. Write it as FIRST...LAST, the earlier day first.", allow_retries=False
        )
    if any(day.failures for day in reports):
        _record_good_days(context, keys, reports)
        raise _failure(keys[-1], [day for day in reports if day.failures])
    context.log.info(_summary(keys[-1], reports))
    for day in reports:
        for key in keys:
            context.add_asset_metadata(day.metadata[key], asset_key=key, partition_key=day.partition)
    for key in keys:
        yield dg.MaterializeResult(asset_key=key)


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
