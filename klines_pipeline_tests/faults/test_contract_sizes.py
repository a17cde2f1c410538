"""Contract sizes that nobody knows or that cannot be asked: what is published all the same, and what asking costs.

XMRUSD_PERP of COIN-M was delisted in 2024, and exchangeInfo names it no more.
"""

import pytest

from klines_pipeline.domain.universe import SymbolFilter
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.conftest import Run, certificate, impatient, make_dataset, read_day

CM = "binance/cm"
DAYS = ("2023-01-05", "2023-01-06", "2023-01-07")
INFO = "/dapi/v1/exchangeInfo"


def dataset(*symbols: str, **fields: object) -> object:
    """Hours of COIN-M."""
    return make_dataset(*symbols, market="cm", interval="1h", **fields)


def asked(exchange: EmbeddedExchange) -> int:
    """Requests for exchangeInfo since the last reset."""
    return int(exchange.requests()["rest"].get("exchangeInfo", 0))


def nulls(lake: Lake, symbol: str, day: str) -> int:
    """Rows of the symbol without a quote volume."""
    rows = read_day(lake, "klines", day, interval="1h", venue=CM)
    return int(rows.filter(symbol=symbol)["quote_volume"].null_count())


def test_a_size_that_nobody_knows_is_asked_once_and_days_do_not_depend_on_it(
    exchange: EmbeddedExchange, ingest: Run, lake: Lake
) -> None:
    both = dataset("BTCUSD_PERP", "XMRUSD_PERP")
    ingest(both, DAYS[0])
    assert asked(exchange) == 1
    exchange.add_fault(kind="status", status=503, match="/dapi/*")
    exchange.reset_requests()

    results = ingest(both, *DAYS, market=impatient(exchange, CM))

    assert not any(result.failures for result in results)
    assert asked(exchange) == 0
    assert [nulls(lake, name, DAYS[1]) for name in ("BTCUSD_PERP", "XMRUSD_PERP")] == [0, 24]


def test_sizes_that_cannot_be_asked_leave_the_table_published_and_the_day_red_until_they_can(
    exchange: EmbeddedExchange, ingest: Run, lake: Lake
) -> None:
    ingest(dataset("BTCUSD_PERP"), DAYS[0])
    both = dataset("BTCUSD_PERP", "ETHUSD_PERP")
    exchange.add_fault(kind="status", status=503, match=INFO)
    exchange.reset_requests()

    results = ingest(both, *DAYS, market=impatient(exchange, CM))

    assert [set(result.failures) for result in results] == [{"klines"}] * 3
    for result in results:
        assert "the size of 1 contract(s) could not be asked, so quote volumes lack:" in result.failures["klines"]
    assert asked(exchange) == 2, "two attempts, once a run"
    for day in DAYS:
        assert certificate(lake, "ETHUSD_PERP", day, interval="1h", venue=CM)["present"] == 24
        assert [nulls(lake, name, day) for name in ("BTCUSD_PERP", "ETHUSD_PERP")] == [0, 24]

    exchange.clear_faults()
    exchange.reset_requests()
    healed = ingest(both, *DAYS)

    assert not any(result.failures for result in healed)
    assert asked(exchange) == 1
    assert [nulls(lake, "ETHUSD_PERP", day) for day in DAYS] == [0, 0, 0]


@pytest.mark.parametrize("status", [200, 503])
def test_a_filter_and_the_sizes_ask_exchange_info_together_once(
    exchange: EmbeddedExchange, ingest: Run, status: int
) -> None:
    if status != 200:
        exchange.add_fault(kind="status", status=status, match=INFO)

    ingest(dataset(chosen=SymbolFilter(match="PERP$")), *DAYS, market=impatient(exchange, CM))

    assert asked(exchange) == (1 if status == 200 else 2)


def test_a_blocked_exchange_info_leaves_green_days_and_is_asked_again(
    exchange: EmbeddedExchange, ingest: Run, lake: Lake
) -> None:
    exchange.add_fault(kind="blocked", match="/dapi/*")
    [blocked] = ingest(dataset("BTCUSD_PERP"), DAYS[0])
    assert not blocked.failures
    assert nulls(lake, "BTCUSD_PERP", DAYS[0]) == 24

    exchange.clear_faults()
    ingest(dataset("BTCUSD_PERP"), DAYS[0])

    assert nulls(lake, "BTCUSD_PERP", DAYS[0]) == 0
