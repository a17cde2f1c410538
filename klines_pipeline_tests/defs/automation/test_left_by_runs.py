"""Which of what a run planned is asked for again, in runs of a small code location whose parts fail as told."""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta

import dagster as dg

from klines_pipeline.defs.automation.left_behind import LEFT_BY, Derived, follow
from klines_pipeline.defs.automation.run_requests import DATASET, FIRST, KIND, LAST, REASON, REQUESTED_AT
from klines_pipeline.defs.automation.tick_notes import RUN_KEY
from klines_pipeline_tests.defs.conftest import days

DAYS = dg.DailyPartitionsDefinition("2025-03-01")
NAME, AT = "binance/spot/klines_1h", "2025-03-09T09:00:00+00:00"
TABLE, FOUR, SIX = (dg.AssetKey(name) for name in ("table", "four_hours", "six_hours"))
UNIQUE, AGREES, EQUAL = (
    dg.AssetCheckKey(asset, name) for asset, name in ((TABLE, "unique"), (TABLE, "agrees"), (SIX, "equal"))
)
DERIVED = {NAME: Derived(TABLE, [FOUR, SIX], [UNIQUE, AGREES, EQUAL])}


def parts(*, bad: Collection[str]) -> list[dg.AssetsDefinition | dg.AssetChecksDefinition]:
    """A table, two assets made from it and three checks, of which some fail: on days, or altogether."""

    def made(key: dg.AssetKey, *sources: dg.AssetKey) -> dg.AssetsDefinition:
        @dg.multi_asset(
            name=key.path[-1],
            specs=[dg.AssetSpec(key, deps=sources, partitions_def=DAYS)],
            backfill_policy=dg.BackfillPolicy.single_run(),
        )
        def make(context: dg.AssetExecutionContext) -> None:
            broken = {*bad} & {key.path[-1], *context.partition_keys}
            for day in {*context.partition_keys} - broken if key.path[-1] not in broken else ():
                context.log_event(dg.AssetMaterialization(key, partition=day))
            if broken:
                raise dg.Failure(f"{sorted(broken)} cannot be made.", allow_retries=False)

        return make

    def checked(key: dg.AssetCheckKey) -> dg.AssetChecksDefinition:
        @dg.asset_check(asset=key.asset_key, name=key.name)
        def check() -> dg.AssetCheckResult:
            if key.name in bad:
                raise dg.Failure("Nobody answers.", allow_retries=False)
            return dg.AssetCheckResult(passed=key.name != "unique")

        return check

    return [made(TABLE), made(FOUR, TABLE), made(SIX, TABLE), *map(checked, (UNIQUE, AGREES, EQUAL))]


def run(
    instance: dg.DagsterInstance,
    first: str,
    last: str,
    *,
    bad: Collection[str] = (),
    tags: Mapping[str, str] | None = None,
) -> dg.DagsterRun:
    """One that was asked for and has ended."""
    asked = {DATASET: NAME, KIND: "repair", REASON: "for a test", REQUESTED_AT: AT, FIRST: first, LAST: last}
    done = dg.materialize(parts(bad=bad), instance=instance, tags={**asked, **(tags or {})}, raise_on_error=False)
    assert done.success is not bool(bad)
    return done.dagster_run


def under_way(instance: dg.DagsterInstance, first: str, last: str) -> dg.DagsterRun:
    """A run of the dataset that has not ended."""
    tags = {DATASET: NAME, KIND: "published", FIRST: first, LAST: last}
    return instance.add_run(dg.DagsterRun("assets", tags=tags, status=dg.DagsterRunStatus.STARTED))


def look(instance: dg.DagsterInstance, cursor: str | None = None) -> dg.SensorResult:
    return follow(instance, cursor, DERIVED, datetime.now(UTC))


def asked(found: dg.SensorResult) -> list[tuple[str, str]]:
    return [days(request) for request in found.run_requests or ()]


def ended(instance: dg.DagsterInstance, found: dg.DagsterRun) -> datetime:
    record = instance.get_run_record_by_id(found.run_id)
    assert record is not None
    assert record.end_time is not None
    return datetime.fromtimestamp(record.end_time, UTC)


def test_what_the_run_made_and_checked_is_not_asked_for_again_whatever_the_check_found(
    instance: dg.DagsterInstance,
) -> None:
    failed = run(instance, "2025-03-01", "2025-03-02", bad={"six_hours", "agrees"})

    [request] = look(instance).run_requests or ()

    assert days(request) == ("2025-03-01", "2025-03-02")
    assert request.asset_selection == [SIX]
    assert {*(request.asset_check_keys or ())} == {AGREES, EQUAL}, "unique was evaluated, and told"
    assert (request.tags[LEFT_BY], request.tags[REQUESTED_AT]) == (failed.run_id, AT)


def test_a_run_that_made_everything_and_failed_on_a_check_is_asked_for_that_check_alone(
    instance: dg.DagsterInstance,
) -> None:
    run(instance, "2025-03-01", "2025-03-01", bad={"agrees"})

    [request] = look(instance).run_requests or ()

    assert (request.asset_selection, request.asset_check_keys) == ([], [AGREES])


def test_each_of_two_failed_runs_has_its_good_days_asked_for(instance: dg.DagsterInstance) -> None:
    run(instance, "2025-03-01", "2025-03-02", bad={"2025-03-02"})
    run(instance, "2025-03-04", "2025-03-06", bad={"2025-03-05"})

    found = look(instance)

    assert asked(found) == [("2025-03-01", "2025-03-01"), ("2025-03-04", "2025-03-04"), ("2025-03-06", "2025-03-06")]


def test_good_days_that_are_on_their_way_are_asked_for_once_they_are_free(instance: dg.DagsterInstance) -> None:
    first = run(instance, "2025-03-01", "2025-03-02", bad={"2025-03-02"})
    other = under_way(instance, "2025-03-01", "2025-03-01")
    run(instance, "2025-03-05", "2025-03-06", bad={"2025-03-06"})

    found = look(instance, (ended(instance, first) + timedelta(seconds=4)).isoformat())
    assert asked(found) == [("2025-03-05", "2025-03-05")]
    assert found.cursor == ended(instance, first).isoformat(), "the next looks begin there, however late"
    [request] = found.run_requests or ()
    run(instance, *days(request), tags={**request.tags, RUN_KEY: str(request.run_key)})

    found = look(instance, found.cursor)
    assert asked(found) == []
    assert found.skip_reason is not None
    assert found.skip_reason.skip_message == (
        f"What the run {first.run_id[:8]} left: 1 day(s) repair are on their way."
    )
    instance.report_run_failed(other)

    found = look(instance, found.cursor)
    assert asked(found) == [("2025-03-01", "2025-03-01")]


def test_a_run_meanwhile_that_did_all_that_was_left_settles_it_and_one_that_did_less_does_not(
    instance: dg.DagsterInstance,
) -> None:
    run(instance, "2025-03-01", "2025-03-03", bad={"2025-03-02"})
    run(instance, "2025-03-01", "2025-03-01")
    less = parts(bad=())[:2]
    tags = {DATASET: NAME, KIND: "freshness", FIRST: "2025-03-03", LAST: "2025-03-03"}
    assert dg.materialize(less, instance=instance, tags=tags).success

    assert asked(look(instance)) == [("2025-03-03", "2025-03-03")]


def test_what_was_asked_for_is_not_asked_for_again_when_that_failed_too(instance: dg.DagsterInstance) -> None:
    run(instance, "2025-03-01", "2025-03-02", bad={"2025-03-02"})
    [request] = look(instance).run_requests or ()
    key = {RUN_KEY: str(request.run_key)}
    run(instance, *days(request), bad={"table"}, tags={**request.tags, **key})

    found = look(instance)

    assert asked(found) == []
    assert found.skip_reason is not None
    assert found.skip_reason.skip_message == "No run has left a good day behind."


def test_a_run_recorded_after_one_that_ended_later_is_found(instance: dg.DagsterInstance) -> None:
    failed = run(instance, "2025-03-01", "2025-03-02", bad={"2025-03-02"})
    end = ended(instance, failed)

    assert asked(look(instance, (end + timedelta(seconds=8)).isoformat())) == []
    assert asked(look(instance, (end + timedelta(seconds=3)).isoformat())) == [("2025-03-01", "2025-03-01")]
