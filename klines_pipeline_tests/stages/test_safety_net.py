"""The days that the safety net finds: what is missing or incomplete without a reason, and nothing else."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from klines_pipeline.domain.interval import Interval
from klines_pipeline.domain.wanted import Kind
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.stages.resample import resampler
from klines_pipeline.stages.safety_net import examined_days, wanted_repairs
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.layout import DayPaths
from klines_pipeline_tests.conftest import Run, certificate, make_dataset

DATASET = make_dataset("BTCUSDT", "ETHUSDT", interval="1h", start="2025-02-20")
TODAY = date(2025, 3, 4)
DAYS = [date(2025, 2, 27), date(2025, 2, 28), date(2025, 3, 1), date(2025, 3, 2), date(2025, 3, 3)]


def test_missing_and_unexplained_days_are_wanted_with_the_reason_and_complete_or_explained_ones_are_not(
    exchange: EmbeddedExchange, lake: Lake, ingest: Run
) -> None:
    exchange.add_fault(kind="status", status=404, match="*ETHUSDT-1h-2025-02-28.zip")
    exchange.add_fault(kind="status", status=400, body='{"code":-1100,"msg":"?"}', match="/api/v3/klines")
    ingest(DATASET, "2025-02-28", "2025-03-01", "2025-03-02", "2025-03-03")

    [wish] = wanted_repairs(lake, DATASET, DAYS, TODAY, {})

    assert (wish.kind, wish.days) == (Kind.REPAIR, (DAYS[0], DAYS[1]))
    assert wish.reason == "2 day(s): 2025-02-27 was never materialized; 2025-02-28 unavailable 1 symbol"
    assert wish.with_archives
    [tomorrow] = wanted_repairs(lake, DATASET, DAYS, date(2025, 3, 5), {})
    assert wish.digest(wish.days) != tomorrow.digest(tomorrow.days), "it is asked for once a day"
    exchange.clear_faults()
    ingest(DATASET, "2025-02-27", "2025-02-28")
    assert wanted_repairs(lake, DATASET, DAYS, TODAY, {}) == []


def test_what_others_say_of_a_day_is_reason_enough(lake: Lake, ingest: Run) -> None:
    ingest(DATASET, "2025-03-01", "2025-03-02")

    [wish] = wanted_repairs(lake, DATASET, DAYS[2:4], TODAY, {DAYS[2]: ["klines_1h failed"]})

    assert (wish.days, wish.reason) == ((DAYS[2],), "1 day(s): 2025-03-01 klines_1h failed")


def test_gaps_that_no_run_can_close_are_not_wanted(exchange: EmbeddedExchange, lake: Lake, ingest: Run) -> None:
    """An archive that is late and a REST that has not the klines either: the archive is watched for elsewhere."""
    exchange.hold_publication("ETHUSDT", DAYS[1], until=None)
    exchange.add_fault(kind="status", status=200, body="[]", match="/api/v3/klines")
    ingest(DATASET, "2025-02-28")
    assert certificate(lake, "ETHUSDT", "2025-02-28", interval="1h")["reason"] == "no_data"

    assert wanted_repairs(lake, DATASET, DAYS[1:2], TODAY, {}) == []


def test_a_symbol_taken_out_of_klines_yaml_is_not_asked_for(
    exchange: EmbeddedExchange, lake: Lake, ingest: Run
) -> None:
    exchange.set_clock(datetime(2025, 3, 3, 20, tzinfo=UTC))
    ingest(DATASET, "2025-03-03")
    narrow = make_dataset("BTCUSDT", interval="1h", start="2025-02-20")
    exchange.set_clock(datetime(2025, 3, 4, 9, tzinfo=UTC))
    ingest(narrow, "2025-03-03")

    assert wanted_repairs(lake, DATASET, DAYS[4:], TODAY, {}), "of ETHUSDT some hours are missing"
    assert wanted_repairs(lake, narrow, DAYS[4:], TODAY, {}) == []


def test_a_day_with_a_damaged_certificate_is_wanted_and_the_others_are_looked_at(lake: Lake, ingest: Run) -> None:
    ingest(DATASET, "2025-03-01")
    path = Path(lake.base, DayPaths.of(DATASET, DAYS[2]).certificates)
    path.write_bytes(b"damaged")

    [wish] = wanted_repairs(lake, DATASET, DAYS[2:4], TODAY, {})

    assert wish.days == (DAYS[2], DAYS[3])
    assert f"{path} is damaged" in wish.reason


def test_a_day_certified_while_it_was_in_progress_and_a_symbol_never_asked_for_are_found(
    exchange: EmbeddedExchange, lake: Lake, ingest: Run
) -> None:
    exchange.set_clock(datetime(2025, 3, 3, 20, tzinfo=UTC))
    ingest(DATASET, "2025-03-03")

    [wish] = wanted_repairs(lake, make_dataset("BTCUSDT", "SOLUSDT", interval="1h"), DAYS[4:], TODAY, {})

    assert wish.reason == "1 day(s): 2025-03-03 was never asked for 1 symbol, is certified in part only, 1 symbol"


def test_a_day_whose_coarser_klines_are_missing_is_found(lake: Lake, ingest: Run) -> None:
    dataset = make_dataset("BTCUSDT", interval="1h", resample=(Interval.parse("4h"),))
    ingest(dataset, "2025-03-01", "2025-03-02")
    resampler(lake, dataset, dataset.resample[0])(DAYS[2])

    [wish] = wanted_repairs(lake, dataset, DAYS[2:4], TODAY, {})

    assert wish.reason == "1 day(s): 2025-03-02 resampled_klines_4h is missing"


def test_many_days_are_counted_and_the_first_are_named(lake: Lake) -> None:
    days = examined_days(date(2020, 1, 1), TODAY, 30)

    [wish] = wanted_repairs(lake, DATASET, days, TODAY, {})

    assert (len(wish.days), wish.days[0], wish.days[-1]) == (30, date(2025, 2, 2), date(2025, 3, 3))
    assert wish.reason.startswith("30 day(s): 2025-02-02 was never materialized; ")
    assert wish.reason.endswith("2025-02-06 was never materialized; and 25 more")


@pytest.mark.parametrize(("start", "count"), [(date(2025, 3, 2), 2), (TODAY, 0), (date(2025, 4, 1), 0)])
def test_no_day_before_the_dataset_or_from_today_on_is_looked_at(start: date, count: int) -> None:
    assert len(examined_days(start, TODAY, 30)) == count
