"""Each failure is told once, seldom again, and nothing is lost while the receiver is down."""

from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from klines_pipeline.defs.automation.run_requests import DATASET
from klines_pipeline.domain.errors import ConfigurationError
from klines_pipeline.settings import Settings
from klines_pipeline_tests.defs.operations.conftest import Watch, break_down, said
from klines_pipeline_tests.exchanges.script import Answer, ScriptedServer

DAY = "2024-03-02"


def test_the_same_failing_again_within_the_hour_is_not_repeated(
    instance: dg.DagsterInstance, watch: Watch, receiver: ScriptedServer
) -> None:
    for minutes in (0, 5, 54):
        break_down(instance, **{DATASET: "binance/um/klines_1m", "dagster/partition": DAY})
        watch.tick(later=timedelta(minutes=minutes))
    assert len(receiver.bodies) == 1

    break_down(instance, **{DATASET: "binance/um/klines_1m", "dagster/partition": DAY})
    watch.tick(later=timedelta(minutes=1))

    first, second = said(receiver)
    assert (first["not_repeated"], second["not_repeated"]) == (0, 2)


def test_a_receiver_that_was_down_gets_everything_later(
    instance: dg.DagsterInstance, watch: Watch, receiver: ScriptedServer
) -> None:
    receiver.script = [Answer(503)]
    break_down(instance, **{DATASET: "first"})
    before = watch.cursor
    assert watch.tick() == "127.0.0.1 answered HTTP 503. 1 alert(s) wait for the next tick."
    assert watch.cursor == before

    break_down(instance, **{DATASET: "second"})
    assert watch.tick() == "127.0.0.1 answered HTTP 503. 2 alert(s) wait for the next tick."
    receiver.script = [Answer()]

    assert watch.tick() == "Told 2 failure(s)."
    assert [alert["dataset"] for alert in said(receiver)[-1]["alerts"]] == ["first", "second"]


@pytest.mark.parametrize("status", [301, 307, 308])
def test_a_receiver_that_has_moved_gets_the_message_where_it_is(
    instance: dg.DagsterInstance, watch: Watch, receiver: ScriptedServer, status: int
) -> None:
    receiver.script = [Answer(status, headers={"Location": "/elsewhere"}), Answer()]
    break_down(instance)

    assert watch.tick() == "Told 1 failure(s)."
    assert receiver.paths[-2:] == ["/hook", "/elsewhere"]
    assert receiver.bodies[-1] == receiver.bodies[-2]


@pytest.mark.parametrize(
    "headers", [{"Location": "/hook"}, {}, {"Location": "ftp://127.0.0.1/x"}, {"Location": "/{}"}, {"Location": "//["}]
)
def test_a_receiver_that_has_moved_nowhere_loses_nothing_and_the_log_says_so(
    instance: dg.DagsterInstance,
    watch: Watch,
    receiver: ScriptedServer,
    headers: dict[str, str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    receiver.script = [Answer(301, headers={n: v.format(hop) for n, v in headers.items()}) for hop in range(20)]
    break_down(instance)
    for _ in range(4):
        assert watch.tick().endswith("1 alert(s) wait for the next tick.")
    assert "127.0.0.1 says that it has moved" in caplog.text
    assert "/hook" not in caplog.text

    receiver.script = [Answer()]
    assert watch.tick() == "Told 1 failure(s)."


def test_a_receiver_that_refuses_three_times_loses_the_message_but_hears_how_many_it_lost(
    instance: dg.DagsterInstance, watch: Watch, receiver: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.script = [Answer(410)]
    break_down(instance, **{DATASET: "first"})
    for _ in range(2):
        assert watch.tick().endswith("1 alert(s) wait.")
    assert watch.tick().endswith("1 alert(s) are dropped after 3 tries.")
    assert watch.tick() == "0 run(s) ended, nothing failed."
    assert len(receiver.bodies) == 3
    assert "127.0.0.1 refused a message (HTTP 410)" in caplog.text
    assert "/hook" not in caplog.text

    receiver.script = [Answer()]
    break_down(instance, **{DATASET: "second"})
    watch.tick()

    assert [alert["dataset"] for alert in said(receiver)[-1]["alerts"]] == ["second"]
    assert said(receiver)[-1]["dropped"] == 1


@pytest.mark.parametrize("cursor", [None, ""])
def test_who_begins_does_not_tell_old_failures(
    instance: dg.DagsterInstance, receiver: ScriptedServer, cursor: str | None
) -> None:
    break_down(instance, **{DATASET: "old"})
    watch = Watch(instance, receiver.url)
    watch.cursor = cursor

    assert watch.tick() == "Begins now: what failed before is not told."
    assert watch.tick() == "0 run(s) ended, nothing failed."
    break_down(instance, **{DATASET: "new"})
    watch.tick()

    assert [alert["dataset"] for message in said(receiver) for alert in message["alerts"]] == ["new"]


def test_a_run_that_is_tagged_after_its_end_is_not_told_again(
    instance: dg.DagsterInstance, watch: Watch, receiver: ScriptedServer
) -> None:
    break_down(instance)
    watch.tick()
    [failed] = instance.get_runs()
    instance.add_run_tags(failed.run_id, {"dagster/auto_retry_run_id": "another"})

    assert watch.tick(later=timedelta(hours=2)) == "0 run(s) ended, nothing failed."
    assert len(receiver.bodies) == 1


def test_the_same_is_told_from_a_storage_on_disk(tmp_path: Path, receiver: ScriptedServer) -> None:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        watch = Watch(instance, receiver.url)
        watch.tick()
        break_down(instance, **{DATASET: "binance/um/klines_1m"})
        watch.tick()

    assert [alert["dataset"] for message in said(receiver) for alert in message["alerts"]] == ["binance/um/klines_1m"]


def test_an_address_that_is_none_is_refused_without_showing_it() -> None:
    with pytest.raises(ConfigurationError, match="KLINES_ALERT_URL: what it says is not a URL") as refused:
        Settings.from_env({"KLINES_ALERT_URL": "hooks.slack.com/services/secret"})

    assert "secret" not in str(refused.value)
