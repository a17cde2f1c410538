"""Three days, weeks and months from days, on the embedded exchange: what is made, when, and where it lies."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from klines_pipeline import load
from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.errors import ConfigurationError, DamagedFileError, IncompleteError
from klines_pipeline.domain.interval import Interval, LongInterval
from klines_pipeline.domain.universe import SymbolFilter
from klines_pipeline.domain.utc_day import day_start, days_between
from klines_pipeline.exchanges.registry import connect
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.stages.resample import ResampledDay, resampler
from klines_pipeline.stages.symbols.life_table import refresh_symbols
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.conftest import Run, certificate, endpoints_of, make_dataset, read_day

DAYS = make_dataset("BTCUSDT", "ETHUSDT", interval="1d", start="2024-02-01")


def span(first: str, last: str) -> list[str]:
    """Each day from first to last."""
    return [str(day) for day in days_between(date.fromisoformat(first), date.fromisoformat(last))]


def resample(lake: Lake, interval: str, days: Iterable[str], *, dataset: Dataset = DAYS) -> list[ResampledDay]:
    """The days of one run."""
    compute = resampler(lake, dataset, LongInterval(interval))
    return [compute(date.fromisoformat(day)) for day in days]


def files(lake: Lake, interval: str) -> dict[str, bytes]:
    """Every file of a resampled table by its opening day."""
    folder = Path(lake.base, f"resampled_klines/exchange=binance/market=spot/interval={interval}")
    return {file.parent.name.removeprefix("date="): file.read_bytes() for file in sorted(folder.glob("*/*"))}


def summed(lake: Lake, symbol: str, days: Iterable[str]) -> dict[str, object]:
    """One kline over days of the table, summed in decimals."""
    table = [read_day(lake, "klines", day, interval="1d") for day in days]
    rows = [found for frame in table for found in frame.rows(named=True) if found["symbol"] == symbol]
    volumes = ("volume", "quote_volume", "taker_buy_volume", "taker_buy_quote_volume")
    return {
        "open": rows[0]["open"],
        "high": max(row["high"] for row in rows),
        "low": min(row["low"] for row in rows),
        "close": rows[-1]["close"],
        "trades": sum(row["trades"] for row in rows),
        **{name: pytest.approx(float(sum(Decimal(repr(row[name])) for row in rows)), rel=1e-12) for name in volumes},
    }


@pytest.mark.parametrize(
    ("interval", "opens", "last"),
    [("1w", "2024-02-26", "2024-03-03"), ("1M", "2024-02-01", "2024-02-29"), ("3d", "2024-02-29", "2024-03-02")],
)
def test_a_period_across_the_leap_day_is_the_sum_of_its_days(
    ingest: Run, lake: Lake, interval: str, opens: str, last: str
) -> None:
    ingest(DAYS, *span(opens, last))

    [done] = resample(lake, interval, ["2024-02-29"])

    made = read_day(lake, "resampled_klines", opens, interval=interval)
    assert (done.rows, done.left_out, done.changed, done.waits_for) == (2, 0, True, None)
    assert made["open_time"].unique().to_list() == [day_start(date.fromisoformat(opens))]
    for row in made.rows(named=True):
        truth = summed(lake, row["symbol"], span(opens, last))
        assert {name: row[name] for name in truth} == truth
        assert row["source"] == "vision"


def test_of_a_range_the_periods_at_its_edges_are_left_out(ingest: Run, lake: Lake) -> None:
    days = span("2024-02-01", "2024-03-05")
    ingest(DAYS, *days)

    weeks, months = resample(lake, "1w", days), resample(lake, "1M", days)

    assert list(files(lake, "1w")) == ["2024-02-05", "2024-02-12", "2024-02-19", "2024-02-26"]
    assert list(files(lake, "1M")) == ["2024-02-01"]
    assert {str(done.period): (done.rows, done.left_out) for done in [weeks[0], weeks[-1], *months]} == {
        "2024-01-29 to 2024-02-04": (0, 2),
        "2024-03-04 to 2024-03-10": (0, 2),
        "2024-02-01 to 2024-02-29": (2, 0),
        "2024-03-01 to 2024-03-31": (0, 2),
    }
    assert [str(done.day) for done in weeks] == days
    assert all(done.changed for done in weeks if done.rows), "a second computation would have found the file as it is"


def test_any_day_of_a_period_computes_it_and_again_gives_the_same_bytes(ingest: Run, lake: Lake) -> None:
    ingest(DAYS, *span("2024-02-26", "2024-03-03"))
    resample(lake, "1w", ["2024-03-03"])
    before = files(lake, "1w")

    again = resample(lake, "1w", span("2024-02-26", "2024-03-03"))

    assert not any(done.changed for done in again)
    assert files(lake, "1w") == before


def test_an_incomplete_day_leaves_the_symbol_out_until_the_day_is_completed(
    exchange: EmbeddedExchange, ingest: Run, lake: Lake
) -> None:
    exchange.hold_publication("ETHUSDT", date(2024, 2, 14), until=None)
    exchange.add_fault(kind="blocked", group="rest")
    ingest(DAYS, *span("2024-02-01", "2024-02-29"))
    assert certificate(lake, "ETHUSDT", "2024-02-14", interval="1d")["reason"] == "blocked"

    [early] = resample(lake, "1M", ["2024-02-20"])
    assert (early.rows, early.left_out) == (1, 1)
    assert read_day(lake, "resampled_klines", "2024-02-01", interval="1M")["symbol"].to_list() == ["BTCUSDT"]

    exchange.clear_faults()
    ingest(DAYS, "2024-02-14")
    [done] = resample(lake, "1M", ["2024-02-14"])

    made = read_day(lake, "resampled_klines", "2024-02-01", interval="1M")
    assert (done.rows, done.left_out, done.changed) == (2, 0, True)
    assert made["source"].to_list() == ["vision", "rest"]
    truth = summed(lake, "ETHUSDT", span("2024-02-01", "2024-02-29"))
    row = made.row(1, named=True)
    assert {name: row[name] for name in truth} == truth


def test_a_day_that_is_rewritten_rewrites_its_week(exchange: EmbeddedExchange, ingest: Run, lake: Lake) -> None:
    week = span("2024-02-26", "2024-03-03")
    ingest(DAYS, *week)
    resample(lake, "1w", ["2024-03-03"])
    exchange.revise("data/spot/daily/klines/BTCUSDT/1d/BTCUSDT-1d-2024-02-28.zip")
    ingest(DAYS, "2024-02-28")

    [done] = resample(lake, "1w", ["2024-02-28"])

    row = read_day(lake, "resampled_klines", "2024-02-26", interval="1w").row(0, named=True)
    truth = summed(lake, "BTCUSDT", week)
    assert done.changed
    assert row["revision"] == 2
    assert {name: row[name] for name in truth} == truth


def test_a_week_is_not_made_before_the_exchange_says_that_it_is_over(
    exchange: EmbeddedExchange, ingest: Run, lake: Lake
) -> None:
    exchange.set_clock(datetime(2025, 2, 23, 23, 59, 59, tzinfo=UTC))
    ingest(DAYS, *span("2025-02-17", "2025-02-23"))

    [early] = resample(lake, "1w", ["2025-02-23"])
    assert (early.rows, early.left_out, files(lake, "1w")) == (0, 0, {})
    assert early.waits_for == "2025-02-23, its last day, which was not over when it was last looked at"

    exchange.set_clock(datetime(2025, 2, 24, 0, 0, 5, tzinfo=UTC))
    ingest(DAYS, "2025-02-23")
    [done] = resample(lake, "1w", ["2025-02-23"])

    assert (done.rows, done.waits_for) == (2, None)
    assert list(files(lake, "1w")) == ["2025-02-17"]


def test_a_period_begins_with_the_listing_and_ends_with_the_delisting(ingest: Run, lake: Lake) -> None:
    """币安人生USDT since 2025-01-08, LUNAUSDT until 2022-05-13: nobody has to fetch days before or after."""
    listed = make_dataset("BTCUSDT", "币安人生USDT", interval="1d", start="2025-01-08")
    ingest(listed, *span("2025-01-08", "2025-01-31"))
    delisted = make_dataset("BTCUSDT", "LUNAUSDT", interval="1d", start="2022-05-01")
    ingest(delisted, *span("2022-05-02", "2022-05-13"))

    weeks = resample(lake, "1w", ["2025-01-08", "2022-05-13"])
    resample(lake, "1M", ["2025-01-31"])

    assert [(done.rows, done.left_out) for done in weeks] == [(1, 1), (1, 1)]
    assert read_day(lake, "resampled_klines", "2025-01-06", interval="1w")["symbol"].to_list() == ["币安人生USDT"]
    assert read_day(lake, "resampled_klines", "2022-05-09", interval="1w")["symbol"].to_list() == ["LUNAUSDT"]
    month = read_day(lake, "resampled_klines", "2025-01-01", interval="1M")
    assert month["symbol"].to_list() == ["币安人生USDT"]
    assert month["trades"].item() == summed(lake, "币安人生USDT", span("2025-01-08", "2025-01-31"))["trades"]


def test_a_week_with_days_certified_as_delisted_is_made(ingest: Run, lake: Lake) -> None:
    ingest(make_dataset("LUNAUSDT", interval="1d"), *span("2022-05-09", "2022-05-15"))
    assert certificate(lake, "LUNAUSDT", "2022-05-15", interval="1d")["reason"] == "delisted"

    [done] = resample(lake, "1w", ["2022-05-15"])

    assert (done.rows, done.left_out) == (1, 0)


def test_a_filter_that_drops_a_symbol_with_its_delisting_still_gives_its_last_month(ingest: Run, lake: Lake) -> None:
    month = span("2022-05-01", "2022-05-31")
    dataset = make_dataset(interval="1d", chosen=SymbolFilter(match="^(BTC|LUNA)USDT$"))
    ingest(dataset, *month)
    assert read_day(lake, "ledger/certificates", "2022-05-20", interval="1d")["symbol"].to_list() == ["BTCUSDT"]

    [done] = resample(lake, "1M", ["2022-05-31"], dataset=dataset)

    assert (done.rows, done.left_out) == (2, 0)
    made = read_day(lake, "resampled_klines", "2022-05-01", interval="1M").row(1, named=True)
    assert made["trades"] == summed(lake, "LUNAUSDT", month)["trades"]


def test_contracts_of_a_market_that_counts_in_them_are_summed_too(ingest: Run, lake: Lake) -> None:
    dataset = Dataset("binance", "cm", Interval.parse("1d"), ("BTCUSD_PERP",), date(2024, 2, 1))
    ingest(dataset, *span("2024-02-26", "2024-03-03"))

    resample(lake, "1w", ["2024-02-26"], dataset=dataset)

    days = load("BTCUSD_PERP", "1d", "2024-02-26", "2024-03-04", market="cm", lake=lake.root)
    [week] = load("BTCUSD_PERP", "1w", "2024-02-26", "2024-03-04", market="cm", lake=lake.root, resampled=True).rows(
        named=True
    )
    assert days.height == 7
    assert week["contracts"] == days["contracts"].sum() > 0
    assert week["taker_buy_contracts"] == days["taker_buy_contracts"].sum() > 0


def test_a_day_that_is_not_in_the_lake_is_refused_and_the_rest_of_its_week_left_out(ingest: Run, lake: Lake) -> None:
    ingest(DAYS, *(day for day in span("2024-02-26", "2024-03-03") if day != "2024-02-28"))

    [done] = resample(lake, "1w", ["2024-02-27"])

    assert (done.rows, done.left_out) == (0, 2)
    with pytest.raises(IncompleteError, match=r"2024-02-28 of binance/spot/klines_1d is not in the lake. Materialize"):
        resample(lake, "1w", ["2024-02-28"])


def test_a_table_that_is_not_the_one_certified_is_never_summed(ingest: Run, lake: Lake) -> None:
    ingest(DAYS, *span("2024-02-26", "2024-03-03"))
    Path(lake.base, "klines/exchange=binance/market=spot/interval=1d/date=2024-02-28/part.parquet").unlink()

    with pytest.raises(DamagedFileError, match=r"has 0 rows, not those its certificates count. Materialize .* again"):
        resample(lake, "1w", ["2024-02-26"])

    assert files(lake, "1w") == {}


def test_long_klines_are_read_by_the_day_they_open_on(ingest: Run, lake: Lake) -> None:
    days = span("2024-02-01", "2024-03-05")
    ingest(DAYS, *days)
    for interval in ("3d", "1w", "1M"):
        resample(lake, interval, days)

    weeks = load("BTCUSDT", "1w", "2024-02-06", "2024-02-26", lake=lake.root, resampled=True)
    months = load(["BTCUSDT", "ETHUSDT"], "1M", "2024-02-01", "2024-03-05", lake=lake.root, resampled=True)
    threes = load("BTCUSDT", "3d", "2024-02-01", "2024-03-05", lake=lake.root, resampled=True)

    assert weeks["open_time"].dt.date().to_list() == [date(2024, 2, 12), date(2024, 2, 19)]
    assert months["symbol"].to_list() == ["BTCUSDT", "ETHUSDT"]
    assert threes["open_time"].diff().drop_nulls().dt.total_days().unique().to_list() == [3]
    assert months.filter(pl.col("symbol") == "BTCUSDT")["high"].item() >= weeks["high"].max()
    with pytest.raises(ConfigurationError, match=r"unknown interval '1w'.* read with resampled=True"):
        load("BTCUSDT", "1w", "2024-02-06", "2024-02-26", lake=lake.root)


def test_a_symbol_that_left_its_filter_gets_its_last_period_once_the_life_table_knows_its_end(
    exchange: EmbeddedExchange, ingest: Run, lake: Lake
) -> None:
    """LUNAUSDT ended on 2022-05-13; for three days its archive may be late, and then the filter is without it."""
    dataset = make_dataset(interval="1d", start="2022-05-01", chosen=SymbolFilter(match="^(LUNA|BTC)USDT$"))
    for day in span("2022-05-09", "2022-05-15"):
        exchange.set_clock(datetime.fromisoformat(f"{day}T09:00+00:00") + timedelta(days=1))
        assert not any(result.failures for result in ingest(dataset, day))
    done = dict[str, tuple[int, int]]()
    for refreshed in ("2022-05-16", "2022-06-10"):
        exchange.set_clock(day_start(date.fromisoformat(refreshed)))
        market = connect("binance", "spot", endpoints_of(exchange))
        refresh_symbols(lake, market, ("binance", "spot"), lambda _: None)
        market.api.close()
        [week] = resample(lake, "1w", ["2022-05-09"], dataset=dataset)
        done[refreshed] = (week.rows, week.left_out)

    assert done == {"2022-05-16": (1, 1), "2022-06-10": (2, 0)}, "an archive may still have been late on the 16th"
    made = read_day(lake, "resampled_klines", "2022-05-09", interval="1w").filter(pl.col("symbol") == "LUNAUSDT")
    truth = summed(lake, "LUNAUSDT", span("2022-05-09", "2022-05-13"))
    assert made.select(list(truth)).row(0, named=True) == truth
