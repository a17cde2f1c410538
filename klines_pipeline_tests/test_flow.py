"""The flow as a whole, on the embedded exchange: what must hold for any day."""

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from klines_pipeline.domain.interval import DAILY_INTERVALS
from klines_pipeline.klines.schema import KLINE_SCHEMA, MARKET_NAMES
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.conftest import Run, certificate, make_dataset, read_day


def test_a_complete_archive_day_costs_no_rest_request(exchange: EmbeddedExchange, ingest: Run, lake: Lake) -> None:
    dataset = make_dataset("BTCUSDT", "ETHUSDT")

    [result] = ingest(dataset, "2024-03-01")

    assert not result.failures
    assert exchange.requests()["rest_total"] == 0
    assert read_day(lake, "klines", "2024-03-01").height == 2 * 1440
    assert certificate(lake, "BTCUSDT", "2024-03-01")["from_vision"] == 1440


def truth(exchange: EmbeddedExchange, symbol: str, interval: str, day: str) -> pl.DataFrame:
    """What the market did, from the simulator's own integers (µs, and 1e-8 of a unit)."""
    known = exchange.market.klines(symbol, interval, date.fromisoformat(day))
    columns = {name: getattr(known, name) for name in MARKET_NAMES}
    scaled = {name: values if name == "trades" else values / 1e8 for name, values in columns.items()}
    times = pl.Series("open_time", known.open_time).cast(KLINE_SCHEMA["open_time"])
    return pl.DataFrame({"open_time": times, **scaled})


@pytest.mark.parametrize("interval", DAILY_INTERVALS)
@pytest.mark.parametrize("day", ["2024-12-31", "2025-03-02"])
def test_every_interval_holds_exactly_what_the_market_did(
    exchange: EmbeddedExchange, ingest: Run, lake: Lake, interval: str, day: str
) -> None:
    """The last day of milliseconds; and a day in microseconds with a halt, and with a gap that REST fills."""
    [result] = ingest(make_dataset("ETHUSDT", interval=interval), day)

    assert not result.failures
    rows = read_day(lake, "klines", day, interval=interval).select("open_time", *MARKET_NAMES)
    assert_frame_equal(rows, truth(exchange, "ETHUSDT", interval, day), check_exact=True)


def test_the_archive_confirms_what_rest_gave_before_it_was_published(
    exchange: EmbeddedExchange, ingest: Run, lake: Lake
) -> None:
    exchange.set_clock(datetime(2025, 3, 3, 1, tzinfo=UTC))
    dataset = make_dataset("BTCUSDT")
    ingest(dataset, "2025-03-02")
    before = certificate(lake, "BTCUSDT", "2025-03-02")

    exchange.set_clock(datetime(2025, 3, 3, 9, tzinfo=UTC))
    exchange.reset_requests()
    ingest(dataset, "2025-03-02")

    after = certificate(lake, "BTCUSDT", "2025-03-02")
    assert (before["from_rest"], before["from_vision"], before["reason"]) == (1392, 0, "not_published")
    assert (after["from_rest"], after["from_vision"], after["reason"]) == (0, 1392, "exchange_halt")
    assert (before["confirmed"], after["confirmed"], after["conflicts"]) == (0, 1392, 0)
    assert after["fingerprint"] == before["fingerprint"]
    assert exchange.requests()["rest_total"] == 0


def test_a_day_in_progress_asks_only_for_what_closed_since(exchange: EmbeddedExchange, ingest: Run, lake: Lake) -> None:
    dataset = make_dataset("BTCUSDT", "ETHUSDT")
    ingest(dataset, "2025-03-04")
    exchange.set_clock(exchange.now() + timedelta(minutes=7, seconds=30))
    exchange.reset_requests()

    [result] = ingest(dataset, "2025-03-04")

    assert exchange.requests()["rest"] == {"time": 1, "klines": 2}
    assert result.topped_up
    assert result.topped_up.new_rows == 2 * 7
    slices = read_day(lake, "ledger/slices", "2025-03-04")
    assert slices["slice_key"].to_list() == [f"{name}:1m:1741046400000:1000" for name in ("BTCUSDT", "ETHUSDT")]
    assert slices["rows"].to_list() == [547, 547]


def test_symbols_no_longer_configured_keep_their_rows(ingest: Run, lake: Lake) -> None:
    ingest(make_dataset("BTCUSDT", "ETHUSDT"), "2024-03-01")

    ingest(make_dataset("ETHUSDT", "SOLUSDT"), "2024-03-01")

    rows = read_day(lake, "klines", "2024-03-01").group_by("symbol", maintain_order=True).len().rows()
    assert rows == [("BTCUSDT", 1440), ("ETHUSDT", 1440), ("SOLUSDT", 1440)]
    assert certificate(lake, "BTCUSDT", "2024-03-01")["present"] == 1440


def test_disagreement_between_archive_and_rest_is_counted_and_listed(
    exchange: EmbeddedExchange, ingest: Run, lake: Lake
) -> None:
    exchange.set_clock(datetime(2025, 3, 3, 1, tzinfo=UTC))
    dataset = make_dataset("BTCUSDT")
    ingest(dataset, "2025-03-02")
    exchange.set_clock(datetime(2025, 3, 3, 9, tzinfo=UTC))
    change = exchange.revise("data/spot/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2025-03-02.zip")

    ingest(dataset, "2025-03-02")

    proof, listed = certificate(lake, "BTCUSDT", "2025-03-02"), read_day(lake, "ledger/conflicts", "2025-03-02")
    assert change.changed
    assert proof["conflicts"] == listed.height == len(change.changed)
    assert (proof["confirmed"], proof["from_rest"]) == (change.rows - len(change.changed), 0)
    assert (listed["close"] != listed["close_rest"]).any() or (listed["volume"] != listed["volume_rest"]).any()
    assert listed["open_time"].to_physical().to_list() == sorted(change.changed)
