"""USD-M and COIN-M days through the stages: contracts, flat bars, delivery, and what REST costs there."""

from datetime import date

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from klines_pipeline.exchanges.binance.markets import MARKETS
from klines_pipeline.klines.schema import CONTRACT_SCHEMA, KLINE_SCHEMA, MARKET_NAMES
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.conftest import Run, archive_entry, certificate, make_dataset, read_day

UM, CM = "binance/um", "binance/cm"
HEADERS = ["2020-09-15", "2021-07-09", "2022-01-01", "2022-01-02", "2022-08-10", "2022-08-11", "2025-03-01"]


def truth(exchange: EmbeddedExchange, market: str, symbol: str, day: str) -> pl.DataFrame:
    """What the market did, from the simulator's own integers (µs, and 1e-8 of a unit)."""
    known = exchange.market_of(market).klines(symbol, "1m", date.fromisoformat(day))
    columns = {name: getattr(known, name) for name in MARKET_NAMES}
    scaled = {name: values if name == "trades" else values / 1e8 for name, values in columns.items()}
    times = pl.Series("open_time", known.open_time).cast(KLINE_SCHEMA["open_time"])
    return pl.DataFrame({"open_time": times, **scaled})


@pytest.mark.parametrize("day", HEADERS)
def test_a_header_that_comes_and_goes_costs_no_row(
    exchange: EmbeddedExchange, ingest: Run, lake: Lake, day: str
) -> None:
    [result] = ingest(make_dataset("BTCUSDT", "ETHUSDT", market="um"), day)

    assert not result.failures
    rows = read_day(lake, "klines", day, venue=UM)
    assert rows.schema == KLINE_SCHEMA
    assert certificate(lake, "BTCUSDT", day, venue=UM)["from_vision"] == 1440
    mine = rows.filter(pl.col("symbol") == "BTCUSDT").select("open_time", *MARKET_NAMES)
    assert_frame_equal(mine, truth(exchange, "um", "BTCUSDT", day), check_exact=True)


def test_an_outage_of_futures_is_flat_bars_and_the_certificate_counts_them(ingest: Run, lake: Lake) -> None:
    ingest(make_dataset("BTCUSDT", market="um"), "2025-03-02")

    proof = certificate(lake, "BTCUSDT", "2025-03-02", venue=UM)

    assert (proof["present"], proof["flat"], proof["missing"], proof["reason"]) == (1440, 48, 0, None)


def test_an_archive_gap_is_filled_from_rest_by_the_cheapest_page(ingest: Run, lake: Lake) -> None:
    """30 klines cost weight 1; a whole day in pages of 499 costs 2 + 2 + 2, where one of 1,500 would cost 10."""
    ingest(make_dataset("ETHUSDT", market="um"), "2025-03-02", "2025-03-04")

    short = read_day(lake, "ledger/slices", "2025-03-02", venue=UM)
    begun = read_day(lake, "ledger/slices", "2025-03-04", venue=UM)

    assert (short["weight"].to_list(), short["rows"].to_list()) == ([1], [30])
    assert begun["weight"].to_list() == [2, 1]
    assert begun["rows"].to_list() == [499, 41]


@pytest.mark.parametrize(("market", "limit", "weight"), [("spot", 1000, 2), ("um", 499, 2), ("cm", 499, 2)])
def test_a_page_is_the_one_with_most_klines_for_its_weight(market: str, limit: int, weight: int) -> None:
    row = MARKETS[market]

    assert row.page_limit == limit
    assert row.price(limit) == (limit, weight)


def test_a_contract_removed_from_rest_keeps_its_archived_days_and_costs_nothing_after_them(
    exchange: EmbeddedExchange, ingest: Run, lake: Lake
) -> None:
    dataset = make_dataset("RAYUSDT", "FTTUSDT", "BTCUSDT_241227", market="um")

    ingest(dataset, "2022-11-19", "2024-12-26", "2025-01-15")

    assert certificate(lake, "RAYUSDT", "2022-11-19", venue=UM)["from_vision"] == 1440
    assert certificate(lake, "BTCUSDT_241227", "2024-12-26", venue=UM)["from_vision"] == 1440
    for symbol in dataset.symbols:
        assert certificate(lake, symbol, "2025-01-15", venue=UM)["reason"] == "delisted"
    assert exchange.requests()["rest"].get("klines", 0) == 0


def test_a_delivery_contract_ends_at_eight_on_its_last_day(ingest: Run, lake: Lake) -> None:
    ingest(make_dataset("BTCUSDT_241227", market="um"), "2024-12-27")

    proof = certificate(lake, "BTCUSDT_241227", "2024-12-27", venue=UM)

    assert (proof["present"], proof["reason"]) == (480, "delisted")


def test_flat_bars_after_settling_are_counted_and_never_pass_for_trading(ingest: Run, lake: Lake) -> None:
    ingest(make_dataset("FTTUSDT", market="um"), "2022-12-01")

    proof = certificate(lake, "FTTUSDT", "2022-12-01", venue=UM)

    assert (proof["present"], proof["flat"]) == (1440, 1440)


def test_a_symbol_rest_no_longer_knows_is_delisted_soon_after_its_last_archive(ingest: Run, lake: Lake) -> None:
    """REST says -1122 or -1121 of it, the bucket publishes others: within three weeks both are asked."""
    ingest(make_dataset("BTCUSDT_241227", "RAYUSDT", market="um"), "2025-03-02", "2025-03-04")

    for day in ("2025-03-02", "2025-03-04"):
        assert certificate(lake, "RAYUSDT", day, venue=UM)["reason"] == "delisted"
        assert certificate(lake, "BTCUSDT_241227", day, venue=UM)["reason"] == "delisted"


def test_coin_m_has_base_volume_contracts_and_a_quote_volume_made_of_them(
    exchange: EmbeddedExchange, ingest: Run, lake: Lake
) -> None:
    ingest(make_dataset("BTCUSD_PERP", "ETHUSD_PERP", market="cm"), "2025-03-01", "2025-03-04")

    for day in ("2025-03-01", "2025-03-04"):
        rows = read_day(lake, "klines", day, venue=CM)
        assert rows.schema == {**KLINE_SCHEMA, **CONTRACT_SCHEMA}
        size = pl.when(pl.col("symbol") == "BTCUSD_PERP").then(100).otherwise(10)
        assert rows.filter(pl.col("quote_volume") != pl.col("contracts") * size).is_empty()
        assert rows["quote_volume"].null_count() == 0
        average = pl.col("quote_volume") / pl.col("volume")
        traded = rows.filter(pl.col("contracts") > 0)
        assert traded.height > 1000
        assert traded.filter((average < pl.col("low") * 0.9999) | (average > pl.col("high") * 1.0001)).is_empty()


def test_coin_m_rest_answers_the_last_klines_of_a_window_and_the_right_ones_are_asked(
    exchange: EmbeddedExchange, ingest: Run, lake: Lake
) -> None:
    """The archive of 2025-03-01 ends at 21:15; the day after is not over. Both come from REST, minute by minute."""
    ingest(make_dataset("ETHUSD_PERP", market="cm"), "2025-03-01", "2025-03-04")

    full = read_day(lake, "klines", "2025-03-01", venue=CM).select("open_time", "open", "close", "trades")
    begun = read_day(lake, "klines", "2025-03-04", venue=CM)

    assert_frame_equal(full, truth(exchange, "cm", "ETHUSD_PERP", "2025-03-01").select(full.columns), check_exact=True)
    assert certificate(lake, "ETHUSD_PERP", "2025-03-01", venue=CM)["from_rest"] == 165
    assert (
        begun["open_time"].to_list() == truth(exchange, "cm", "ETHUSD_PERP", "2025-03-04")["open_time"].to_list()[:540]
    )


@pytest.mark.parametrize("market", ["um", "cm"])
def test_a_second_run_of_closed_days_asks_for_listings_alone(
    exchange: EmbeddedExchange, ingest: Run, lake: Lake, market: str
) -> None:
    symbols = ("BTCUSDT", "ETHUSDT") if market == "um" else ("BTCUSD_PERP", "ETHUSD_PERP")
    dataset, days = make_dataset(*symbols, market=market), ("2025-03-01", "2025-03-02")
    ingest(dataset, *days)
    exchange.reset_requests()

    results = ingest(dataset, *days)

    counts = exchange.requests()
    assert (counts["archives"], counts["rest"].get("klines", 0), counts["listing"]) == (0, 0, 2)
    assert [result.merged.changed for result in results if result.merged] == [False, False]


def test_the_mirror_keeps_the_exchanges_own_keys(ingest: Run, lake: Lake) -> None:
    ingest(make_dataset("BTCUSD_PERP", market="cm"), "2025-03-01")

    entry = archive_entry(lake, "BTCUSD_PERP", "2025-03-01", venue=CM)

    assert entry["key"] == "data/futures/cm/daily/klines/BTCUSD_PERP/1m/BTCUSD_PERP-1m-2025-03-01.zip"
    assert lake.size(f"vision/{entry['key']}") == entry["size"]
