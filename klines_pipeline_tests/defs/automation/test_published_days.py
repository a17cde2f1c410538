"""The published-days sensor on a real instance: runs asked for once, executed, and asked for again if they fail."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from klines_pipeline.defs.automation.run_requests import DATASET, FIRST, LAST, REASON
from klines_pipeline.domain.errors import UnknownNameError
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline_tests.defs.conftest import built, run_requested

CONFIG = """
datasets:
  - interval: 1d
    start: 2025-03-02
    symbols: [BTCUSDT, 币安人生USDT]
    resample: [1w]
"""


def at(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2025, 3, day, hour, minute, tzinfo=UTC)


@dataclass(slots=True)
class Daemon:
    """Ticks and runs as the daemon makes them, and the cursor in between."""

    exchange: EmbeddedExchange
    instance: dg.DagsterInstance
    definitions: dg.Definitions
    name: str = "binance__spot__klines_1d__published_days"
    cursor: str | None = None

    def tick(self, now: datetime) -> Any:
        """One tick; its answer, checked as Dagster checks it."""
        self.exchange.set_clock(now)
        context = dg.build_sensor_context(
            self.instance, self.cursor, definitions=self.definitions, resources=self.definitions.resources
        )
        answer = self.definitions.resolve_sensor_def(self.name).evaluate_tick(context)
        self.cursor = answer.cursor
        return answer

    def runs(self, now: datetime) -> list[tuple[str, str, str, bool]]:
        """A tick's runs, executed: first day, last day, why, and whether they succeeded."""
        requests = self.tick(now).run_requests
        results = [run_requested(self.definitions, self.instance, request) for request in requests]
        return [
            (request.tags[FIRST], request.tags[LAST], request.tags[REASON], result.success)
            for request, result in zip(requests, results, strict=True)
        ]

    def words(self, now: datetime) -> str:
        """What a tick says that asks for no run."""
        answer = self.tick(now)
        assert not answer.run_requests
        return str(answer.skip_message)


@pytest.fixture
def daemon(exchange: EmbeddedExchange, tmp_path: Path) -> Iterator[Daemon]:
    """The first two days are over, and published."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield Daemon(exchange, instance, built(exchange, tmp_path, CONFIG))


def test_days_are_asked_for_once_with_the_whole_chain_and_the_next_tick_rests(daemon: Daemon) -> None:
    assert daemon.runs(at(4, 12)) == [("2025-03-02", "2025-03-03", "not in the lake yet", True)]
    assert daemon.words(at(4, 13)) == "Complete up to 2025-03-03; 2025-03-04 is in progress."
    assert daemon.words(at(5, 0, 30)) == "2025-03-04: nothing is published yet."
    published = ("2025-03-04", "2025-03-04", "2025-03-04: 2 of 2 symbols published", True)
    assert daemon.runs(at(5, 12)) == [published]
    assert daemon.words(at(5, 13)) == "Complete up to 2025-03-04; 2025-03-05 is in progress."
    for name in ("vision_klines_1d", "rest_klines_1d", "klines_1d", "resampled_klines_1w"):
        done = daemon.instance.get_materialized_partitions(dg.AssetKey(["binance", "spot", name]))
        assert done == {"2025-03-02", "2025-03-03", "2025-03-04"}, name


def test_days_on_their_way_are_not_asked_for_again(daemon: Daemon) -> None:
    [request] = daemon.tick(at(4, 12)).run_requests
    run = dg.DagsterRun(job_name="__ASSET_JOB", tags=request.tags, status=dg.DagsterRunStatus.STARTED)
    daemon.instance.add_run(run)

    assert daemon.words(at(4, 13)).endswith("2 day(s) history are on their way.")


def test_a_straggler_that_comes_while_a_run_of_its_day_is_under_way_is_asked_for_once_that_has_ended(
    daemon: Daemon,
) -> None:
    """Of a day so old a look lasts an hour; this one found something and could do nothing about it."""
    daemon.exchange.hold_publication("币安人生USDT", date(2025, 3, 4), until=at(7, 9))
    for now in (at(4, 12), at(5, 12), at(5, 12, 1), at(6, 12), at(7, 8), at(7, 8, 1)):
        daemon.runs(now)
    tags = {DATASET: "binance/spot/klines_1d", FIRST: "2025-03-04", LAST: "2025-03-04"}
    run = dg.DagsterRun(job_name="__ASSET_JOB", tags=tags, status=dg.DagsterRunStatus.STARTED)
    daemon.instance.add_run(run)

    assert daemon.words(at(7, 10)).endswith("1 day(s) published are on their way.")
    daemon.instance.delete_run(run.run_id)

    assert daemon.runs(at(7, 10, 1)) == [
        ("2025-03-04", "2025-03-04", "2025-03-04: 1 more, 2 of 2 symbols published", True)
    ]


def test_the_description_says_how_long_the_first_archives_wait_for_the_last(daemon: Daemon) -> None:
    assert "95% of them and 2 hours have passed since the first, or 24 hours whoever is missing" in str(
        daemon.definitions.resolve_sensor_def(daemon.name).description
    )


def test_days_that_this_machine_does_not_know_yet_are_left_out_with_a_sentence_and_ended_ones_are_asked_for(
    exchange: EmbeddedExchange, tmp_path: Path
) -> None:
    today = datetime.now(UTC).date()
    config = CONFIG.replace("2025-03-02", str(today - timedelta(days=2)))
    ahead = datetime.combine(today + timedelta(days=2), time(12), UTC)
    with dg.DagsterInstance.ephemeral() as instance:
        daemon = Daemon(exchange, instance, built(exchange, tmp_path, config))
        asked = daemon.tick(ahead).run_requests
        for request in asked:
            run_requested(daemon.definitions, instance, request)
        words = daemon.words(ahead + timedelta(minutes=5))

    days = {day for request in asked for day in (request.tags[FIRST], request.tags[LAST])}
    assert {str(today - timedelta(days=2)), str(today)} <= days
    assert max(days) == str(today)
    assert (
        f"{today + timedelta(days=1)}: on the exchange it is {today + timedelta(days=2)} 12:05 UTC; by this " in words
    )
    assert "by this machine's clock that day has not begun" in words


def test_an_archive_that_a_run_could_not_have_is_asked_for_again_after_a_while(daemon: Daemon) -> None:
    daemon.runs(at(4, 12))
    daemon.exchange.add_fault(kind="status", status=404, match="*BTCUSDT-1d-2025-03-04.zip")
    first, alone = daemon.runs(at(5, 12)), daemon.runs(at(5, 12, 1))

    assert [run[2:] for run in first] == [("2025-03-04: 2 of 2 symbols published", True)]
    assert [run[2:] for run in alone] == [("2025-03-04: 1 more, 2 of 2 symbols published", True)]
    assert "the next is due at 2025-03-05 12:06 UTC" in daemon.words(at(5, 12, 2))
    daemon.exchange.clear_faults()
    again = daemon.runs(at(5, 12, 6))
    assert [run[2:] for run in again] == [("2025-03-04: 1 more, 2 of 2 symbols published (attempt 2)", True)]
    assert daemon.words(at(5, 13)) == "Complete up to 2025-03-04; 2025-03-05 is in progress."


def test_a_bucket_that_is_dark_is_a_skip_and_leaves_the_cursor(daemon: Daemon) -> None:
    daemon.runs(at(4, 12))
    daemon.words(at(5, 0, 30))
    cursor = daemon.cursor
    daemon.exchange.add_fault(kind="status", status=403, group="listing")

    assert "HTTP 403" in daemon.words(at(5, 12))
    assert daemon.cursor in (None, cursor)
    daemon.exchange.clear_faults()
    assert len(daemon.runs(at(5, 12, 1))) == 1


def test_years_of_history_are_ten_runs_a_tick_the_newest_first(exchange: EmbeddedExchange, tmp_path: Path) -> None:
    definitions = built(exchange, tmp_path, CONFIG.replace("2025-03-02", "2017-08-17"))
    with dg.DagsterInstance.ephemeral() as instance:
        daemon = Daemon(exchange, instance, definitions)
        asked = [request.tags for request in daemon.tick(at(4, 12)).run_requests]
        for tags in asked:
            instance.add_run(dg.DagsterRun(job_name="__ASSET_JOB", tags=tags, status=dg.DagsterRunStatus.STARTED))
        more = [request.tags for request in daemon.tick(at(4, 12, 1)).run_requests]

    assert len(asked) == len(more) == 10
    assert asked[0][LAST] == "2025-03-03"
    assert all(later[FIRST] > earlier[LAST] for later, earlier in zip(asked, [*asked[1:], *more], strict=False))


def test_a_symbol_nobody_knows_is_an_error_of_the_tick(exchange: EmbeddedExchange, tmp_path: Path) -> None:
    definitions = built(exchange, tmp_path, CONFIG.replace("BTCUSDT", "BTCUSTD"))
    with dg.DagsterInstance.ephemeral() as instance, pytest.raises(UnknownNameError, match="'BTCUSDT'"):
        Daemon(exchange, instance, definitions).tick(at(4, 12))


def test_each_dataset_has_one_that_can_be_off_and_asks_for_klines_alone(
    exchange: EmbeddedExchange, tmp_path: Path
) -> None:
    um = "  - {market: um, interval: 1h, start: 2025-03-02, funding: true, symbols: [BTCUSDT]}\n"
    definitions = built(exchange, tmp_path, f"automation: {{enabled: false}}{CONFIG}{um}")
    sensors = [sensor for sensor in definitions.sensors or () if sensor.name.endswith("published_days")]
    with dg.DagsterInstance.ephemeral() as instance:
        daemon = Daemon(exchange, instance, definitions, "binance__um__klines_1h__published_days")
        [request] = daemon.tick(at(4, 12)).run_requests

    assert [sensor.default_status for sensor in sensors] == [dg.DefaultSensorStatus.STOPPED] * 2
    assert {key.path[-1] for key in request.asset_selection} == {"vision_klines_1h", "rest_klines_1h", "klines_1h"}
