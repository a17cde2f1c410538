"""The life table made from the embedded exchange's bucket and REST, and kept in the lake."""

import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from klines_pipeline.domain.errors import TransientError
from klines_pipeline.exchanges.protocols import Market
from klines_pipeline.exchanges.registry import connect
from klines_pipeline.exchanges.retry import RetryPolicy
from klines_pipeline.klines.life import SYMBOL_SCHEMA
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.stages.symbols.life_table import Refreshed, Sizes, contract_sizes, refresh_symbols
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.conftest import endpoints_of
from klines_pipeline_tests.exchanges.script import Answer, ScriptedServer

HOLE = {"start": date(2022, 9, 30), "end": date(2023, 3, 12)}
"""USDCUSDT on spot, between its two listings."""


@pytest.fixture
def connections() -> Iterator[list[Market]]:
    """Markets to be closed in the end."""
    opened = list[Market]()
    yield opened
    for market in opened:
        market.api.close()


@pytest.fixture
def market(exchange: EmbeddedExchange, connections: list[Market]) -> Any:
    """`market("um")`: connected anew, retrying without waiting; URLs may be replaced."""

    def connected(name: str, **urls: str) -> Market:
        made, policy = (
            connect("binance", name, endpoints_of(exchange) | urls),
            RetryPolicy(attempts=2, first_wait=0.001),
        )
        made.archive.policy = made.archive.listing.policy = made.api.host.policy = policy  # type: ignore[attr-defined]
        connections.append(made)
        return made

    return connected


def refresh(lake: Lake, market: Market, name: str) -> Refreshed:
    """Without a log."""
    return refresh_symbols(lake, market, ("binance", name), lambda _: None)


def table_of(lake: Lake, name: str) -> pl.DataFrame:
    """The file as any reader would see it."""
    path = f"{lake.base}/ledger/symbols/exchange=binance/market={name}/part.parquet"
    return pl.read_parquet(path, hive_partitioning=False)


def rows(table: pl.DataFrame) -> dict[str, dict[str, Any]]:
    """By symbol."""
    return {row["symbol"]: row for row in table.iter_rows(named=True)}


def test_the_table_has_what_trades_and_what_once_did(lake: Lake, market: Any) -> None:
    refreshed = refresh(lake, market("spot"), "spot")
    spot = rows(table_of(lake, "spot"))

    assert refreshed.table.equals(table_of(lake, "spot"))
    assert refreshed.table.schema == SYMBOL_SCHEMA
    assert refreshed.failed == {}
    btc, luna, usdc = spot["BTCUSDT"], spot["LUNAUSDT"], spot["USDCUSDT"]
    assert (btc["first_day"], btc["last_day"], btc["listed"]) == (date(2017, 8, 17), date(2025, 3, 3), True)
    assert (luna["last_day"], luna["listed"], luna["status"]) == (date(2022, 5, 13), False, "BREAK")
    assert (usdc["holes"], usdc["reused"], usdc["stablecoins"]) == ([HOLE], True, True)
    assert (btc["holes"], btc["reused"]) == ([], False)
    assert spot["币安人生USDT"]["base"] == "币安人生"
    assert btc["checked_at"] == datetime(2025, 3, 4, 9, tzinfo=UTC)


def test_leveraged_tokens_are_told_though_they_trade_no_more(lake: Lake) -> None:
    with EmbeddedExchange(rate=0, leveraged_tokens=True) as exchange:
        spot_market = connect("binance", "spot", endpoints_of(exchange))
        spot = rows(refresh(lake, spot_market, "spot").table)
        spot_market.api.close()

    assert [spot[name]["leveraged"] for name in ("BTCUPUSDT", "BTCDOWNUSDT", "BTCUSDT")] == [True, True, False]
    assert spot["BTCUPUSDT"]["listed"] is False


def test_usd_m_tells_contracts_settled_and_gone_ones(lake: Lake, market: Any) -> None:
    refresh(lake, market("um"), "um")
    um = rows(table_of(lake, "um"))

    quarter, gone = um["BTCUSDT_250328"], um["BTCUSDT_241227"]
    assert (quarter["contract"], quarter["delivery"]) == ("delivery", datetime(2025, 3, 28, 8, tzinfo=UTC))
    assert (gone["listed"], gone["status"], gone["delivery"]) == (False, None, datetime(2024, 12, 27, 8, tzinfo=UTC))
    assert (um["RAYUSDT"]["contract"], um["RAYUSDT"]["base"]) == ("perpetual", "RAY")
    assert [um[name]["settled"] for name in ("CVCUSDTSETTLED", "ICPUSDT_SETTLED", "BTCUSDT")] == [True, True, False]
    assert [hole["end"] for hole in um["TLMUSDT"]["holes"]] == [date(2023, 3, 27)]
    assert (um["AURAUSDT"]["first_day"], um["AURAUSDT"]["listed"]) == (None, False)
    assert um["BTCUSDT"]["since"] == datetime(2019, 9, 25, 8, tzinfo=UTC)


def test_a_second_look_asks_one_page_a_symbol_and_finds_what_is_new(
    lake: Lake, market: Any, exchange: EmbeddedExchange
) -> None:
    first = refresh(lake, market("spot"), "spot")
    exchange.set_clock(now=exchange.now() + timedelta(days=2))
    exchange.reset_requests()

    second = refresh(lake, market("spot"), "spot")

    counts = exchange.requests()
    archived = second.table.filter(pl.col("first_day").is_not_null()).height
    whole = 2  # USDCUSDT has a hole, which may have been filled since: its 3 pages are read again
    assert counts["listing"] == second.listing_requests == 1 + archived + whole < first.listing_requests
    assert counts["rest_total"] == second.rest_requests == 1
    moved = rows(first.table)["BTCUSDT"] | {"last_day": date(2025, 3, 5), "checked_at": exchange.now()}
    assert rows(second.table)["BTCUSDT"] == moved
    assert rows(second.table)["USDCUSDT"]["holes"] == [HOLE]
    assert rows(second.table)["LUNAUSDT"] == rows(first.table)["LUNAUSDT"] | {"checked_at": exchange.now()}


def test_where_rest_is_blocked_archives_and_names_tell_and_what_rest_said_before_stays(
    lake: Lake, market: Any, exchange: EmbeddedExchange
) -> None:
    exchange.add_fault(kind="blocked", group="rest")
    blocked = refresh(lake, market("um"), "um")
    unasked = rows(blocked.table)["BTCUSDT"]
    assert "does not serve this address" in str(blocked.blocked)
    assert blocked.failed == {}
    assert (unasked["base"], unasked["contract"], unasked["listed"], unasked["status"]) == (
        "BTC", "perpetual", None, None,
    )  # fmt: skip

    exchange.clear_faults()
    refresh(lake, market("um"), "um")
    exchange.add_fault(kind="blocked", group="rest")
    again = rows(refresh(lake, market("um"), "um").table)["BTCUSDT"]

    assert (again["listed"], again["status"]) == (None, "TRADING")
    assert again["since"] == datetime(2019, 9, 25, 8, tzinfo=UTC)


def test_an_outage_of_rest_is_a_failure_that_leaves_the_archives_recorded(
    lake: Lake, market: Any, exchange: EmbeddedExchange
) -> None:
    exchange.add_fault(kind="status", group="rest", status=503)

    refreshed = refresh(lake, market("spot"), "spot")

    assert list(refreshed.failed) == ["exchangeInfo"]
    assert rows(table_of(lake, "spot"))["BTCUSDT"]["last_day"] == date(2025, 3, 3)


def test_an_outage_of_the_bucket_changes_nothing(lake: Lake, market: Any, exchange: EmbeddedExchange) -> None:
    before = refresh(lake, market("spot"), "spot").table
    exchange.add_fault(kind="status", group="listing", status=503)

    with pytest.raises(TransientError, match="503"):
        refresh(lake, market("spot"), "spot")

    assert table_of(lake, "spot").equals(before)


@pytest.fixture
def half_a_bucket() -> Iterator[str]:
    """A bucket that tells its folders, BTCUSDT and NEWUSDT, and then fails."""
    prefix = "data/spot/daily/klines/"
    folders = "".join(
        f"<CommonPrefixes><Prefix>{prefix}{name}/</Prefix></CommonPrefixes>" for name in ("BTCUSDT", "NEWUSDT")
    )
    body = f'<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{folders}</ListBucketResult>'
    with ScriptedServer() as running:
        running.script = [Answer(200, body.encode()), Answer(500)]
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running.url
        running.shutdown()
        thread.join()


def test_a_symbol_that_cannot_be_listed_keeps_its_row_and_a_new_one_gets_none(
    lake: Lake, market: Any, half_a_bucket: str
) -> None:
    before = rows(refresh(lake, market("spot"), "spot").table)["BTCUSDT"]

    refreshed = refresh(lake, market("spot", vision_list_url=half_a_bucket), "spot")

    assert sorted(refreshed.failed) == ["BTCUSDT", "NEWUSDT"]
    assert rows(refreshed.table)["BTCUSDT"] == before
    assert "NEWUSDT" not in rows(refreshed.table)


def test_a_market_without_archives_has_what_rest_says_and_keeps_what_it_no_longer_names(
    lake: Lake, exchange: EmbeddedExchange, connections: list[Market]
) -> None:
    swap = connect("okx", "swap", endpoints_of(exchange))
    connections.append(swap)
    venue = ("okx", "swap")
    first = refresh_symbols(lake, swap, venue, lambda _: None)
    [btc] = [row for row in first.table.iter_rows(named=True) if row["symbol"] == "BTC-USDT-SWAP"]
    exchange.set_clock(now=datetime(2019, 1, 1, tzinfo=UTC))

    second = refresh_symbols(lake, swap, venue, lambda _: None)

    assert first.listing_requests == 0
    assert (btc["listed"], btc["contract"], btc["first_day"]) == (True, "perpetual", None)
    assert btc["since"] is not None
    assert rows(second.table)["BTC-USDT-SWAP"] == btc | {"listed": False, "status": None}


def sizes_of(lake: Lake, connected: Any, market: str, *names: str) -> Sizes:
    return contract_sizes(lake, connected, ("binance", market), names, connected.api.symbols)


def test_contract_sizes_are_asked_once_and_then_remembered(lake: Lake, market: Any, exchange: EmbeddedExchange) -> None:
    """That nobody knows one, XMRUSD_PERP's, is remembered too."""
    names = ["BTCUSD_PERP", "ETHUSD_PERP", "BTCUSD_241227", "XMRUSD_PERP"]
    sizes = {"BTCUSD_PERP": 100.0, "ETHUSD_PERP": 10.0, "BTCUSD_241227": 100.0}

    first = sizes_of(lake, market("cm"), "cm", *names)
    exchange.add_fault(kind="status", group="rest", status=503)
    second = sizes_of(lake, market("cm"), "cm", *names)

    assert first == second == Sizes(sizes)


def test_a_size_that_cannot_be_asked_now_is_a_problem_and_no_loss(
    lake: Lake, market: Any, exchange: EmbeddedExchange
) -> None:
    sizes_of(lake, market("cm"), "cm", "BTCUSD_PERP")
    exchange.add_fault(kind="status", group="rest", status=503)

    sizes = sizes_of(lake, market("cm"), "cm", "BTCUSD_PERP", "ETHUSD_PERP")

    assert sizes.known == {"BTCUSD_PERP": 100.0}
    assert "the size of 1 contract(s) could not be asked" in (sizes.problem or "")


def test_a_refresh_after_contract_sizes_lists_those_symbols_whole(lake: Lake, market: Any) -> None:
    sizes_of(lake, market("cm"), "cm", "BTCUSD_241227")

    cm = rows(refresh(lake, market("cm"), "cm").table)

    assert cm["BTCUSD_241227"]["contract_size"] == 100.0
    assert (cm["BTCUSD_241227"]["first_day"], cm["BTCUSD_241227"]["last_day"]) == (
        date(2024, 6, 28),
        date(2024, 12, 27),
    )
    assert sizes_of(lake, market("cm"), "cm", "BTCUSD_PERP").known == {"BTCUSD_PERP": 100.0}


def test_where_rest_is_blocked_only_sizes_known_already_are_known(
    lake: Lake, market: Any, exchange: EmbeddedExchange
) -> None:
    sizes_of(lake, market("cm"), "cm", "BTCUSD_PERP")
    exchange.add_fault(kind="blocked", group="rest")

    assert sizes_of(lake, market("cm"), "cm", "BTCUSD_PERP", "ETHUSD_PERP") == Sizes({"BTCUSD_PERP": 100.0})
