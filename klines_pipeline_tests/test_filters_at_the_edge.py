"""Filters where the bucket or exchangeInfo is odd: junk, leftovers, days without anybody, stages alone."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import httpx
import pytest

from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.errors import UnknownNameError
from klines_pipeline.domain.interval import Interval
from klines_pipeline.domain.universe import SymbolFilter
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.stages.ingest import Stage
from klines_pipeline.stages.resample import resample_day
from klines_pipeline.stages.symbols.life_table import Refreshed, refresh_symbols
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.conftest import Run, certificate, impatient, make_dataset, read_day
from klines_pipeline_tests.faults.lakes import all_files

UM = "binance/um"
INFO = "/fapi/v1/exchangeInfo"
FOLDERS = "data/futures/um/daily/klines"


def filtered(match: str, *, interval: str = "1d", market: str = "um", **fields: object) -> Dataset:
    """A dataset whose symbols a pattern finds."""
    return make_dataset(market=market, interval=interval, chosen=SymbolFilter(match=match, **fields))  # type: ignore[arg-type]


def certified(lake: Lake, day: str, *, interval: str = "1d") -> list[str]:
    """Symbols with a certificate that day."""
    return read_day(lake, "ledger/certificates", day, interval=interval, venue=UM)["symbol"].to_list()


def answer_info(exchange: EmbeddedExchange, change: Callable[[dict[str, Any]], object]) -> None:
    """From now on exchangeInfo is what it was, changed."""
    body = httpx.get(f"{exchange.url}{INFO}").json()
    change(body)
    headers = {"Content-Type": "application/json"}
    exchange.add_fault(kind="status", status=200, match=INFO, body=json.dumps(body), headers=headers)


def refresh(lake: Lake, exchange: EmbeddedExchange) -> Refreshed:
    """The life table of um brought up to date."""
    market = impatient(exchange, UM)
    refreshed = refresh_symbols(lake, market, ("binance", "um"), lambda _: None)
    market.api.close()
    return refreshed


@pytest.mark.parametrize("key", ["OLDUSDT/1m/OLDUSDT-1m-2021-06-01.zip", "JUNKUSDT/part-00000.zip"])
def test_a_folder_without_archives_of_the_interval_is_named_in_the_log_and_left_out(
    exchange: EmbeddedExchange, ingest: Run, lake: Lake, key: str
) -> None:
    exchange.put_object(f"{FOLDERS}/{key}", b"junk")
    said = list[str]()

    [result] = ingest(filtered("^(BTCUSDT$|OLD|JUNK)"), "2021-06-01", log=said.append)

    assert not result.failures
    assert certified(lake, "2021-06-01") == ["BTCUSDT"]
    name = key.partition("/")[0]
    assert f"{filtered('^B')}: {name} has a folder, but neither archives of 1d nor klines." in said


def test_a_quote_that_nobody_has_is_misspelled(ingest: Run) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown quote asset 'UDSC'.* 'USDC'"):
        ingest(filtered("^BTC", quote=("USDT", "UDSC")), "2025-03-03")


@pytest.mark.parametrize(("status", "reason"), [(451, "blocked"), (503, "unavailable")])
def test_absences_certified_in_ignorance_go_with_the_next_good_run(
    exchange: EmbeddedExchange, ingest: Run, lake: Lake, status: int, reason: str
) -> None:
    """Without REST nobody can say of today whether RAYUSDT and FTTUSDT, gone since 2022 and 2023, still trade."""
    dataset, today = filtered("^(BTCUSDT$|FTT|RAY)", interval="1h"), "2025-03-04"
    exchange.add_fault(kind="status", status=status, match="/fapi/*")
    ingest(dataset, today, market=impatient(exchange, UM))
    assert certificate(lake, "RAYUSDT", today, interval="1h", venue=UM)["reason"] == reason
    exchange.clear_faults()

    [result] = ingest(dataset, today)

    assert not result.failures
    assert certified(lake, today, interval="1h") == ["BTCUSDT"]


def test_an_exchange_info_without_symbols_does_not_mean_that_nobody_trades(
    exchange: EmbeddedExchange, ingest: Run, lake: Lake
) -> None:
    listed = refresh(lake, exchange).table["listed"].to_list()
    answer_info(exchange, lambda body: body.update(symbols=[]))

    again = refresh(lake, exchange)
    said = list[str]()
    ingest(filtered("^(BTC|ETH)USDT$"), "2025-03-03", market=impatient(exchange, UM), log=said.append)

    assert "answered no exchangeInfo" in again.failed["exchangeInfo"]
    assert again.table.filter(symbol="BTCUSDT")["status"].to_list() == ["TRADING"]
    assert again.table["listed"].null_count() == len(listed)
    assert any("Symbols are judged by their names alone" in text for text in said)
    assert certified(lake, "2025-03-03") == ["BTCUSDT", "ETHUSDT"]


@pytest.mark.parametrize("asset", [{"baseAsset": ["a"]}, {"quoteAsset": 5}], ids=str)
def test_an_asset_that_is_no_name_is_an_answer_that_cannot_be_read(
    exchange: EmbeddedExchange, lake: Lake, asset: dict[str, object]
) -> None:
    answer_info(exchange, lambda body: body["symbols"][1].update(asset))

    refreshed = refresh(lake, exchange)

    assert "has an asset that is no name" in refreshed.failed["exchangeInfo"]
    assert "BTCUSDT" in refreshed.table["symbol"]


@pytest.mark.parametrize("name", ["A/B", "NEW USDT", "", "..", "CON"])
def test_a_name_that_cannot_be_a_symbol_is_passed_over(
    exchange: EmbeddedExchange, ingest: Run, lake: Lake, name: str
) -> None:
    def add(body: dict[str, Any]) -> None:
        body["symbols"].append(body["symbols"][0] | {"symbol": name})

    answer_info(exchange, add)

    refreshed = refresh(lake, exchange)
    [result] = ingest(filtered("^(BTCUSDT$|A|NEW|$)"), "2025-03-03")

    assert refreshed.failed == {}
    assert not result.failures
    assert certified(lake, "2025-03-03") == ["BTCUSDT"]


def test_later_stages_alone_obey_a_filter_that_was_narrowed(
    exchange: EmbeddedExchange, ingest: Run, lake: Lake
) -> None:
    """A day in progress: every symbol of it would be asked for."""
    wide, narrow, today = (
        filtered("^(BTC|ETH|SOL)USDT$", interval="1h"),
        filtered("^BTCUSDT$", interval="1h"),
        "2025-03-04",
    )
    ingest(wide, today, stages=[Stage.VISION])
    exchange.reset_requests()

    [result] = ingest(narrow, today, stages=[Stage.REST, Stage.KLINES])

    assert not result.failures
    assert certified(lake, today, interval="1h") == ["BTCUSDT"]
    assert exchange.requests()["rest"]["klines"] == 1


def test_a_day_on_which_nobody_traded_is_green_in_every_stage(ingest: Run, lake: Lake) -> None:
    dataset, day = filtered("^NOVAUSDT$", interval="1h"), "2024-01-01"
    [whole] = ingest(dataset, day)

    before = all_files(lake)

    alone = [*ingest(dataset, day, stages=[Stage.REST]), *ingest(dataset, day, stages=[Stage.KLINES])]
    after = all_files(lake)
    resampled = resample_day(lake, dataset, Interval.parse("1d"), date.fromisoformat(day))

    assert not any(result.failures for result in [whole, *alone])
    assert whole.merged is not None
    assert (whole.merged.rows, resampled.rows, resampled.left_out) == (0, 0, 0)
    assert after == before


def test_a_day_that_was_never_run_is_no_day_on_which_nobody_traded(ingest: Run) -> None:
    dataset = filtered("^NOVAUSDT$", interval="1h")
    ingest(dataset, "2024-01-01")

    [alone] = ingest(dataset, "2024-01-02", stages=[Stage.KLINES])

    assert "has no row in ledger/archives" in alone.failures["klines"]


def test_a_delisted_symbol_gets_its_last_day_late_without_being_named(
    exchange: EmbeddedExchange, ingest: Run, lake: Lake
) -> None:
    """The archive of RAYUSDT's last day appeared after BTCUSDT's: a filter must not have dropped the day meanwhile."""
    exchange.set_clock(datetime(2022, 11, 21, 12, tzinfo=UTC))
    exchange.hold_publication("RAYUSDT", date(2022, 11, 20), until=datetime(2022, 11, 21, 20, tzinfo=UTC), market="um")
    dataset = filtered("^(BTCUSDT$|RAY)", interval="1h")
    ingest(dataset, "2022-11-20")
    exchange.set_clock(datetime(2022, 11, 22, 9, tzinfo=UTC))

    ingest(dataset, "2022-11-20")

    assert certificate(lake, "RAYUSDT", "2022-11-20", interval="1h", venue=UM)["present"] == 9
