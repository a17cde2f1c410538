"""The daemon on a clock set by hand does what Dagster's own would do, or the thirty days would prove nothing."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from klines_pipeline_tests.unattended.killed_run import order_of, request_of
from klines_pipeline_tests.unattended.stepped_daemon import SteppedDaemon, is_due

NOW = datetime(2025, 3, 4, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.mark.parametrize(
    ("cron", "moment", "due"),
    [
        ("*/5 * * * *", NOW, True),
        ("*/5 * * * *", NOW + timedelta(minutes=4), False),
        ("0 */2 * * *", NOW, False),
        ("0 */2 * * *", NOW + HOUR, True),
        ("30 11 * * *", NOW.replace(hour=11, minute=30), True),
        ("15,45 8-10 * * *", NOW.replace(minute=45), True),
        ("15,45 8-10 * * *", NOW.replace(hour=11, minute=45), False),
        ("0 9 * * 2", NOW, True),
        ("0 9 4-10/3 3 *", NOW, True),
        ("0 9 5 * *", NOW, False),
    ],
)
def test_a_cron_string_means_these_minutes(cron: str, moment: datetime, due: bool) -> None:  # noqa: FBT001
    assert is_due(cron, moment) is due


@dg.asset
def table() -> None:
    """Made whenever asked."""


def daemon(instance: dg.DagsterInstance, **definitions: object) -> SteppedDaemon:
    return SteppedDaemon(dg.Definitions(assets=[table], **definitions), instance, HOUR, NOW)  # type: ignore[arg-type]


def test_a_schedule_runs_at_each_of_its_ticks_that_have_passed(instance: dg.DagsterInstance) -> None:
    @dg.schedule(cron_schedule="0,30 * * * *", target=[table], default_status=dg.DefaultScheduleStatus.RUNNING)
    def each_half_hour(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        return dg.RunRequest(run_key=str(context.scheduled_execution_time), asset_selection=[table.key])

    stepped = daemon(instance, schedules=[each_half_hour])

    for hours in (0, 1, 2):
        stepped.advance(NOW + hours * HOUR)

    assert [tick.at for tick in stepped.ticks if tick.requests] == [NOW + n * HOUR / 2 for n in range(1, 5)]
    assert [run.status for run in instance.get_runs()] == [dg.DagsterRunStatus.SUCCESS] * 4
    assert stepped.repeated_keys == []


def test_a_sensor_keeps_its_cursor_and_a_key_asked_for_again_is_counted_and_not_run(
    instance: dg.DagsterInstance,
) -> None:
    @dg.sensor(target=[table], default_status=dg.DefaultSensorStatus.RUNNING)
    def counting(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        seen = int(context.cursor or 0)
        request = dg.RunRequest(run_key=str(seen // 2), asset_selection=[table.key])
        return dg.SensorResult(run_requests=[request], cursor=str(seen + 1))

    stepped = daemon(instance, sensors=[counting])

    for hours in range(4):
        stepped.advance(NOW + hours * HOUR)

    assert stepped.cursors == {"counting": "4"}
    assert instance.get_runs_count() == 2
    assert stepped.repeated_keys == ["0", "1"]


def test_requests_of_one_moment_wait_for_each_other_and_run_by_priority(instance: dg.DagsterInstance) -> None:
    waiting = list[int]()

    def asking(name: str, priority: str) -> dg.SensorDefinition:
        @dg.sensor(name=name, target=[table], default_status=dg.DefaultSensorStatus.RUNNING)
        def ask(context: dg.SensorEvaluationContext) -> dg.RunRequest:
            waiting.append(len(context.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.NOT_STARTED]))))
            return dg.RunRequest(asset_selection=[table.key], tags={"dagster/priority": priority})

        return ask

    daemon(instance, sensors=[asking("a", "1"), asking("b", "5")]).advance(NOW)

    assert waiting == [0, 1]
    assert [run.tags["dagster/priority"] for run in reversed(instance.get_runs())] == ["5", "1"]


def test_what_is_switched_off_is_not_looked_at(instance: dg.DagsterInstance) -> None:
    @dg.sensor(target=[table])
    def off(context: dg.SensorEvaluationContext) -> dg.RunRequest:
        return dg.RunRequest(asset_selection=[table.key])

    daemon(instance, sensors=[off]).advance(NOW)

    assert instance.get_runs_count() == 0


def test_an_asset_whose_condition_holds_is_made(instance: dg.DagsterInstance) -> None:
    @dg.asset(automation_condition=dg.AutomationCondition.on_cron("0 10 * * *", "UTC"))
    def daily() -> None: ...

    stepped = SteppedDaemon(dg.Definitions(assets=[daily]), instance, HOUR, NOW)

    made = []
    for hours in range(4):
        stepped.advance(NOW + hours * HOUR)
        made.append(instance.get_runs_count())

    assert made == [0, 1, 1, 1]


def test_a_request_reaches_the_process_that_is_killed_as_it_was_made() -> None:
    check = dg.AssetCheckKey(table.key, "klines_are_fresh")
    for checks in (None, [], [check]):
        asked = dg.RunRequest(asset_selection=[table.key], asset_check_keys=checks, tags={"klines/kind": "freshness"})

        assert request_of(order_of(asked)) == asked
