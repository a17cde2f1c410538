"""The lake beside a second source: what is compared, what it costs, and what is said where nothing can be."""

from contextlib import closing, nullcontext
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from klines_pipeline.domain.interval import Interval
from klines_pipeline.klines.agreement import Comparison
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.stages.checking.agreement import compare_archives, compare_resampled
from klines_pipeline.stages.resample import resample_day
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.layout import DayPaths
from klines_pipeline.storage.tables import klines_to_parquet
from klines_pipeline_tests.conftest import Run, impatient, make_dataset
from klines_pipeline_tests.faults.archives import key_of, rewrite, with_cell

HOUR = Interval.parse("1h")
BOTH = make_dataset("BTCUSDT", "ETHUSDT")
THEIR_HOURS = make_dataset("BTCUSDT", "ETHUSDT", "SOLUSDT", interval="1h")
HALT, IN_PROGRESS = "2025-03-02", "2025-03-04"


def archives(exchange: EmbeddedExchange, lake: Lake, *days: str) -> Comparison:
    """BOTH's archives beside REST."""
    market = impatient(exchange, "binance/spot")
    with closing(market.api):
        return compare_archives(lake, market, BOTH, [date.fromisoformat(day) for day in days])


def hours(lake: Lake, *days: str, exchange: EmbeddedExchange | None = None) -> Comparison:
    """BOTH's hours, computed anew, beside the exchange's own."""
    for day in days:
        resample_day(lake, BOTH, HOUR, date.fromisoformat(day))
    market = impatient(exchange, "binance/spot") if exchange else None
    with closing(market.api) if market else nullcontext():
        return compare_resampled(lake, BOTH, HOUR, [date.fromisoformat(day) for day in days], market)


def test_days_without_archives_cost_no_request(exchange: EmbeddedExchange, ingest: Run, lake: Lake) -> None:
    ingest(BOTH, IN_PROGRESS)
    exchange.reset_requests()

    found = archives(exchange, lake, IN_PROGRESS, "2025-01-01")

    assert found == Comparison(not_compared=["These days have no verified archive."])
    assert exchange.requests()["total"] == 0


@pytest.mark.parametrize(
    ("fault", "requests", "text"),
    [
        ({"kind": "blocked"}, 1, "HTTP 451"),
        ({"kind": "status", "status": 418}, 1, "has banned this address until"),
        ({"kind": "status", "status": 503}, 1, "HTTP 503"),
        ({"kind": "status", "status": 400, "body": '{"code": -1100, "msg": "Illegal."}'}, 3, "-1100"),
        ({"kind": "status", "status": 200, "body": "[]"}, 3, "REST has no kline of it, or none any more"),
    ],
)
def test_rest_is_left_alone_once_it_cannot_answer(
    exchange: EmbeddedExchange, ingest: Run, lake: Lake, fault: dict[str, object], requests: int, text: str
) -> None:
    days = ("2024-03-01", "2024-03-02", "2024-03-03")
    ingest(BOTH, *days)
    exchange.add_fault(**fault, match="/api/v3/klines")

    found = archives(exchange, lake, *days)

    assert (found.rows, found.differing, found.requests) == (0, 0, requests)
    assert text in found.not_compared[-1]
    assert len(found.not_compared) == requests
    assert found.agrees is (fault.get("body") != "[]"), (
        "an outage says nothing; an answer without klines is no agreement"
    )


@pytest.mark.parametrize(("venue", "symbol"), [("binance/um", "BTCUSDT"), ("binance/cm", "BTCUSD_PERP")])
def test_what_a_market_counts_in_is_no_difference(
    exchange: EmbeddedExchange, ingest: Run, lake: Lake, venue: str, symbol: str
) -> None:
    """COIN-M's tables have quote volumes that its REST does not name, and columns of contracts."""
    dataset = make_dataset(symbol, interval="5m", market=venue.partition("/")[2])
    ingest(dataset, "2025-03-01")
    day, market = date(2025, 3, 1), impatient(exchange, venue)
    resample_day(lake, dataset, HOUR, day)

    with closing(market.api):
        archived = compare_archives(lake, market, dataset, [day])
        resampled = compare_resampled(lake, dataset, HOUR, [day], market)

    assert (archived.rows, archived.differing, archived.not_compared) == (288, 0, [])
    assert (resampled.rows, resampled.differing, resampled.not_compared) == (24, 0, [])


def test_the_same_days_give_the_same_sample(exchange: EmbeddedExchange, ingest: Run, lake: Lake) -> None:
    ingest(BOTH, "2024-03-01")
    for symbol in BOTH.symbols:
        rewrite(exchange, key_of(symbol, "2024-03-01"), lambda lines: [with_cell(line, 8, "7") for line in lines])
    ingest(BOTH, "2024-03-01")

    first, second = archives(exchange, lake, "2024-03-01"), archives(exchange, lake, "2024-03-01")

    assert first == second
    assert (first.requests, first.differing) == (2, first.rows)
    assert len(first.examples) == 2


def test_without_the_exchanges_own_hours_one_symbols_day_that_is_over_is_asked_for(
    exchange: EmbeddedExchange, ingest: Run, lake: Lake
) -> None:
    ingest(BOTH, HALT, IN_PROGRESS)
    exchange.reset_requests()

    found = hours(lake, HALT, IN_PROGRESS, exchange=exchange)

    assert (found.rows, found.differing, found.requests, found.not_compared) == (24, 0, 1, [])
    assert exchange.requests()["rest_total"] == 1
    assert hours(lake, IN_PROGRESS, exchange=exchange).requests == 0
    assert hours(lake, HALT).not_compared == ["The lake has no 1h klines of the exchange for these days."]


def test_hours_that_the_exchange_publishes_otherwise_differ(
    exchange: EmbeddedExchange, ingest: Run, lake: Lake
) -> None:
    rewrite(
        exchange,
        key_of("ETHUSDT", HALT, "1h"),
        lambda lines: [*(with_cell(line, 8, "7") for line in lines[:3]), *lines[3:]],
    )
    ingest(THEIR_HOURS, "2025-03-01", HALT)
    ingest(BOTH, "2025-03-01", HALT)

    found = hours(lake, "2025-03-01", HALT)

    assert (found.rows, found.differing, found.bad_days) == (4 * 24, 3, [HALT])
    assert [*map(str, found.examples)] == ["2025-03-02 2 symbol(s): 3 of 48 rows, the first at 00:00:00"]


def test_an_hour_that_the_exchange_says_it_never_had_differs_from_ours(
    exchange: EmbeddedExchange, ingest: Run, lake: Lake
) -> None:
    """Neither its archive nor REST has 07:00, and minutes of it are in the lake."""
    rewrite(exchange, key_of("ETHUSDT", HALT, "1h"), lambda lines: [*lines[:7], *lines[8:]])
    exchange.add_fault(kind="status", status=200, body="[]", match="/api/v3/klines")
    ingest(THEIR_HOURS, HALT)
    exchange.clear_faults()
    ingest(BOTH, HALT)

    found = hours(lake, HALT)

    assert (found.rows, found.differing, found.largest) == (2 * 24, 1, 1.0)


def test_hours_that_the_exchange_was_not_asked_for_yet_are_not_compared(
    exchange: EmbeddedExchange, ingest: Run, lake: Lake
) -> None:
    exchange.set_clock(datetime(2025, 3, 4, 7, 30, tzinfo=UTC))
    ingest(THEIR_HOURS, IN_PROGRESS)
    exchange.set_clock(datetime(2025, 3, 4, 9, 30, tzinfo=UTC))
    ingest(BOTH, IN_PROGRESS)

    found = hours(lake, IN_PROGRESS)

    assert (found.rows, found.differing) == (2 * 7, 0)


@pytest.mark.parametrize("source", ["the lake", "REST", "none"])
@pytest.mark.parametrize("lost", ["hours", "a symbol", "the file"])
def test_hours_that_are_not_there_although_all_their_minutes_are_differ(
    exchange: EmbeddedExchange, ingest: Run, lake: Lake, source: str, lost: str
) -> None:
    """03-02 has a halt of 48 minutes: the hours it touches are not owed."""
    if source == "the lake":
        ingest(THEIR_HOURS, "2025-03-01", HALT)
    ingest(BOTH, "2025-03-01", HALT)
    assert hours(lake, "2025-03-01", HALT).agrees
    path = Path(lake.base, DayPaths.of(BOTH, date(2025, 3, 1)).resampled(HOUR))
    rows = pl.read_parquet(path, hive_partitioning=False)
    kept = pl.col("symbol") != "ETHUSDT" if lost == "a symbol" else pl.col("open_time").dt.hour() < 3
    path.write_bytes(klines_to_parquet(rows.filter(kept), {}))
    if lost == "the file":
        path.unlink()

    market = impatient(exchange, "binance/spot") if source == "REST" else None
    with closing(market.api) if market else nullcontext():
        found = compare_resampled(lake, BOTH, HOUR, [date(2025, 3, 1), date(2025, 3, 2)], market)

    gone = {"hours": 2 * 21, "a symbol": 24, "the file": 48}[lost]
    assert (found.differing, found.bad_days, found.agrees) == (gone, ["2025-03-01"], False)
    rows, first = (21, "03:00:00") if lost == "hours" else (24, "00:00:00")
    assert str(found.examples[-1]) == f"2025-03-01 ETHUSDT: {rows} rows not resampled, the first at {first}"


def test_a_day_whose_file_is_damaged_does_not_agree_and_the_others_are_compared(
    exchange: EmbeddedExchange, ingest: Run, lake: Lake
) -> None:
    ingest(BOTH, "2025-03-01", HALT)
    for day in (date(2025, 3, 1), date(2025, 3, 2)):
        resample_day(lake, BOTH, HOUR, day)
    path = Path(lake.base, DayPaths.of(BOTH, date(2025, 3, 1)).klines)
    path.write_bytes(path.read_bytes()[:-60])

    found = archives(exchange, lake, "2025-03-01", HALT)
    market = impatient(exchange, "binance/spot")
    with closing(market.api):
        resampled = compare_resampled(lake, BOTH, HOUR, [date(2025, 3, 1), date(2025, 3, 2)], market)

    for told in (found, resampled):
        assert (told.differing, told.bad_days, told.agrees) == (0, ["2025-03-01"], False)
        assert told.rows
        assert f"{path} is damaged" in told.not_compared[0]
