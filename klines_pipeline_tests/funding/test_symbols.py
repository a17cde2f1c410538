"""Whose funding is kept on a day: paragraphs, filters, and the edges of a symbol's and of the bucket's life."""

from klines_pipeline.domain.universe import Contract, SymbolFilter
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.stages.funding.ingest import FundingStage
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.conftest import make_dataset
from klines_pipeline_tests.faults.lakes import all_files
from klines_pipeline_tests.funding.conftest import Fund, certificate, table


def test_every_paragraph_that_asks_counts_and_delivery_contracts_do_not(lake: Lake, fund: Fund) -> None:
    hours = make_dataset("BTCUSDT", "BTCUSDT_250328", market="um", interval="1h", funding=True)
    minutes = make_dataset("ETHUSDT", market="um", interval="1m", funding=True)
    silent = make_dataset("SOLUSDT", market="um", interval="5m")
    spot = make_dataset("SOLUSDT", interval="5m")

    fund([hours, minutes, silent, spot], "2025-02-27")

    assert set(table(lake, "funding", "2025-02-27")["symbol"]) == {"BTCUSDT", "ETHUSDT"}


def test_a_filter_means_on_each_day_the_perpetuals_that_lived_then(lake: Lake, fund: Fund) -> None:
    chosen = SymbolFilter(quote=("USDT",), contract=Contract.PERPETUAL, match="^(BTC|RAY|TLM|NOVA)")
    some = make_dataset(market="um", interval="1h", funding=True, chosen=chosen)
    named = make_dataset("ETHUSDT", market="um", interval="4h", funding=True)

    fund([some, named], "2022-05-10")
    fund([some, named], "2025-03-03")

    assert set(table(lake, "funding", "2022-05-10")["symbol"]) == {"BTCUSDT", "ETHUSDT", "RAYUSDT", "TLMUSDT"}
    later = table(lake, "ledger/funding_certificates", "2025-03-03")
    assert set(later["symbol"]) == {"BTCUSDT", "ETHUSDT", "TLMUSDT", "NOVAUSDT"}


def test_a_filter_needs_no_network_for_the_table_alone(exchange: EmbeddedExchange, lake: Lake, fund: Fund) -> None:
    some = make_dataset(market="um", interval="1h", funding=True, chosen=SymbolFilter(match="^BTCUSD[TC]$"))
    fund([some], "2025-02-27")
    before = all_files(lake)
    exchange.reset_requests()

    fund([some], "2025-02-27", stages=[FundingStage.FUNDING])

    assert exchange.requests()["total"] == 0
    assert all_files(lake) == before
    assert set(table(lake, "funding", "2025-02-27")["symbol"]) == {"BTCUSDT", "BTCUSDC"}


def test_before_a_first_and_after_a_last_archive_only_who_trades_is_asked(
    exchange: EmbeddedExchange, lake: Lake, fund: Fund
) -> None:
    gone = make_dataset("RAYUSDT", market="um", interval="1h", funding=True)

    fund([gone], "2021-06-01")
    fund([gone], "2023-01-01", "2023-01-03")

    assert exchange.requests()["rest"] == {"exchangeInfo": 1}
    assert certificate(lake, "RAYUSDT", "2021-06-01")["reason"] == "not_listed"
    assert certificate(lake, "RAYUSDT", "2023-01-02")["reason"] == "delisted"


def test_within_the_first_and_the_last_month_rest_confirms_what_the_archive_lacks(
    exchange: EmbeddedExchange, lake: Lake, fund: Fund
) -> None:
    gone = make_dataset("RAYUSDT", market="um", interval="1h", funding=True)
    reasons = {}
    for month, last in (("2021-08", 31), ("2022-11", 30)):
        for day in fund([gone], f"{month}-01", f"{month}-{last}"):
            reasons[str(day.day)] = certificate(lake, "RAYUSDT", str(day.day))["reason"]

    assert set(reasons.values()) == {None, "not_listed", "delisted"}
    assert reasons["2021-08-01"] == "not_listed"
    assert reasons["2021-08-31"] is reasons["2022-11-01"] is None
    assert reasons["2022-11-30"] == "delisted"
    assert exchange.requests()["funding"] == 2


def test_the_months_before_the_bucket_began_come_from_rest(lake: Lake, fund: Fund) -> None:
    first = make_dataset("BTCUSDT", market="um", interval="1h", funding=True)

    fund([first], "2019-09-08", "2019-09-12")

    assert certificate(lake, "BTCUSDT", "2019-09-08")["reason"] == "not_listed"
    assert certificate(lake, "BTCUSDT", "2019-09-12")["from_rest"] == 3
    assert table(lake, "funding", "2019-09-12")["mark_price"].null_count() == 3


def test_a_paragraph_counts_from_its_own_first_day_on(lake: Lake, fund: Fund) -> None:
    early = make_dataset("BTCUSDT", market="um", interval="1h", start="2025-02-01", funding=True)
    late = make_dataset("ETHUSDT", "BTCUSDT", market="um", interval="4h", start="2025-02-28", funding=True)
    chosen = make_dataset(
        market="um", interval="1d", start="2025-02-28", funding=True, chosen=SymbolFilter(match="^SOLUSDT$")
    )

    fund([late, early, chosen], "2025-02-27", "2025-02-28")

    assert set(table(lake, "funding", "2025-02-27")["symbol"]) == {"BTCUSDT"}
    assert set(table(lake, "funding", "2025-02-28")["symbol"]) == {"BTCUSDT", "ETHUSDT", "SOLUSDT"}
