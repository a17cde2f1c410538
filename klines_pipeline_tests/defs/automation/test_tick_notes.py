"""Ticks that run side by side: no day is asked for twice, and what waits is not looked up each time."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from threading import Barrier

import dagster as dg
import pytest
from sqlalchemy import Engine, event

from klines_pipeline.defs.automation.run_requests import FIRST, RunRequester
from klines_pipeline.defs.automation.tick_notes import RUN_KEY, TickNotes, Waits, turn
from klines_pipeline.defs.unpublished import open_pools, remember, remembered
from klines_pipeline.domain.wanted import Kind, Wanted

NOW = datetime(2025, 3, 4, 9, tzinfo=UTC)
DAY = date(2025, 3, 1)
DATASET, PLACE = "binance/spot/klines_1m", "klines/ticks/binance/spot/klines_1m"
ASSET = dg.AssetKey(["binance", "spot", "klines_1m"])
HELD = 120
"""Days that are held back, each for itself."""


def asker(instance: dg.DagsterInstance, later: timedelta = timedelta()) -> RunRequester:
    return RunRequester(instance, DATASET, [ASSET], NOW + later, longest=1, pool="binance_spot_rest")


def wish(kind: Kind, *days: date) -> Wanted:
    return Wanted(kind, days, "for a test")


def queue(instance: dg.DagsterInstance, request: dg.RunRequest, status: dg.DagsterRunStatus) -> None:
    """The daemon's part."""
    tags = {**request.tags, RUN_KEY: str(request.run_key)}
    instance.add_run(dg.DagsterRun(job_name="__ASSET_JOB", tags=tags, status=status))


def test_a_day_that_was_asked_for_is_on_its_way_before_the_daemon_has_queued_it(instance: dg.DagsterInstance) -> None:
    [request] = asker(instance).ask([wish(Kind.PUBLISHED, DAY)]).runs

    other = asker(instance).ask([wish(Kind.REPAIR, DAY)])
    assert (other.runs, other.postponed) == ([], [DAY])
    assert other.held_back == ["1 day(s) repair are on their way."]

    queue(instance, request, dg.DagsterRunStatus.SUCCESS)
    assert len(asker(instance).ask([wish(Kind.REPAIR, DAY)]).runs) == 1


def test_ticks_in_two_threads_ask_for_each_day_once(instance: dg.DagsterInstance) -> None:
    days, together = [DAY + timedelta(days=2 * place) for place in range(15)], Barrier(2)

    def tick(kind: Kind) -> list[str]:
        asked = list[dg.RunRequest]()
        for day in days:
            together.wait(60)
            asked += asker(instance).ask([wish(kind, day)]).runs
        return [request.tags[FIRST] for request in asked]

    with ThreadPoolExecutor(2) as threads:
        found = [day for asked in threads.map(tick, [Kind.PUBLISHED, Kind.REPAIR]) for day in asked]

    assert sorted(found) == [str(day) for day in days]


def test_a_request_that_the_daemon_dropped_is_made_again_after_some_minutes(instance: dg.DagsterInstance) -> None:
    asker(instance).ask([wish(Kind.PUBLISHED, DAY)])
    kept = json.loads(str(remembered(instance, PLACE)))
    for asked in kept["asked"].values():
        asked[2] = (datetime.now(UTC) - timedelta(minutes=4)).isoformat()
    remember(instance, PLACE, json.dumps(kept))

    assert len(asker(instance).ask([wish(Kind.PUBLISHED, DAY)]).runs) == 1


@pytest.mark.parametrize(
    "kept",
    [
        "",
        "{",
        "[]",
        '{"asked": {"key": ["2025-03-01"]}}',
        '{"asked": {"key": ["1", "yesterday", "2025-03-04T09:00:00+00:00"]}}',
        '{"asked": {"key": ["2025-03-01", "2025-03-01", "2025-03-04T09:00:00"]}}',
        '{"waits": {"news": 1}}',
        '{"waits": {"news": [1, "tomorrow"]}}',
        '{"waits": {"news": [1, "2025-03-04T09:00:00"]}}',
        '{"waits": {"news": ["twice", "2025-03-04T09:00:00+00:00"]}}',
        '{"waits": {"news": [Infinity, "2025-03-04T09:00:00+00:00"]}}',
    ],
)
def test_notes_that_nobody_can_read_are_none_and_no_tick_raises(instance: dg.DagsterInstance, kept: str) -> None:
    remember(instance, PLACE, kept)

    assert TickNotes.read(instance, DATASET) == TickNotes()
    assert len(asker(instance).ask([wish(Kind.PUBLISHED, DAY)]).runs) == 1


def test_notes_are_read_as_they_were_left(instance: dg.DagsterInstance) -> None:
    left = TickNotes(waits={"news": Waits(3, NOW + timedelta(minutes=20)), "old": Waits(1, NOW)})
    left.ask("key", DAY, DAY + timedelta(days=1))
    left.write(instance, DATASET, NOW)

    found = TickNotes.read(instance, DATASET)

    assert found.asked == left.asked
    assert found.waits == {"news": left.waits["news"]}, "what is due is left out"


def test_a_tick_waits_for_those_of_its_own_dataset_only(instance: dg.DagsterInstance) -> None:
    def tick() -> int:
        return len(asker(instance).ask([wish(Kind.PUBLISHED, DAY)]).runs)

    with ThreadPoolExecutor(1) as thread:
        with turn(DATASET):
            own = thread.submit(tick)
            with pytest.raises(TimeoutError):
                own.result(0.2)
        assert own.result(60) == 1
        with turn("okx/spot/klines_1m"):
            remember(instance, PLACE, "")
            assert thread.submit(tick).result(60) == 1


@contextmanager
def counted() -> Iterator[Callable[[], int]]:
    """Queries of runs meanwhile."""
    queries = list[str]()

    def note(*words: object) -> None:
        if "FROM runs" in str(words[2]):
            queries.append(str(words[2]))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield lambda: len(queries)
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def test_years_that_are_held_back_cost_a_tick_few_queries_and_none_is_forgotten(instance: dg.DagsterInstance) -> None:
    days = [DAY - timedelta(days=2 * place) for place in range(HELD)]
    wishes = [wish(Kind.HISTORY, day) for day in days]
    while requests := asker(instance).ask(wishes).runs:
        for request in requests:
            queue(instance, request, dg.DagsterRunStatus.FAILURE)

    with counted() as queries:
        held = asker(instance, later=timedelta(minutes=4)).ask(wishes)
        known = queries()
    assert sorted(held.postponed) == sorted(days)
    assert known <= 2, "all of them were looked up by earlier ticks"

    remember(instance, PLACE, "")
    with counted() as queries:
        lost = asker(instance, later=timedelta(minutes=4)).ask(wishes)
        looked_up = queries()
    assert (lost.runs, sorted(lost.postponed)) == ([], sorted(days))
    assert 50 <= looked_up <= 52, "five for each of the ten runs of a tick"

    again = set[str]()
    while requests := asker(instance, later=timedelta(minutes=5)).ask(wishes).runs:
        for request in requests:
            again.add(request.tags[FIRST])
            queue(instance, request, dg.DagsterRunStatus.FAILURE)
    assert again == {str(day) for day in days}


def test_a_reason_to_skip_names_some_of_the_days_that_are_held_back(instance: dg.DagsterInstance) -> None:
    wishes = [wish(Kind.HISTORY, DAY - timedelta(days=2 * place)) for place in range(14)]
    while requests := asker(instance).ask(wishes).runs:
        for request in requests:
            queue(instance, request, dg.DagsterRunStatus.FAILURE)

    answer = asker(instance).ask(wishes).tick("Nothing new.")

    assert isinstance(answer, dg.SkipReason)
    assert str(answer.skip_message).endswith("And 4 more.")
    assert str(answer.skip_message).count("did not settle it") == 10


def test_the_pool_of_a_rest_host_has_its_limit_before_its_first_run_is_queued(tmp_path: Path) -> None:
    limited = {"concurrency": {"pools": {"default_limit": 1, "granularity": "run"}}}
    with dg.DagsterInstance.local_temp(str(tmp_path), overrides=limited) as instance:
        asker(instance).ask([wish(Kind.PUBLISHED, DAY)])
        [limit] = instance.event_log_storage.get_pool_limits()
        assert (limit.name, limit.limit, limit.from_default) == ("binance_spot_rest", 1, True)

        instance.event_log_storage.set_concurrency_slots("binance_spot_rest", 2)
        open_pools(instance, ["binance_spot_rest", "okx_rest"])
        assert {pool.name: pool.limit for pool in instance.event_log_storage.get_pool_limits()} == {
            "binance_spot_rest": 2,
            "okx_rest": 1,
        }
