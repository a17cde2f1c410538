"""Instruments OKX names no more: told by their candles, remembered by the lake. LUNA-USDT-SWAP ended 2022-05-13 02:00.

And names of the other market, which its candles would answer with volumes of another meaning.
"""

from datetime import UTC, datetime

import httpx
import pytest

from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.errors import UnknownNameError
from klines_pipeline.domain.universe import SymbolFilter
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.conftest import Run, certificate, make_dataset, read_day

SWAP = "okx/swap"
LUNA, BTC = "LUNA-USDT-SWAP", "BTC-USDT-SWAP"
EARLIER, LAST, AFTER = "2022-05-12", "2022-05-13", "2022-05-14"


def at(text: str) -> datetime:
    """That moment, UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def both(**fields: object) -> Dataset:
    """LUNA and BTC, by their names or by a filter."""
    names = () if fields else (BTC, LUNA)
    return make_dataset(*names, exchange="okx", market="swap", **fields)


FILTERED = both(chosen=SymbolFilter(match="^(LUNA|BTC)-USDT"))


def candles_asked(exchange: EmbeddedExchange) -> int:
    """Requests for candles since the last reset."""
    return sum(count for name, count in exchange.requests()["rest"].items() if name.endswith("candles"))


@pytest.mark.parametrize(("market", "symbol"), [("spot", "BTC-USDT-SWAP"), ("swap", "BTC-USDT")])
def test_a_name_of_the_other_market_is_unknown_although_its_candles_answer(
    exchange: EmbeddedExchange, ingest: Run, lake: Lake, market: str, symbol: str
) -> None:
    with pytest.raises(UnknownNameError, match=f"'{symbol}'|{symbol}"):
        ingest(make_dataset(symbol, exchange="okx", market=market), "2025-03-02")

    assert lake.size(f"klines/exchange=okx/market={market}/interval=1m/date=2025-03-02/part.parquet") is None
    assert candles_asked(exchange) == 0


@pytest.mark.parametrize("dataset", [both(), FILTERED], ids=["named", "filtered"])
def test_a_last_day_seen_in_progress_is_completed_after_the_delisting(
    exchange: EmbeddedExchange, ingest: Run, lake: Lake, dataset: Dataset
) -> None:
    exchange.set_clock(at("2022-05-13T01:30"))
    ingest(dataset, LAST)
    assert certificate(lake, LUNA, LAST, venue=SWAP)["present"] == 90
    exchange.set_clock(at("2022-05-15T09:00"))

    results = ingest(dataset, EARLIER, LAST)

    assert not any(result.failures for result in results)
    ended = certificate(lake, LUNA, LAST, venue=SWAP)
    assert (ended["expected"], ended["present"], ended["reason"]) == (1440, 120, "delisted")
    assert certificate(lake, LUNA, EARLIER, venue=SWAP)["present"] == 1440
    assert certificate(lake, BTC, LAST, venue=SWAP)["present"] == 1440


def test_a_filter_says_whom_it_means_where_nobody_keeps_the_delisted_ones(
    exchange: EmbeddedExchange, ingest: Run
) -> None:
    said = list[str]()

    ingest(make_dataset(exchange="okx", chosen=SymbolFilter(match="^BTC-")), "2025-03-02", log=said.append)

    assert said[0] == (
        "okx/spot/klines_1m: the filter selects 1 of 5 symbols, of those REST names today or the lake remembers"
    )


def test_after_the_last_candle_a_named_instrument_is_delisted_and_costs_no_candles(
    exchange: EmbeddedExchange, ingest: Run, lake: Lake
) -> None:
    dataset = make_dataset(LUNA, exchange="okx", market="swap", interval="1h")
    ingest(dataset, AFTER)
    one_day = candles_asked(exchange)
    exchange.reset_requests()

    ingest(dataset, AFTER, *(f"2022-06-{day:02}" for day in range(1, 11)))

    assert candles_asked(exchange) == one_day == 4, "three for the first candle, one for the last, none for the days"
    for day in (AFTER, "2022-06-10"):
        proof = certificate(lake, LUNA, day, interval="1h", venue=SWAP)
        assert (proof["present"], proof["reason"]) == (0, "delisted")


def test_candles_that_are_gone_stop_nobody_else_where_the_lake_knows_the_instrument(
    exchange: EmbeddedExchange, ingest: Run, lake: Lake
) -> None:
    exchange.set_clock(at("2022-05-13T01:30"))
    ingest(both(), EARLIER)
    kept = read_day(lake, "klines", EARLIER, venue=SWAP)
    exchange.set_clock(at("2022-05-16T09:00"))
    httpx.post(f"{exchange.url}/control/okx", json={"delisted_answer": False}).raise_for_status()

    results = ingest(both(), EARLIER, AFTER)

    assert not any(result.failures for result in results)
    assert read_day(lake, "klines", EARLIER, venue=SWAP).equals(kept)
    assert certificate(lake, BTC, AFTER, venue=SWAP)["present"] == 1440
    assert certificate(lake, LUNA, AFTER, venue=SWAP)["present"] == 0


def test_an_instrument_that_neither_okx_nor_the_lake_knows_is_misspelled(
    exchange: EmbeddedExchange, ingest: Run
) -> None:
    httpx.post(f"{exchange.url}/control/okx", json={"delisted_answer": False}).raise_for_status()

    with pytest.raises(UnknownNameError, match=LUNA):
        ingest(both(), AFTER)


def test_a_filter_remembers_a_delisted_instrument_after_days_it_was_not_there(
    exchange: EmbeddedExchange, ingest: Run, lake: Lake
) -> None:
    """The newest day in the lake is one without it."""
    exchange.set_clock(at("2022-05-13T01:30"))
    ingest(FILTERED, LAST)
    exchange.set_clock(at("2022-05-16T09:00"))
    ingest(FILTERED, AFTER)

    ingest(FILTERED, EARLIER, LAST)

    assert certificate(lake, LUNA, EARLIER, venue=SWAP)["present"] == 1440
    assert certificate(lake, LUNA, LAST, venue=SWAP)["present"] == 120
