"""OKX that does not serve this address, is down, sends one bad cell, or answers nothing for a day."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from klines_pipeline.domain.errors import TransientError
from klines_pipeline.domain.universe import SymbolFilter
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.stages.ingest import Stage
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.conftest import Run, certificate, impatient, make_dataset, read_day

DAY = "2025-03-02"
START = datetime(2025, 3, 2, tzinfo=UTC)
SPOT = "okx/spot"
TWO = make_dataset("BTC-USDT", "ETH-USDT", exchange="okx")
NOTHING = '{"code":"0","msg":"","data":[]}'


def candles_asked(exchange: EmbeddedExchange) -> int:
    """Requests for candles since the last reset."""
    return sum(count for name, count in exchange.requests()["rest"].items() if name.endswith("candles"))


@pytest.mark.parametrize("match", ["/api/v5/*", "/api/v5/market/*"], ids=["everything", "candles alone"])
def test_an_address_okx_does_not_serve_leaves_green_days_that_say_blocked(
    exchange: EmbeddedExchange, ingest: Run, lake: Lake, match: str
) -> None:
    exchange.add_fault(kind="blocked", match=match)

    [result] = ingest(TWO, DAY)

    assert not result.failures
    for symbol in TWO.symbols:
        proof = certificate(lake, symbol, DAY, venue=SPOT)
        assert (proof["missing"], proof["reason"]) == (1440, "blocked")
    said = {text for text in read_day(lake, "ledger/slices", DAY, venue=SPOT)["error"] if text is not None}
    assert len(said) == 1
    assert "does not serve this address (HTTP 451); what archives there are still arrives." in said.pop()


def test_served_again_the_next_run_fills_what_was_blocked(exchange: EmbeddedExchange, ingest: Run, lake: Lake) -> None:
    exchange.add_fault(kind="blocked", match="/api/v5/*")
    ingest(TWO, DAY)
    exchange.clear_faults()

    [result] = ingest(TWO, DAY)

    assert not result.failures
    proof = certificate(lake, "BTC-USDT", DAY, venue=SPOT)
    assert (proof["present"], proof["reason"]) == (1440, None)


def test_an_outage_makes_the_day_red_with_one_sentence_said_once(
    exchange: EmbeddedExchange, ingest: Run, lake: Lake
) -> None:
    exchange.add_fault(kind="status", status=503, match="/api/v5/*")

    [result] = ingest(TWO, DAY, market=impatient(exchange, SPOT))

    assert set(result.failures) == {"vision_klines", "rest_klines", "klines"}
    assert result.failures["klines"] == f"{exchange.url}/api/v5/public/time answered HTTP 503."
    assert lake.size(f"ledger/certificates/exchange=okx/market=spot/interval=1m/date={DAY}/part.parquet") is None


def page(exchange: EmbeddedExchange, symbol: str) -> list[list[str]]:
    """The newest page of the day's first 300 candles, as OKX writes them."""
    start = int(START.timestamp() * 1000)
    query: dict[str, Any] = {"instId": symbol, "after": start + 18_000_000, "before": start - 1, "limit": 300}
    rows: list[list[str]] = httpx.get(f"{exchange.url}/api/v5/market/history-candles", params=query).json()["data"]
    return rows


BAD_CELLS = {
    "empty quote volume": (6, "", "malformed"),
    "text in the volume": (5, "abc", "malformed"),
    "no close": (4, "", "malformed"),
    "NaN close": (4, "NaN", "non_finite"),
    "negative quote volume": (6, "-7", "negative"),
}


@pytest.mark.parametrize(("column", "text", "reason"), BAD_CELLS.values(), ids=BAD_CELLS)
def test_one_bad_cell_costs_its_row_and_not_its_page(
    exchange: EmbeddedExchange, ingest: Run, lake: Lake, column: int, text: str, reason: str
) -> None:
    """And the slice is not taken for one whose rows were lost."""
    exchange.set_clock(START + timedelta(hours=5))
    dataset, rows = make_dataset("BTC-USDT", exchange="okx"), page(exchange, "BTC-USDT")
    rows[10][column] = text
    body = json.dumps({"code": "0", "msg": "", "data": rows})
    exchange.add_fault(kind="status", status=200, match="*candles", body=body)

    [first] = ingest(dataset, DAY)
    exchange.reset_requests()
    [alone] = ingest(dataset, DAY, stages=[Stage.KLINES])

    assert not first.failures
    assert not alone.failures
    proof = certificate(lake, "BTC-USDT", DAY, venue=SPOT)
    assert (proof["present"], proof["missing"], proof["reason"]) == (299, 1, "rejected")
    listed = read_day(lake, "ledger/rejected", DAY, venue=SPOT)
    assert listed.select("symbol", "source", "reason").unique().rows() == [("BTC-USDT", "rest", reason)]


@pytest.mark.parametrize(
    ("later", "present", "asked"), [(timedelta(hours=1), 1440, True), (timedelta(days=30), 0, False)]
)
def test_an_empty_answer_for_a_whole_day_is_the_last_word_only_after_three_weeks(
    exchange: EmbeddedExchange, ingest: Run, lake: Lake, later: timedelta, present: int, *, asked: bool
) -> None:
    dataset, midnight = make_dataset("BTC-USDT", exchange="okx"), START + timedelta(days=1)
    exchange.set_clock(midnight + timedelta(minutes=10))
    exchange.add_fault(kind="status", status=200, match="*candles", body=NOTHING)
    ingest(dataset, DAY)
    assert certificate(lake, "BTC-USDT", DAY, venue=SPOT)["present"] == 0
    exchange.clear_faults()
    exchange.set_clock(midnight + later)
    exchange.reset_requests()

    [result] = ingest(dataset, DAY)

    assert not result.failures
    assert (candles_asked(exchange) > 0) is asked
    assert certificate(lake, "BTC-USDT", DAY, venue=SPOT)["present"] == present


def test_instruments_without_one_are_no_market_without_any(exchange: EmbeddedExchange, ingest: Run, lake: Lake) -> None:
    """A filter has nobody to name then, but whom the lake remembers; a day whose symbols are given is not stopped."""
    chosen = make_dataset(exchange="okx", chosen=SymbolFilter(match="^BTC-"))
    exchange.add_fault(kind="status", status=200, match="/api/v5/public/instruments", body=NOTHING)

    with pytest.raises(TransientError, match="answered without instruments"):
        ingest(chosen, DAY, market=impatient(exchange, SPOT))
    [result] = ingest(TWO, DAY, market=impatient(exchange, SPOT))
    [again] = ingest(chosen, DAY, market=impatient(exchange, SPOT))

    assert not result.failures
    assert not again.failures
    assert certificate(lake, "BTC-USDT", DAY, venue=SPOT)["present"] == 1440
