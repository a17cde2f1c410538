"""Days examined as they lie in the lake: with the day before them, and as fresh as the exchange's clock asks."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from klines_pipeline.klines.findings import Finding
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.stages.checking.examine import examine_days
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.tables import klines_to_parquet
from klines_pipeline_tests.conftest import Run, make_dataset
from klines_pipeline_tests.faults.archives import key_of

BOTH = make_dataset("BTCUSDT", "ETHUSDT")
DAYS = ("2024-03-01", "2024-03-02", "2024-03-03")
FIVE_MINUTES = timedelta(minutes=5)
PRICES = ("open", "high", "low", "close")


def found(lake: Lake, rule: str, days: Sequence[str]) -> Finding:
    """What one rule says of the days."""
    findings = examine_days(lake, BOTH, [date.fromisoformat(day) for day in days], FIVE_MINUTES)
    return next(finding for finding in findings if finding.rule == rule)


def scale(lake: Lake, day: str, factor: float) -> None:
    """ETHUSDT's prices of a day in another unit."""
    path = Path(lake.base, f"klines/exchange=binance/market=spot/interval=1m/date={day}/part.parquet")
    rows, is_it = pl.read_parquet(path, hive_partitioning=False), pl.col("symbol") == "ETHUSDT"
    prices = [pl.when(is_it).then(pl.col(name) * factor).otherwise(name).alias(name) for name in PRICES]
    path.write_bytes(klines_to_parquet(rows.with_columns(prices), {}))


@pytest.mark.parametrize(
    ("days", "bad"),
    [(DAYS, ["2024-03-02", "2024-03-03"]), (DAYS[1:], ["2024-03-02", "2024-03-03"]), (DAYS[2:], ["2024-03-03"])],
)
def test_a_day_in_another_unit_breaks_with_both_its_neighbours(
    ingest: Run, lake: Lake, days: Sequence[str], bad: list[str]
) -> None:
    ingest(BOTH, *DAYS)
    assert not found(lake, "price_continues_across_days", days).breaches

    scale(lake, "2024-03-02", 0.001)

    finding = found(lake, "price_continues_across_days", days)
    assert finding.bad_days == bad
    assert [*map(str, finding.worst)] == [f"{day} ETHUSDT: 1" for day in bad]


def test_after_a_hole_of_days_nothing_is_said_of_the_price(ingest: Run, lake: Lake) -> None:
    ingest(BOTH, DAYS[0])
    ingest(BOTH, DAYS[2])
    scale(lake, DAYS[2], 0.001)

    assert not found(lake, "price_continues_across_days", [DAYS[0], DAYS[2]]).breaches


def test_a_day_that_rest_does_not_top_up_lags_and_is_named(exchange: EmbeddedExchange, ingest: Run, lake: Lake) -> None:
    ingest(BOTH, "2025-03-04")
    assert not found(lake, "klines_are_fresh", ["2025-03-04"]).breaches

    exchange.set_clock(datetime(2025, 3, 4, 9, 4, tzinfo=UTC))
    exchange.add_fault(kind="blocked", group="rest")
    ingest(BOTH, "2025-03-04")
    assert not found(lake, "klines_are_fresh", ["2025-03-04"]).breaches

    exchange.set_clock(datetime(2025, 3, 4, 9, 7, tzinfo=UTC))
    ingest(BOTH, "2025-03-04")
    assert [*map(str, found(lake, "klines_are_fresh", ["2025-03-04"]).worst)] == [
        "2025-03-04 BTCUSDT: 1",
        "2025-03-04 ETHUSDT: 1",
    ]


def test_a_day_that_is_over_is_fresh_whatever_it_lacks(exchange: EmbeddedExchange, ingest: Run, lake: Lake) -> None:
    exchange.set_clock(datetime(2025, 3, 4, 0, 10, tzinfo=UTC))
    exchange.add_fault(kind="blocked", group="rest")
    ingest(BOTH, "2025-03-03")

    assert not found(lake, "klines_are_fresh", ["2025-03-03"]).breaches
    assert found(lake, "klines_are_complete_or_explained", ["2025-03-03"]).breaches == 2880


def test_a_day_certified_until_ten_is_incomplete_once_the_lake_has_a_later_one(
    exchange: EmbeddedExchange, ingest: Run, lake: Lake
) -> None:
    exchange.set_clock(datetime(2025, 3, 3, 10, tzinfo=UTC))
    ingest(BOTH, "2025-03-03")
    assert not found(lake, "klines_are_complete_or_explained", ["2025-03-03"]).breaches

    exchange.set_clock(datetime(2025, 3, 4, 0, 10, tzinfo=UTC))
    ingest(BOTH, "2025-03-04")

    assert found(lake, "klines_are_complete_or_explained", ["2025-03-03", "2025-03-04"]).breaches == 2 * 840


@pytest.mark.parametrize("harm", ["flipped", "gone"])
def test_an_archive_that_is_no_longer_what_was_verified_is_found(ingest: Run, lake: Lake, harm: str) -> None:
    ingest(BOTH, *DAYS[:2])
    held = Path(lake.base, "vision", key_of("ETHUSDT", DAYS[1]))
    content = bytearray(held.read_bytes())
    content[len(content) // 2] ^= 1
    assert not found(lake, "archive_matches_checksum", DAYS[:2]).breaches

    if harm == "flipped":
        held.write_bytes(content)
    else:
        held.unlink()

    assert [*map(str, found(lake, "archive_matches_checksum", DAYS[:2]).worst)] == [f"{DAYS[1]} ETHUSDT: 1"]
    held.unlink(missing_ok=True)
    ingest(BOTH, DAYS[1])
    assert not found(lake, "archive_matches_checksum", DAYS[:2]).breaches
