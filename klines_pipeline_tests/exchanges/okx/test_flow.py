"""OKX through the stages: days of REST alone, the one in progress included, each closed minute asked once."""

from datetime import UTC, datetime, timedelta

import httpx
import polars as pl
import pytest

from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.conftest import Run, certificate, make_dataset, read_day

DAYS = ("2025-03-01", "2025-03-02", "2025-03-03")
NINE = datetime(2025, 3, 3, 9, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _in_progress(exchange: EmbeddedExchange) -> None:
    """It is the third day, nine o'clock."""
    exchange.set_clock(NINE)


def candles_asked(exchange: EmbeddedExchange) -> int:
    """Requests for candles since the last reset."""
    asked = exchange.requests()["rest"]
    return sum(count for endpoint, count in asked.items() if endpoint.endswith("candles"))


def as_sent(exchange: EmbeddedExchange, symbol: str, start: datetime) -> dict[datetime, tuple[float, ...]]:
    """A hundred closed candles from `start` on: prices, vol, volCcy and volCcyQuote, as OKX itself writes them."""
    first = int(start.timestamp() * 1000)
    query: dict[str, str | int] = {"instId": symbol, "after": first + 6_000_000, "before": first - 1, "limit": 100}
    rows = httpx.get(f"{exchange.url}/api/v5/market/history-candles", params=query).json()["data"]
    return {
        datetime.fromtimestamp(int(row[0]) / 1000, tz=UTC): tuple(map(float, row[1:8])) for row in rows if row[8] == "1"
    }


@pytest.mark.parametrize(
    ("venue", "symbol", "volumes"), [("okx/spot", "BTC-USDT", (4, 5)), ("okx/swap", "BTC-USDT-SWAP", (5, 6))]
)
def test_days_hold_what_okx_has_the_one_in_progress_included(
    exchange: EmbeddedExchange, ingest: Run, lake: Lake, venue: str, symbol: str, volumes: tuple[int, int]
) -> None:
    name, market = venue.split("/")
    dataset = make_dataset(symbol, market=market, exchange=name)

    results = ingest(dataset, *DAYS)

    assert not any(result.failures for result in results)
    frames = [read_day(lake, "klines", day, venue=venue) for day in DAYS]
    assert [frame.height for frame in frames] == [1440, 1440, 540]
    assert [certificate(lake, symbol, day, venue=venue)["missing"] for day in DAYS] == [0, 0, 0]
    for frame, hours in zip(frames, (22, 11, 7), strict=True):
        start = frame["open_time"][0] + timedelta(hours=hours, minutes=20)
        truth = as_sent(exchange, symbol, start)
        wanted = [(*values[:4], *(values[column] for column in volumes)) for _, values in sorted(truth.items())]
        rows = frame.filter(pl.col("open_time").is_in(sorted(truth)))
        assert rows.select("open", "high", "low", "close", "volume", "quote_volume").rows() == wanted
        assert wanted
        assert (
            rows.select("trades", "taker_buy_volume", "taker_buy_quote_volume").null_count().row(0)
            == (len(wanted),) * 3
        )
    assert {source for frame in frames for source in frame["source"].unique()} == {"rest"}


def test_a_closed_day_is_not_asked_again_and_a_day_in_progress_only_for_what_is_new(
    exchange: EmbeddedExchange, ingest: Run, lake: Lake
) -> None:
    dataset = make_dataset("BTC-USDT", exchange="okx")
    ingest(dataset, *DAYS)
    before = read_day(lake, "klines", DAYS[2], venue="okx/spot")

    exchange.reset_requests()
    ingest(dataset, *DAYS[:2])
    assert candles_asked(exchange) == 0

    exchange.set_clock(NINE + timedelta(minutes=30))
    [result] = ingest(dataset, DAYS[2])
    after = read_day(lake, "klines", DAYS[2], venue="okx/spot")
    assert not result.failures
    assert after.height == 570
    assert after.head(540).equals(before)
    assert exchange.requests()["rest"]["market/candles"] == candles_asked(exchange) == 1


def test_a_hole_is_missing_and_nothing_stands_in_it(exchange: EmbeddedExchange, ingest: Run, lake: Lake) -> None:
    dataset = make_dataset("SOL-USDT", exchange="okx")

    ingest(dataset, DAYS[1])
    exchange.reset_requests()
    ingest(dataset, DAYS[1])

    assert candles_asked(exchange) == 0
    known = certificate(lake, "SOL-USDT", DAYS[1], venue="okx/spot")
    assert (known["expected"], known["present"], known["missing"]) == (1440, 1380, 60)
    hours = read_day(lake, "klines", DAYS[1], venue="okx/spot")["open_time"].dt.hour().unique()
    assert sorted(hours) == [hour for hour in range(24) if hour != 14]


@pytest.mark.parametrize("status", [503, 200], ids=["HTTP 503", "an error with HTTP 200"])
def test_an_outage_that_passes_leaves_no_trace(
    exchange: EmbeddedExchange, ingest: Run, lake: Lake, status: int
) -> None:
    exchange.add_fault(kind="status", status=status, match="*candles", times=2)

    [result] = ingest(make_dataset("ETH-USDT", exchange="okx"), DAYS[0])

    assert not result.failures
    assert read_day(lake, "klines", DAYS[0], venue="okx/spot").height == 1440
    assert candles_asked(exchange) == 5 + 2
