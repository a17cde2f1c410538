"""The days that the safety net finds: what is missing or incomplete without a reason, and nothing else."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from klines_pipeline.domain.interval import Interval
from klines_pipeline.domain.universe import SymbolFilter
from klines_pipeline.domain.wanted import Kind, newest_first
from klines_pipeline.klines.ledgers import CERTIFICATE_SCHEMA
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.stages.resample import resampler
from klines_pipeline.stages.watching.safety_net import (
    examined_days,
    older_days,
    older_repairs,
    symbols_held,
    wanted_repairs,
)
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.layout import DayPaths
from klines_pipeline.storage.tables import to_parquet
from klines_pipeline_tests.conftest import Run, archive_entry, certificate, make_dataset

DATASET = make_dataset("BTCUSDT", "ETHUSDT", interval="1h", start="2025-02-20")
ONE = make_dataset("BTCUSDT", interval="1h", start="2025-01-01")
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
    assert wish.digest(wish.days) == tomorrow.digest(tomorrow.days), "the same days lack the same: one more attempt"
    assert not wish.once, "another run may mend it"
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


def test_each_older_day_is_looked_at_once_a_week_in_stretches_of_the_calendar(lake: Lake) -> None:
    before, stored = date(2025, 2, 1), [date(2024, 1, 1) + timedelta(days=place) for place in range(400)]
    for day in stored:
        lake.publish(DayPaths.of(DATASET, day).certificates, b"")
    week = [date(2025, 3, 3) + timedelta(days=place) for place in range(7)]
    dataset = replace(DATASET, start=date(2024, 2, 1))

    looked_at = [older_days(lake, dataset, before, today, 4) for today in week]

    assert sorted(day for days in looked_at for day in days) == [day for day in stored if dataset.start <= day < before]
    assert all({*days} == {day for stretch in newest_first(days, 4) for day in stretch} for days in looked_at)
    assert max(len([*newest_first(days, 4)]) for days in looked_at) <= 14


def test_an_older_day_is_wanted_for_what_another_run_may_close_and_for_nothing_else(
    exchange: EmbeddedExchange, lake: Lake, ingest: Run
) -> None:
    dataset = make_dataset("BTCUSDT", "ETHUSDT", interval="1h", start="2025-02-20", resample=(Interval.parse("4h"),))
    days = ["2025-02-21", "2025-02-22", "2025-02-23"]
    exchange.add_fault(kind="status", status=404, match="*-1h-2025-02-22.zip")
    exchange.add_fault(kind="blocked", match="/api/v3/klines")
    ingest(dataset, *days)
    exchange.clear_faults()
    older = [date.fromisoformat(day) for day in days]
    for day in older[:2]:
        resampler(lake, dataset, dataset.resample[0])(day)

    wishes = older_repairs(lake, dataset, older, TODAY, {older[0]: ["klines_1h failed"]}, 1)

    assert [(wish.kind, wish.days) for wish in wishes] == [(Kind.REPAIR, (day,)) for day in reversed(older)]
    assert [wish.reason for wish in wishes] == [
        "1 day(s): 2025-02-23 resampled_klines_4h is missing",
        "1 day(s): 2025-02-22 blocked 2 symbols",
        "1 day(s): 2025-02-21 klines_1h failed",
    ]
    assert older_repairs(lake, dataset, older[:1], TODAY, {}, 1) == []


def test_gaps_of_an_older_day_that_rest_has_answered_are_left_alone(lake: Lake) -> None:
    day = date(2025, 1, 5)
    gap = {"start": datetime(2025, 1, 5, 3, tzinfo=UTC), "end": datetime(2025, 1, 5, 5, tzinfo=UTC)}
    row = {
        "symbol": "BTCUSDT",
        "expected": 24,
        "missing": 2,
        "reason": "no_data+exchange_halt",
        "missing_ranges": [gap],
    }
    lake.publish(DayPaths.of(ONE, day).klines, b"not looked at")
    lake.publish(DayPaths.of(ONE, day).certificates, to_parquet(pl.DataFrame([row], schema=CERTIFICATE_SCHEMA)))

    assert older_repairs(lake, ONE, [day], TODAY, {}, 31) == []
    assert wanted_repairs(lake, ONE, [day], TODAY, {}), "of a young day it is asked whether REST was heard"


def test_a_symbol_that_came_into_klines_yaml_is_asked_for_in_older_days_and_once_is_enough(
    lake: Lake, ingest: Run
) -> None:
    day, wider = date(2021, 1, 4), make_dataset("BTCUSDT", "币安人生USDT", interval="1d", start="2021-01-01")
    ingest(replace(wider, symbols=("BTCUSDT",)), str(day))

    [wish] = older_repairs(lake, wider, [day], TODAY, {}, 31)

    assert wish.reason == "1 day(s): 2021-01-04 was never asked for 1 symbol"
    ingest(wider, str(day))
    assert archive_entry(lake, "币安人生USDT", str(day), interval="1d")["error"] == "not_listed"
    assert older_repairs(lake, wider, [day], TODAY, {}, 31) == []


def test_a_symbol_taken_out_of_klines_yaml_keeps_its_morning_and_nobody_asks_for_the_rest(
    exchange: EmbeddedExchange, lake: Lake, ingest: Run
) -> None:
    exchange.set_clock(datetime(2025, 3, 3, 10, tzinfo=UTC))
    ingest(DATASET, "2025-03-03")
    exchange.set_clock(datetime(2025, 3, 4, 9, tzinfo=UTC))
    ingest(ONE, "2025-03-03")

    assert wanted_repairs(lake, ONE, DAYS[4:], TODAY, {}) == []


def test_a_day_of_which_the_file_is_gone_is_asked_for_while_others_are_read(lake: Lake, ingest: Run) -> None:
    ingest(ONE, "2025-03-01", "2025-03-02")
    Path(lake.base, DayPaths.of(ONE, DAYS[2]).certificates).unlink()

    [wish] = older_repairs(lake, ONE, DAYS[2:4], TODAY, {}, 31)

    assert wish.reason == "1 day(s): 2025-03-01 was never materialized"


def test_symbols_are_counted_by_klines_yaml_or_by_the_newest_day(lake: Lake, ingest: Run) -> None:
    chosen = replace(DATASET, symbols=(), chosen=SymbolFilter(match="^(BTC|ETH)USDT$"))
    assert (symbols_held(lake, ONE), symbols_held(lake, chosen)) == (1, 0)
    ingest(DATASET, "2025-03-01")
    assert symbols_held(lake, chosen) == 2


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda path: path.unlink(), "has no table"),
        (lambda path: path.write_bytes(path.read_bytes()[:-500]), "has a table of"),
        (lambda path: path.write_bytes(b""), "has a table of 0 bytes"),
        (lambda path: without(path, "ETHUSDT"), "has a table of"),
    ],
    ids=["deleted", "truncated", "emptied", "without a symbol"],
)
def test_a_damaged_table_is_wanted_and_a_run_heals_it(
    lake: Lake, ingest: Run, damage: Callable[[Path], object], reason: str
) -> None:
    ingest(DATASET, "2025-02-27", "2025-02-28")
    path = Path(lake.base, DayPaths.of(DATASET, DAYS[0]).klines)
    good = path.read_bytes()
    damage(path)

    [wish] = wanted_repairs(lake, DATASET, DAYS[:2], TODAY, {})
    [old] = older_repairs(lake, DATASET, DAYS[:2], TODAY, {}, 31)

    assert wish.days == old.days == (DAYS[0],)
    assert f"2025-02-27 {reason}" in wish.reason
    [healed] = ingest(DATASET, "2025-02-27")
    assert healed.failures == {}
    assert path.read_bytes() == good
    assert wanted_repairs(lake, DATASET, DAYS[:2], TODAY, {}) == []


def without(path: Path, symbol: str) -> None:
    """Take a symbol's rows out of a day's file, metadata and all else as it was."""
    frame = pl.read_parquet(path, hive_partitioning=False).filter(pl.col("symbol") != symbol)
    frame.write_parquet(path, metadata=kept_metadata(path))


def kept_metadata(path: Path) -> dict[str, str]:
    """What our own metadata of a file is, for one that is written over it."""
    return {name: text for name, text in pl.read_parquet_metadata(path).items() if name != "ARROW:schema"}


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: rows.filter(pl.col("symbol") != "ETHUSDT"),
        lambda rows: rows.with_columns(pl.col("expected") - 3),
        lambda rows: rows.with_columns(pl.col("checked_at") + pl.duration(days=1)),
        lambda rows: rows.with_columns(reason=pl.lit("exchange_halt")),
    ],
    ids=["a row lost", "expected", "checked_at", "reason"],
)
def test_certificates_that_were_changed_are_wanted_and_a_run_issues_them_anew(
    lake: Lake, ingest: Run, change: Callable[[pl.DataFrame], pl.DataFrame]
) -> None:
    ingest(DATASET, "2025-02-27")
    path = Path(lake.base, DayPaths.of(DATASET, DAYS[0]).certificates)
    good = pl.read_parquet(path, hive_partitioning=False)
    change(good).write_parquet(path, metadata=kept_metadata(path))

    [wish] = wanted_repairs(lake, DATASET, DAYS[:1], TODAY, {})

    assert "does not say what was certified" in wish.reason
    ingest(DATASET, "2025-02-27")
    assert pl.read_parquet(path, hive_partitioning=False).drop("checked_at").equals(good.drop("checked_at"))
    assert wanted_repairs(lake, DATASET, DAYS[:1], TODAY, {}) == []
