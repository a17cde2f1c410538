"""A rewritten archive, unattended: seen by the sensor, taken in by the run it asks for, refreshed down to the resampled
klines, shown by `klines revisions` and `as_of`; and then there is nothing to ask."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from klines_pipeline import load
from klines_pipeline.defs.automation.run_requests import DATASET, FIRST, KIND, LAST, REASON
from klines_pipeline.query.revisions import Asked, revised_values, revisions
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.conftest import archive_entry, make_dataset, read_day
from klines_pipeline_tests.defs.conftest import built, run_requested
from klines_pipeline_tests.faults.archives import body_of, key_of

DAY = "2025-02-10"
ETH = key_of("ETHUSDT", DAY)
CONFIG = "datasets: [{interval: 1m, start: 2025-02-10, symbols: [BTCUSDT, ETHUSDT], resample: [1h]}]\n"
NAME = "binance__spot__klines_1m__rewritten_archives"


class Watched:
    """A lake with one day, and the sensor over it as a daemon would call it."""

    def __init__(self, exchange: EmbeddedExchange, folder: Path, instance: dg.DagsterInstance) -> None:
        self.exchange, self.instance = exchange, instance
        self.definitions = built(exchange, folder, CONFIG)
        self.lake = Lake(str(folder / "lake"))
        self.cursor: str | None = None

    def tick(self) -> dg.SensorResult:
        """One evaluation, with the cursor of the one before."""
        with dg.build_sensor_context(
            self.instance, cursor=self.cursor, resources=self.definitions.resources, sensor_name=NAME
        ) as context:
            result = self.definitions.resolve_sensor_def(NAME)(context)
        assert isinstance(result, dg.SensorResult)
        self.cursor = result.cursor or self.cursor
        return result

    def run(self, request: dg.RunRequest) -> None:
        """What the sensor asked for."""
        assert run_requested(self.definitions, self.instance, request).success

    def load(self, **choice: object) -> pl.DataFrame:
        """The day."""
        return load(["BTCUSDT", "ETHUSDT"], "1m", DAY, "2025-02-11", lake=self.lake.root, **choice)  # type: ignore[arg-type]


def said(result: dg.SensorResult) -> str:
    """Why nothing is asked for."""
    return result.skip_reason.skip_message or "" if isinstance(result.skip_reason, dg.SkipReason) else ""


@pytest.fixture
def empty(exchange: EmbeddedExchange, tmp_path: Path) -> Iterator[Watched]:
    """Nothing is in the lake yet."""
    with dg.DagsterInstance.ephemeral(tempdir=str(tmp_path)) as instance:
        yield Watched(exchange, tmp_path, instance)


@pytest.fixture
def watched(empty: Watched) -> Watched:
    """The day is in the lake, with all that is made from it."""
    keys = [key for key in empty.definitions.resolve_all_asset_keys() if key.path[-1] != "symbols"]
    empty.run(dg.RunRequest(asset_selection=keys, tags={FIRST: DAY, LAST: DAY}))
    return empty


def test_a_rewritten_archive_is_taken_in_and_all_that_is_made_from_it_follows(watched: Watched) -> None:
    then, before, hours = (
        watched.exchange.now(),
        watched.load(),
        read_day(watched.lake, "resampled_klines", DAY, interval="1h"),
    )
    old = body_of(watched.exchange, ETH)
    watched.exchange.set_clock(then + timedelta(hours=1))
    revised = watched.exchange.revise(ETH)

    result = watched.tick()

    [request] = result.run_requests or []
    assert (request.tags[FIRST], request.tags[LAST], request.tags[KIND]) == (DAY, DAY, "rewritten")
    assert request.tags[REASON] == "ETHUSDT rewritten"
    assert len(request.asset_selection or []) == 4  # archives, REST, table, resampled

    watched.run(request)

    entry = archive_entry(watched.lake, "ETHUSDT", DAY)
    assert (entry["revision"], entry["sha256_actual"]) == (2, revised.sha256)
    [kept] = Path(watched.lake.base, "vision/revisions").rglob("*.zip@*")
    assert kept.read_bytes() == old
    after = watched.load()
    assert after.filter(symbol="ETHUSDT")["revision"].unique().to_list() == [2]
    assert after.filter(symbol="BTCUSDT").equals(before.filter(symbol="BTCUSDT"))
    changed = read_day(watched.lake, "resampled_klines", DAY, interval="1h")
    volume = pl.col("volume").sum()
    assert changed.filter(symbol="ETHUSDT").select(volume).item() == pytest.approx(
        after.filter(symbol="ETHUSDT").select(volume).item()
    )
    assert not changed.equals(hours)
    assert_frame_equal(watched.load(as_of=then), before)
    dataset, asked = make_dataset("BTCUSDT", "ETHUSDT"), Asked(date.fromisoformat(DAY))
    assert revisions(watched.lake, dataset, asked)["rows_changed"].to_list() == [len(revised.changed)]
    assert revised_values(watched.lake, dataset, asked)["open_time"].n_unique() == len(
        {*revised.changed, *revised.removed}
    )


def test_news_of_a_day_on_its_way_is_not_lost(watched: Watched) -> None:
    watched.exchange.revise(ETH)
    tags = {DATASET: "binance/spot/klines_1m", FIRST: DAY, LAST: DAY}
    run = dg.DagsterRun(job_name="__ASSET_JOB", tags=tags, status=dg.DagsterRunStatus.STARTED)
    watched.instance.add_run(run)

    assert said(watched.tick()).endswith("1 day(s) rewritten are on their way.")
    watched.instance.delete_run(run.run_id)

    [request] = watched.tick().run_requests or []
    assert request.tags[REASON] == "ETHUSDT rewritten"


def test_a_machine_whose_clock_is_behind_the_exchanges_still_asks_for_what_was_rewritten(watched: Watched) -> None:
    watched.exchange.revise(ETH)
    watched.exchange.set_clock(datetime.now(UTC) + timedelta(days=2))

    requests = [request for _ in range(4) for request in watched.tick().run_requests or []]

    assert [request.tags[FIRST] for request in requests] == [DAY]


def test_once_it_is_taken_in_there_is_nothing_to_ask(watched: Watched) -> None:
    watched.exchange.revise(ETH)
    [request] = watched.tick().run_requests or []
    watched.run(request)
    watched.exchange.set_clock(watched.exchange.now() + timedelta(days=1))

    ticks = [watched.tick() for _ in range(4)]

    assert [tick.run_requests for tick in ticks] == [[]] * 4
    assert said(ticks[0]).startswith("2025-02-10 to 2025-02-10: 2 symbols compared.")
    assert "it is again from 2025-03-12 on" in said(ticks[-1])


def test_a_dark_bucket_is_a_reason_to_skip_and_the_cursor_stays(empty: Watched) -> None:
    empty.exchange.add_fault(kind="status", status=403, group="listing")

    result = empty.tick()

    assert (result.run_requests, result.cursor) == ([], None)
    assert "binance does not answer" in said(result)


def test_markets_without_archives_have_no_such_sensor(exchange: EmbeddedExchange, tmp_path: Path) -> None:
    config = "datasets: [{exchange: okx, market: spot, interval: 1m, start: 2025-03-01, symbols: [BTC-USDT]}]\n"

    definitions = built(exchange, tmp_path, config)

    assert not [sensor.name for sensor in definitions.sensors or [] if sensor.name.endswith("rewritten_archives")]
