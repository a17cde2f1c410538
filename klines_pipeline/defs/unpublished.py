"""What Dagster has and does not publish, each with why nothing public will do: all of it as seen in 1.13.27. Nothing
else imports from `dagster._` or asks the instance for its storages.

When a newer Dagster breaks one of them, it breaks here.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import dagster as dg
from dagster._core.scheduler.instigation import InstigatorState, InstigatorTick, TickStatus

Tick = InstigatorTick
"""A tick of a sensor or schedule. `dagster` exports how to read runs and events, nothing of ticks."""

_SQLITE_FILES = ("", "-wal", "-shm", "-journal")


def ticks_that_failed(instance: dg.DagsterInstance, since: float, location: str | None, most: int) -> Iterator[Tick]:
    """Of each sensor and schedule of this code location (None: of all), begun since `since` (seconds since 1970). An
    instance in memory keeps none.
    """
    if instance.schedule_storage is None:
        return
    for state in instance.all_instigator_state():
        if _is_here(state, location):
            origin, selector = state.instigator_origin_id, state.selector_id
            yield from instance.get_ticks(origin, selector, after=since, limit=most, statuses=[TickStatus.FAILURE])


def _is_here(state: InstigatorState, location: str | None) -> bool:
    return location is None or state.origin.repository_origin.code_location_origin.location_name == location


def materializes(context: dg.AssetCheckExecutionContext) -> bool:
    """Whether the run makes assets, too. A run's `asset_selection` is None for a check alone and for everything."""
    return bool(context.job_def.asset_layer.executable_asset_keys)


def event_files(instance: dg.DagsterInstance, run_id: str) -> Iterator[Path]:
    """The files that hold a run's events; none on other storages than SQLite. `delete_run` empties them only."""
    shard = getattr(instance.event_log_storage, "path_for_shard", None)
    if shard is not None:
        yield from (Path(f"{shard(run_id)}{ending}") for ending in _SQLITE_FILES)


def open_pools(instance: dg.DagsterInstance, pools: Iterable[str]) -> None:
    """Give pools that the instance has not met the `default_limit` of dagster.yaml; a limit that is set stays.

    The run queue does so itself, but reads the pools before: of those it meets for the first time it starts every run.
    """
    storage, limit = instance.event_log_storage, instance.global_op_concurrency_default_limit
    if limit is None or not storage.supports_global_concurrency_limits:
        return
    for pool in sorted({*pools} - storage.get_concurrency_keys()):
        storage.initialize_concurrency_limit_to_default(pool)


def remember(instance: dg.DagsterInstance, key: str, value: str) -> None:
    """Keep a text where all processes of the instance see it. Sensors have cursors of their own, schedules none."""
    instance.daemon_cursor_storage.set_cursor_values({key: value})


def remembered(instance: dg.DagsterInstance, key: str) -> str | None:
    """What was kept under a key last."""
    return instance.daemon_cursor_storage.get_cursor_values({key}).get(key)
