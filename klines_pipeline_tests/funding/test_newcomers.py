"""Symbols that never had an archive: misspelled, just listed, or of a market without any; and empty answers."""

from datetime import UTC, datetime

import pytest

from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.errors import UnknownNameError
from klines_pipeline.domain.universe import SymbolFilter
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.stages.funding.ingest import FundingStage
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.conftest import make_dataset
from klines_pipeline_tests.faults.lakes import all_files
from klines_pipeline_tests.funding.conftest import Fund, asked, certificate, failures, table

EMPTY = '{"code":"0","msg":"","data":[]}'
NOVA = make_dataset("NOVAUSDT", market="um", interval="1h", funding=True)
SWAP = make_dataset("SOL-USDT-SWAP", exchange="okx", market="swap", interval="1h", funding=True)
OKX = "okx/swap"


@pytest.mark.parametrize(
    ("named", "venue", "nearest"),
    [("BTCUSTD", ("binance", "um"), "BTCUSDT"), ("SOL-USD-SWAP", ("okx", "swap"), "SOL-USDT-SWAP")],
)
def test_a_symbol_nobody_ever_had_is_refused_before_the_days_begin(
    lake: Lake, fund: Fund, named: str, venue: tuple[str, str], nearest: str
) -> None:
    exchange, market = venue
    wrong = make_dataset(named, exchange=exchange, market=market, interval="1h", funding=True)

    with pytest.raises(UnknownNameError, match=f"unknown symbol '{named}'. The nearest valid one is '{nearest}'"):
        fund([wrong], "2025-03-01", "2025-03-03")

    assert all_files(lake) == {}


def test_a_symbol_the_lake_has_settlements_of_is_not_misspelled(
    exchange: EmbeddedExchange, lake: Lake, fund: Fund
) -> None:
    fund([NOVA], "2025-03-03", "2025-03-04")
    for path in ("exchangeInfo", "klines", "fundingRate"):
        gone = '{"code":-1121,"msg":"Invalid symbol."}' if path != "exchangeInfo" else '{"symbols":[]}'
        status = 200 if path == "exchangeInfo" else 400
        exchange.add_fault(kind="status", status=status, match=f"/fapi/v1/{path}*", body=gone)

    days = fund([NOVA], "2025-03-03", "2025-03-04")

    assert failures(days) == {}
    assert certificate(lake, "NOVAUSDT", "2025-03-04")["present"] > 0  # type: ignore[operator]


def test_where_rest_cannot_be_asked_nobody_is_refused(exchange: EmbeddedExchange, lake: Lake, fund: Fund) -> None:
    exchange.add_fault(kind="blocked", group="rest")

    assert failures(fund([NOVA], "2025-03-01")) == {}
    assert certificate(lake, "NOVAUSDT", "2025-03-01")["reason"] == "blocked"


def test_a_newcomer_is_not_listed_up_to_its_first_settlement(
    exchange: EmbeddedExchange, lake: Lake, fund: Fund
) -> None:
    fund([NOVA], "2024-12-01", "2024-12-02")
    fund([NOVA], "2025-03-01", "2025-03-04")

    days = ("2024-12-01", "2025-03-01", "2025-03-02", "2025-03-03", "2025-03-04")
    found = [certificate(lake, "NOVAUSDT", day) for day in days]
    assert [row["reason"] for row in found] == [*["not_listed"] * 4, None]
    assert found[3]["present"] == 1
    assert exchange.requests()["funding"] == 1


def test_what_was_known_of_a_newcomer_stands_while_rest_cannot_be_asked(
    exchange: EmbeddedExchange, lake: Lake, fund: Fund
) -> None:
    fund([NOVA], "2025-03-01")
    before = all_files(lake)
    exchange.add_fault(kind="blocked", group="rest")

    assert failures(fund([NOVA], "2025-03-01")) == {}

    assert certificate(lake, "NOVAUSDT", "2025-03-01")["reason"] == "not_listed"
    assert all_files(lake) == before


def test_an_announced_symbol_is_not_listed_yet(exchange: EmbeddedExchange, lake: Lake, fund: Fund) -> None:
    fund([make_dataset("AURAUSDT", market="um", interval="1h", funding=True)], "2025-03-03")

    assert certificate(lake, "AURAUSDT", "2025-03-03")["reason"] == "not_listed"
    assert exchange.requests()["funding"] == 0


def test_a_filter_leaves_a_newcomer_out_before_its_first_day(lake: Lake, fund: Fund) -> None:
    some = make_dataset(market="um", interval="1h", funding=True, chosen=SymbolFilter(match="^(BTCUSDT|NOVAUSDT)$"))

    fund([some], "2025-03-02", "2025-03-03")

    assert table(lake, "ledger/funding_certificates", "2025-03-02")["symbol"].to_list() == ["BTCUSDT"]
    assert table(lake, "ledger/funding_certificates", "2025-03-03")["symbol"].to_list() == ["BTCUSDT", "NOVAUSDT"]


def test_a_filter_leaves_out_what_has_klines_and_never_had_funding(lake: Lake, fund: Fund) -> None:
    some = make_dataset(market="um", interval="1h", funding=True, chosen=SymbolFilter(match="^(BTCUSDT|CVCUSDT)"))

    fund([some], "2022-05-10")

    assert table(lake, "ledger/funding_certificates", "2022-05-10")["symbol"].to_list() == ["BTCUSDT"]


def test_a_swap_is_not_listed_before_its_first_kline_and_no_data_where_rest_has_forgotten(
    exchange: EmbeddedExchange, lake: Lake, fund: Fund
) -> None:
    fund([SWAP], "2021-01-31", "2021-02-03")

    reasons = [certificate(lake, "SOL-USDT-SWAP", day, venue=OKX)["reason"] for day in ("2021-01-31", "2021-02-01")]
    assert reasons == ["not_listed", "not_listed"]
    assert certificate(lake, "SOL-USDT-SWAP", "2021-02-02", venue=OKX)["reason"] == "not_listed"
    assert certificate(lake, "SOL-USDT-SWAP", "2021-02-03", venue=OKX)["reason"] == "no_data"
    before = all_files(lake)
    exchange.reset_requests()

    fund([SWAP], "2021-01-31", "2021-02-03", stages=[FundingStage.FUNDING])

    assert exchange.requests()["total"] == 0
    assert all_files(lake) == before


def test_a_swap_that_is_gone_is_delisted_after_its_last_kline(lake: Lake, fund: Fund) -> None:
    gone = make_dataset("LUNA-USDT-SWAP", exchange="okx", market="swap", interval="1h", funding=True)

    fund([gone], "2022-05-12", "2022-05-14")

    reasons = [certificate(lake, "LUNA-USDT-SWAP", f"2022-05-{day}", venue=OKX)["reason"] for day in (12, 13, 14)]
    assert reasons == ["no_data", "no_data", "delisted"]


# ---- empty answers


@pytest.mark.parametrize(
    ("dataset", "path", "body"),
    [
        (make_dataset("BTCUSDT", market="um", interval="1h", funding=True), "/fapi/v1/fundingRate*", "[]"),
        (SWAP, "/api/v5/public/funding-rate-history*", EMPTY),
    ],
    ids=["binance", "okx"],
)
def test_one_empty_answer_for_a_whole_day_is_not_the_last_word(
    exchange: EmbeddedExchange, lake: Lake, fund: Fund, dataset: Dataset, path: str, body: str
) -> None:
    [symbol], venue = dataset.symbols, "/".join(dataset.prefix)
    exchange.add_fault(kind="status", status=200, match=path, body=body)
    fund([dataset], "2025-03-02")
    assert certificate(lake, symbol, "2025-03-02", venue=venue)["reason"] == "no_data"
    exchange.clear_faults()
    exchange.reset_requests()

    fund([dataset], "2025-03-02")

    found = certificate(lake, symbol, "2025-03-02", venue=venue)
    assert (found["missing"], found["reason"]) == (0, None)
    assert [count for name, count in exchange.requests()["rest"].items() if "unding" in name] == [1]
    exchange.reset_requests()
    fund([dataset], "2025-03-02")
    assert not any("unding" in name for name in exchange.requests()["rest"])


def test_an_empty_answer_after_a_last_archive_is_the_last_word(
    exchange: EmbeddedExchange, lake: Lake, fund: Fund
) -> None:
    exchange.set_clock(datetime(2023, 1, 5, 9, tzinfo=UTC))
    gone = make_dataset("RAYUSDT", market="um", interval="1h", funding=True)
    fund([gone], "2022-12-05")
    assert certificate(lake, "RAYUSDT", "2022-12-05")["reason"] == "delisted"
    assert exchange.requests()["funding"] == 1

    fund([gone], "2022-12-05")

    assert exchange.requests()["funding"] == 1


def test_an_empty_answer_is_the_last_word_once_no_archive_is_awaited(exchange: EmbeddedExchange, fund: Fund) -> None:
    exchange.add_fault(kind="status", status=200, match="/api/v5/public/funding-rate-history*", body=EMPTY)
    exchange.set_clock(datetime(2025, 3, 23, 9, tzinfo=UTC))
    fund([SWAP], "2025-03-02")
    exchange.reset_requests()
    fund([SWAP], "2025-03-02")
    assert asked(exchange)[3] > 2

    exchange.set_clock(datetime(2025, 3, 24, 9, tzinfo=UTC))
    exchange.reset_requests()
    fund([SWAP], "2025-03-02")

    assert asked(exchange)[3] == 2  # the time and the instruments
