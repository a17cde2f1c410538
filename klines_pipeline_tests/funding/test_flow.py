"""Days of funding through the stages, on the embedded exchange: what lands in the lake and what it costs."""

from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl

from klines_pipeline.domain.utc_day import from_milliseconds, to_milliseconds
from klines_pipeline.exchanges.registry import connect
from klines_pipeline.funding.schema import FUNDING_SCHEMA
from klines_pipeline.query.funding import load_funding
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.stages.funding.dataset import funding_datasets
from klines_pipeline.stages.funding.ingest import FundingIngest
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.conftest import endpoints_of, make_dataset
from klines_pipeline_tests.faults.lakes import all_files
from klines_pipeline_tests.funding.conftest import Fund, asked, certificate, failures, row_of, table

SYMBOLS = ("BTCUSDT", "SOLUSDT", "1000SHIBUSDT", "币安人生USDT")


UM = make_dataset(*SYMBOLS, market="um", interval="1h", funding=True)


LISTINGS, ARCHIVES, CHECKSUMS, REST = range(4)


def truth(exchange: EmbeddedExchange, symbol: str, start: datetime, end: datetime, market: str = "um") -> pl.DataFrame:
    """What the exchange settled in `[start, end)`."""
    found = exchange.funding_of(market).oldest(symbol, to_milliseconds(start), to_milliseconds(end) - 1, 10_000)
    rows = [(symbol, from_milliseconds(row.time), row.hours, row.rate / 1e8, row.mark_price / 1e8) for row in found]
    names = ["symbol", "calc_time", "interval_hours", "funding_rate", "mark_price"]
    return pl.DataFrame(rows, schema={name: FUNDING_SCHEMA[name] for name in names}, orient="row")


def test_the_table_holds_every_settlement_as_it_was(exchange: EmbeddedExchange, lake: Lake, fund: Fund) -> None:
    start = datetime(2025, 2, 10, tzinfo=UTC)

    assert failures(fund([UM], "2025-02-10", "2025-03-04")) == {}

    for symbol in SYMBOLS:
        found = load_funding(symbol, "2025-02-10", "2025-03-05", lake=lake.base)
        expected = truth(exchange, symbol, start, exchange.now())
        assert found.schema == FUNDING_SCHEMA
        names = ["symbol", "calc_time", "interval_hours", "funding_rate"]
        assert found.select(names).rows() == expected.select(names).rows()
        assert found["funding_time"].to_list() == expected["calc_time"].dt.truncate("1m").to_list()
        rest = found["source"] == "rest"
        assert found.filter(rest)["mark_price"].to_list() == expected.filter(rest)["mark_price"].to_list()
        assert set(found.filter(~rest)["calc_time"].dt.month()) == {2}
        assert found["revision"].to_list() == (~rest).cast(pl.Int16).to_list()
    assert (load_funding(SYMBOLS, "2025-02-10", "2025-03-05", lake=lake.base)["calc_time"].dt.millisecond() > 0).any()


def test_each_symbol_costs_a_listing_an_archive_a_month_and_a_request_for_the_tail(
    exchange: EmbeddedExchange, fund: Fund
) -> None:
    days = fund([UM], "2025-01-01", "2025-03-04")

    counts = exchange.requests()
    beginners = 1  # 币安人生USDT: its first archive is that of 2025-01
    assert (counts["listing"], counts["archives"], counts["checksums"]) == (4 + beginners, 8, 8)
    short = 2  # SOLUSDT's archive of February lacks a settlement, that of 币安人生USDT begins on 2025-01-08
    assert counts["rest"] == {"time": 1, "fundingRate": 4 + short}
    assert counts["duplicate_downloads"] == {}
    assert sum(day.archived.downloads for day in days if day.archived) == 8
    assert sum(day.topped_up.requests for day in days if day.topped_up) == 7


def test_a_settlement_the_archive_lacks_is_filled_from_rest(lake: Lake, fund: Fund) -> None:
    fund([UM], "2025-02-12")

    found = table(lake, "funding", "2025-02-12").filter(pl.col("symbol") == "SOLUSDT")
    assert found.select(pl.col("funding_time").dt.hour(), "source").rows() == [
        *((hour, "vision") for hour in (0, 4, 8)),
        (12, "rest"),
        *((hour, "vision") for hour in (16, 20)),
    ]
    assert certificate(lake, "SOLUSDT", "2025-02-12")["missing"] == 0


def test_days_of_complete_archives_cost_no_rest_request(exchange: EmbeddedExchange, fund: Fund) -> None:
    fund([UM], "2025-02-13", "2025-02-28")

    assert asked(exchange)[REST] == 0


def test_a_second_run_of_closed_days_lists_and_changes_no_byte(
    exchange: EmbeddedExchange, lake: Lake, fund: Fund
) -> None:
    days = fund([UM], "2025-02-10", "2025-03-03")
    before = all_files(lake)
    exchange.reset_requests()

    again = fund([UM], "2025-02-10", "2025-03-03")

    assert asked(exchange) == (4, 0, 0, 0)
    assert all_files(lake) == before
    assert [day.merged.changed for day in days if day.merged] == [True] * len(days)
    assert [day.merged.changed for day in again if day.merged] == [False] * len(days)


def test_days_one_by_one_download_each_archive_once_and_make_the_same_table(
    exchange: EmbeddedExchange, lake: Lake, fund: Fund, tmp_path: Path
) -> None:
    whole = Lake(str(tmp_path / "whole"))
    fund([UM], "2025-02-26", "2025-03-02", into=whole)
    exchange.reset_requests()

    for day in ("2025-02-28", "2025-02-26", "2025-03-01", "2025-02-27", "2025-03-02"):
        assert failures(fund([UM], day)) == {}

    assert asked(exchange)[ARCHIVES] == 4
    files, expected = all_files(lake), all_files(whole)
    assert files.keys() == expected.keys()
    assert all(files[path] == expected[path] for path in files if path.startswith("funding/"))


def test_days_in_any_order_are_done_once_and_ascending(exchange: EmbeddedExchange, lake: Lake) -> None:
    [dataset] = funding_datasets([UM])
    run = FundingIngest(lake, connect("binance", "um", endpoints_of(exchange)), dataset, log=lambda _: None)
    days = [date(2025, 3, 1), date(2025, 2, 28), date(2025, 3, 2), date(2025, 2, 27), date(2025, 3, 1)]

    results = list(run.days(days))

    assert [result.day for result in results] == sorted(set(days))
    assert failures(results) == {}
    assert exchange.requests()["listing"] == 4


def test_a_settlement_asked_for_again_keeps_the_time_it_was_first_seen(
    exchange: EmbeddedExchange, lake: Lake, fund: Fund
) -> None:
    fund([UM], "2025-03-04")
    before = table(lake, "funding", "2025-03-04")
    exchange.set_clock(datetime(2025, 3, 4, 16, 10, tzinfo=UTC))

    fund([UM], "2025-03-04")

    after = table(lake, "funding", "2025-03-04")
    assert after.height > before.height
    assert after.join(before, on=before.columns, how="semi", nulls_equal=True).height == before.height
    assert set(after["ingested_at"].dt.hour()) == {9, 16}


def test_coin_margined_perpetuals_alike(exchange: EmbeddedExchange, lake: Lake, fund: Fund) -> None:
    symbols = ("BTCUSD_PERP", "XMRUSD_PERP", "BTCUSD_250328")
    cm = make_dataset(*symbols, market="cm", interval="1h", funding=True)

    fund([cm], "2025-02-27", "2025-03-02")

    found = load_funding("BTCUSD_PERP", "2025-02-27", "2025-03-03", market="cm", lake=lake.base)
    expected = truth(exchange, "BTCUSD_PERP", datetime(2025, 2, 27, tzinfo=UTC), datetime(2025, 3, 3, tzinfo=UTC), "cm")
    assert found["calc_time"].to_list() == expected["calc_time"].to_list()
    assert found["funding_rate"].to_list() == expected["funding_rate"].to_list()
    assert certificate(lake, "XMRUSD_PERP", "2025-03-02", venue="binance/cm")["reason"] == "delisted"


def test_okx_has_three_months_of_realized_rates_and_no_archives(
    exchange: EmbeddedExchange, lake: Lake, fund: Fund
) -> None:
    symbols = ("BTC-USDT-SWAP", "SOL-USDT-SWAP")
    swap = make_dataset(*symbols, exchange="okx", market="swap", interval="1h", funding=True)

    assert failures(fund([swap], "2025-02-20", "2025-03-04")) == {}
    assert failures(fund([swap], "2024-11-01", "2024-11-02")) == {}

    venue = "okx/swap"
    found = table(lake, "funding", "2025-03-02", venue=venue)
    assert found.group_by("symbol").len().sort("symbol").rows() == [("BTC-USDT-SWAP", 3), ("SOL-USDT-SWAP", 6)]
    assert found.group_by("symbol").agg(pl.col("interval_hours").unique()).sort("symbol").rows() == [
        ("BTC-USDT-SWAP", [8]),
        ("SOL-USDT-SWAP", [4]),
    ]
    assert certificate(lake, "SOL-USDT-SWAP", "2025-03-02", venue=venue)["reason"] is None
    assert certificate(lake, "SOL-USDT-SWAP", "2024-11-01", venue=venue)["reason"] == "no_data"
    before = all_files(lake)
    assert not any("funding_archives" in path for path in before)
    exchange.reset_requests()

    fund([swap], "2025-02-20", "2025-03-03")

    assert asked(exchange) == (0, 0, 0, 2)  # the time and the instruments
    assert all_files(lake) == before


def test_the_ledger_says_which_archive_a_day_came_from(lake: Lake, fund: Fund) -> None:
    fund([UM], "2025-02-27")

    entry = row_of(lake, "ledger/funding_archives", "SOLUSDT", "2025-02-27")
    key = "data/futures/um/monthly/fundingRate/SOLUSDT/SOLUSDT-fundingRate-2025-02.zip"
    assert (entry["key"], entry["state"], entry["revision"]) == (key, "ok", 1)
    assert (entry["rows"], entry["first_open_time"]) == (28 * 6 - 1, datetime(2025, 2, 1, tzinfo=UTC))
    assert lake.size(f"vision/{key}") == entry["size"]
    assert lake.read(f"vision/{key}.CHECKSUM") is not None
