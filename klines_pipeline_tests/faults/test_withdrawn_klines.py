"""Klines that REST once gave and an archive seen later lacks: REST is asked again, and what it no longer has goes."""

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from klines_pipeline import load
from klines_pipeline.domain.utc_day import from_microseconds
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.stages.ingest import Ingest, Stage
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.conftest import certificate, make_dataset, read_day
from klines_pipeline_tests.faults.archives import key_of, rewrite
from klines_pipeline_tests.faults.conftest import Runner, asked_klines, assert_good, impatient
from klines_pipeline_tests.faults.lakes import table_files

DAY = "2025-03-03"
BTC = key_of("BTCUSDT", DAY)
DATASET = make_dataset("BTCUSDT", start=DAY)
CAME = datetime(2025, 3, 4, 12, tzinfo=UTC)
"""When the archive is there; until then REST gives the day."""


@pytest.fixture
def late(exchange: EmbeddedExchange, run: Runner) -> EmbeddedExchange:
    """The day is in the lake as REST had it, before its archive came."""
    exchange.hold_publication("BTCUSDT", date(2025, 3, 3), until=CAME - timedelta(hours=1))
    assert_good(run(DATASET, DAY))
    exchange.set_clock(CAME)
    exchange.reset_requests()
    return exchange


def then(lake: Lake, moment: datetime) -> pl.DataFrame:
    """The day as it was known at a moment."""
    return load("BTCUSDT", "1m", DAY, "2025-03-04", lake=lake.root, as_of=moment)


def now(lake: Lake) -> pl.DataFrame:
    """The day as it lies in the lake."""
    return load("BTCUSDT", "1m", DAY, "2025-03-04", lake=lake.root)


def test_a_whole_archive_confirms_rest_without_a_request(late: EmbeddedExchange, run: Runner, lake: Lake) -> None:
    assert_good(run(DATASET, DAY))

    assert certificate(lake, "BTCUSDT", DAY)["confirmed"] == 1440
    assert asked_klines(late) == 0


@pytest.mark.parametrize("versions", [1, 2])
def test_what_the_exchange_withdrew_everywhere_goes_and_the_past_keeps_it(
    late: EmbeddedExchange, run: Runner, lake: Lake, versions: int
) -> None:
    before = {CAME - timedelta(minutes=1): now(lake)}
    if versions == 2:
        run(DATASET, DAY)
        before[CAME] = now(lake)
        late.set_clock(CAME + timedelta(hours=1))
    [gone] = late.revise(BTC).removed

    assert_good(run(DATASET, DAY))

    assert asked_klines(late) == 1
    proof = certificate(lake, "BTCUSDT", DAY)
    minute = {"start": from_microseconds(gone), "end": from_microseconds(gone) + timedelta(minutes=1)}
    assert (proof["from_rest"], proof["missing"], proof["reason"]) == (0, 1, "exchange_halt")
    assert proof["missing_ranges"] == [minute]
    [kept] = read_day(lake, "ledger/superseded", DAY).rows(named=True)
    assert (kept["open_time"], kept["superseded_at"]) == (minute["start"], late.now())
    assert read_day(lake, "rest_klines", DAY).height == 1439
    for moment, frame in before.items():
        assert_frame_equal(then(lake, moment), frame)
    assert_frame_equal(then(lake, late.now()), now(lake))

    late.reset_requests()
    assert_good(run(DATASET, DAY))
    assert asked_klines(late) == 0


@pytest.mark.parametrize(
    "trouble", [{"kind": "blocked", "group": "rest"}, {"kind": "status", "status": 503, "group": "rest"}], ids=str
)
def test_while_rest_cannot_be_asked_the_row_stays(
    late: EmbeddedExchange, run: Runner, lake: Lake, trouble: dict[str, object]
) -> None:
    late.revise(BTC)
    late.add_fault(**trouble)

    run(DATASET, DAY)
    unasked, moment = now(lake), late.now()
    late.clear_faults()
    late.set_clock(moment + timedelta(hours=1))
    assert_good(run(DATASET, DAY))

    assert unasked["source"].value_counts().sort("source").rows() == [("rest", 1), ("vision", 1439)]
    assert now(lake).height == 1439
    assert_frame_equal(then(lake, moment), unasked)


def test_a_short_archive_filled_from_rest_and_then_rewritten_without_a_row(
    late: EmbeddedExchange, run: Runner, lake: Lake
) -> None:
    rewrite(late, BTC, lambda lines: lines[:1000])
    assert_good(run(DATASET, DAY))
    late.set_clock(CAME + timedelta(hours=1))
    late.revise(BTC)

    assert_good(run(DATASET, DAY))

    assert now(lake).height == 1439
    assert now(lake)["source"].unique().to_list() == ["vision"]


def test_what_rest_still_has_stays_as_it_was_and_is_asked_for_once_a_version(
    late: EmbeddedExchange, run: Runner, lake: Lake
) -> None:
    first = now(lake)
    for hours, lacking in enumerate((700, 5), 1):
        late.set_clock(CAME + timedelta(hours=hours))
        rewrite(late, BTC, lambda lines, lacking=lacking: [*lines[:lacking], *lines[lacking + 1 :]])
        late.reset_requests()
        assert_good(run(DATASET, DAY))
        assert asked_klines(late) == 1
        tables = table_files(lake)

        assert_good(run(DATASET, DAY))

        assert asked_klines(late) == 1
        assert table_files(lake) == tables

    [early, noon] = now(lake).filter(source="rest").rows()
    assert [early, noon] == [first.row(5), first.row(700)]


def test_a_symbol_that_rest_no_longer_knows_has_withdrawn_nothing(
    late: EmbeddedExchange, run: Runner, lake: Lake
) -> None:
    late.revise(BTC)
    unknown = '{"code":-1121,"msg":"Invalid symbol."}'
    late.add_fault(kind="status", status=400, match="*klines", body=unknown)

    assert_good(run(DATASET, DAY))

    assert certificate(lake, "BTCUSDT", DAY)["from_rest"] == 1
    assert now(lake).height == 1440


def test_a_row_is_known_until_the_merge_that_drops_it(late: EmbeddedExchange, run: Runner, lake: Lake) -> None:
    late.revise(BTC)
    only = Ingest(lake, impatient(late), DATASET, stages=[Stage.VISION, Stage.REST], log=lambda _: None)
    assert_good(only.days([date(2025, 3, 3)]))
    assert read_day(lake, "rest_klines", DAY).height == 1439
    late.set_clock(CAME + timedelta(hours=1))

    assert_good(run(DATASET, DAY))

    [kept] = read_day(lake, "ledger/superseded", DAY)["superseded_at"].to_list()
    assert (now(lake).height, kept) == (1439, CAME + timedelta(hours=1))
