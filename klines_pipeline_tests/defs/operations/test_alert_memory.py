"""What is told although the sensor's cursor is spoiled, or a clock was wrong."""

from datetime import timedelta

import dagster as dg
import pytest

from klines_pipeline.defs.automation.run_requests import DATASET
from klines_pipeline_tests.defs.operations.conftest import Watch, break_down, said
from klines_pipeline_tests.exchanges.script import Answer, ScriptedServer


@pytest.mark.parametrize("cursor", ["{", '{"until": "yesterday"}'])
def test_a_spoiled_cursor_loses_no_failure_of_the_last_day_and_a_receiver_that_is_down_does_not_either(
    instance: dg.DagsterInstance, receiver: ScriptedServer, cursor: str, caplog: pytest.LogCaptureFixture
) -> None:
    break_down(instance, **{DATASET: "yesterday's"})
    watch = Watch(instance, receiver.url)
    watch.cursor = cursor
    watch.now += timedelta(hours=23)
    receiver.script = [Answer(503), Answer()]
    assert watch.tick().endswith("1 alert(s) wait for the next tick.")

    assert watch.tick(later=timedelta(hours=3)) == "Told 1 failure(s)."
    assert watch.tick() == "0 run(s) ended, nothing failed."
    assert "cursor of alerts cannot be read" in caplog.text


def test_of_a_spoiled_cursor_what_is_older_than_a_day_is_not_told(
    instance: dg.DagsterInstance, receiver: ScriptedServer
) -> None:
    break_down(instance)
    watch = Watch(instance, receiver.url)
    watch.cursor = "{"

    assert watch.tick(later=timedelta(hours=25)) == "0 run(s) ended, nothing failed."


def test_failures_after_the_clock_was_set_back_are_told_and_those_before_not_again(
    instance: dg.DagsterInstance, receiver: ScriptedServer
) -> None:
    watch = Watch(instance, receiver.url)
    watch.tick()
    break_down(instance, **{DATASET: "before"})
    watch.tick()
    ahead = watch.now + timedelta(days=1)
    watch.cursor = str(watch.cursor).replace(f'"until":{watch.now.timestamp()}', f'"until":{ahead.timestamp()}')
    assert f"{ahead.timestamp()}" in watch.cursor

    break_down(instance, **{DATASET: "after"})
    assert watch.tick(later=timedelta(minutes=1)) == "Told 1 failure(s)."
    assert watch.tick(later=timedelta(minutes=1)) == "0 run(s) ended, nothing failed."

    told = [alert["dataset"] for message in said(receiver) for alert in message["alerts"]]
    assert told == ["before", "after"]


def test_what_fails_while_the_sensor_waits_for_a_clock_that_was_ahead_is_told_when_it_wakes(
    instance: dg.DagsterInstance, receiver: ScriptedServer
) -> None:
    watch = Watch(instance, receiver.url)
    watch.now += timedelta(days=1)
    watch.tick()
    break_down(instance, **{DATASET: "meanwhile"})

    assert watch.tick(later=timedelta(minutes=1)) == "Told 1 failure(s)."
    assert watch.tick(later=timedelta(minutes=1)) == "0 run(s) ended, nothing failed."


def test_runs_that_ended_ahead_of_this_clock_are_told_once(
    instance: dg.DagsterInstance, receiver: ScriptedServer
) -> None:
    watch = Watch(instance, receiver.url)
    watch.now -= timedelta(hours=6)
    watch.tick()
    for number in range(3):
        break_down(instance, **{DATASET: f"{number}"})

    for hours in (0, 0, 2, 4):
        watch.tick(later=timedelta(hours=hours))
    break_down(instance, **{DATASET: "3"})
    watch.tick(later=timedelta(minutes=1))

    told = [alert["dataset"] for message in said(receiver) for alert in message["alerts"]]
    assert told == ["0", "1", "2", "3"]
