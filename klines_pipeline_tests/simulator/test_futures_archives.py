"""Daily archives of USD-M and COIN-M: header, unit, decimals, volumes, outages, gaps, publication."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import httpx
import pytest

from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.simulator.truths import FUTURES_ARCHIVE_GAPS
from klines_pipeline_tests.simulator.futures_rest import MINUTE, instant, klines_of_day

HEADER = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore"
)
DECIMAL_PLACES = (1, 5, 7, 9, 10)


def rows_of(bucket: Any, market: str, symbol: str, day: str, interval: str = "1m") -> list[list[str]]:
    rows = bucket.rows(bucket.futures_key(market, symbol, day, interval))
    return rows[1:] if rows[0][0] == "open_time" else rows


@pytest.mark.parametrize(
    ("market", "symbol", "day", "begins"),
    [
        ("um", "BTCUSDT", "2019-12-31", "data"),
        ("um", "BTCUSDT", "2020-09-14", "data"),
        ("um", "BTCUSDT", "2020-09-15", "header"),
        ("um", "BTCUSDT", "2020-09-22", "data"),
        ("um", "BTCUSDT", "2020-09-28", "header"),
        ("um", "ETHUSDT", "2022-01-01", "header"),
        ("um", "ETHUSDT", "2022-01-02", "data"),
        ("um", "ETHUSDT", "2022-08-10", "data"),
        ("um", "ETHUSDT", "2022-08-11", "header"),
        ("um", "BTCUSDT", "2025-03-03", "header"),
        ("cm", "BTCUSD_PERP", "2020-12-31", "data"),
        ("cm", "BTCUSD_PERP", "2021-01-01", "header"),
    ],
)
def test_a_header_comes_and_goes_by_day(bucket: Any, market: str, symbol: str, day: str, begins: str) -> None:
    first = bucket.rows(bucket.futures_key(market, symbol, day, "1h"))[0]

    assert ("header" if ",".join(first) == HEADER else "data") == begins
    assert first[0].isdigit() == (begins == "data")


@pytest.mark.parametrize("day", ["2024-12-31", "2025-03-03"])
@pytest.mark.parametrize(("market", "symbol"), [("um", "BTCUSDT"), ("cm", "BTCUSD_PERP")])
def test_times_stay_in_milliseconds(bucket: Any, market: str, symbol: str, day: str) -> None:
    rows = rows_of(bucket, market, symbol, day)

    assert [int(row[0]) for row in rows] == [instant(day) + MINUTE * number for number in range(1440)]
    assert all(int(row[6]) == int(row[0]) + MINUTE - 1 for row in rows)


@pytest.mark.parametrize(
    ("market", "symbol", "places"),
    [
        ("um", "BTCUSDT", [2, 3, 5, 3, 5]),
        ("um", "1000SHIBUSDT", [6, 0, 6, 0, 6]),
        ("um", "币安人生USDT", [5, 0, 5, 0, 5]),
        ("cm", "BTCUSD_PERP", [1, 0, 8, 0, 8]),
        ("cm", "ETHUSD_250328", [2, 0, 8, 0, 8]),
    ],
)
def test_numbers_are_written_at_their_own_scale(bucket: Any, market: str, symbol: str, places: list[int]) -> None:
    for row in rows_of(bucket, market, symbol, "2025-03-01", "15m"):
        assert [len(row[place].partition(".")[2]) for place in DECIMAL_PLACES] == places
        assert len(row) == 12
        assert row[11] == "0"


@pytest.mark.parametrize(("symbol", "size"), [("BTCUSD_PERP", 100), ("ETHUSD_PERP", 10), ("BTCUSD_250328", 100)])
@pytest.mark.parametrize("interval", ["1m", "1h"])
def test_base_volume_is_contracts_times_size_at_a_price_within_the_bar(
    bucket: Any, symbol: str, size: int, interval: str
) -> None:
    slack = Decimal("0.00000001") * (60 if interval == "1h" else 1)
    traded = [row for row in rows_of(bucket, "cm", symbol, "2025-03-01", interval) if row[8] != "0"]

    assert len(traded) > 20
    for row in traded:
        high, low = Decimal(row[2]), Decimal(row[3])
        for contracts, base in ((Decimal(row[5]), Decimal(row[7])), (Decimal(row[9]), Decimal(row[10]))):
            assert contracts * size / high - slack <= base <= contracts * size / low + slack
        assert int(row[9]) <= int(row[5])
        assert Decimal(row[10]) <= Decimal(row[7])


@pytest.mark.parametrize("symbol", ["BTCUSDT", "SOLUSDT", "ETHBTC"])
def test_quote_volume_is_base_volume_at_a_price_within_the_bar(bucket: Any, symbol: str) -> None:
    for row in rows_of(bucket, "um", symbol, "2025-03-01"):
        volume, quote = Decimal(row[5]), Decimal(row[7])
        assert volume * Decimal(row[3]) <= quote <= volume * Decimal(row[2])


@pytest.mark.parametrize(
    ("market", "symbol", "start", "minutes"),
    [
        ("um", "BTCUSDT", "2025-03-02T10:17", 48),
        ("cm", "ETHUSD_PERP", "2025-03-02T10:17", 48),
        ("um", "BTCUSDT", "2023-11-14T06:12", 3),
        ("um", "BTCUSDT", "2024-10-28T20:00", 74),
        ("um", "BTCUSDT", "2021-03-02T07:01", 59),
    ],
)
def test_during_an_outage_klines_are_flat_and_never_absent(
    bucket: Any, http: httpx.Client, market: str, symbol: str, start: str, minutes: int
) -> None:
    rows = rows_of(bucket, market, symbol, start[:10])
    first = (instant(start) - instant(start[:10])) // MINUTE
    last_close = rows[first - 1][4]

    assert len(rows) == 1440
    assert [number for number, row in enumerate(rows) if row[8] == "0"] == list(range(first, first + minutes))
    for row in rows[first : first + minutes]:
        assert set(row[1:5]) == {last_close}
        assert {Decimal(row[place]) for place in (5, 7, 9, 10)} == {0}
    assert rows == klines_of_day(http, market, symbol, start[:10])


def test_a_spot_halt_is_none_of_the_futures(bucket: Any) -> None:
    rows = rows_of(bucket, "um", "BTCUSDT", "2023-03-24")

    assert len(rows) == 1440
    assert all(int(row[8]) > 0 for row in rows)


def test_futures_are_markets_of_their_own(bucket: Any) -> None:
    """The price is that of spot within half a percent; nothing else is the same."""
    spot, um = (
        bucket.rows(bucket.key("BTCUSDT", "2025-03-01")),
        rows_of(bucket, "um", "BTCUSDT", "2025-03-01"),
    )

    assert all(abs(float(one[4]) / float(other[4]) - 1) < 0.005 for one, other in zip(spot, um, strict=True))
    assert all(float(one[5]) != float(other[5]) for one, other in zip(spot, um, strict=True))


@pytest.mark.parametrize("interval", ["1m", "5m", "1h", "1d"])
@pytest.mark.parametrize(
    ("market", "symbol", "day"),
    [("um", "SOLUSDT", "2025-03-02"), ("cm", "BTCUSD_PERP", "2025-03-02"), ("um", "BTCUSDT", "2021-06-01")],
)
def test_archive_and_rest_agree_in_every_field(
    bucket: Any, http: httpx.Client, market: str, symbol: str, day: str, interval: str
) -> None:
    assert rows_of(bucket, market, symbol, day, interval) == klines_of_day(http, market, symbol, day, interval)


@pytest.mark.parametrize("market", ["um", "cm"])
def test_rest_has_what_an_archive_lacks(
    exchange: EmbeddedExchange, bucket: Any, http: httpx.Client, market: str
) -> None:
    (gap,) = FUTURES_ARCHIVE_GAPS[market]
    day = gap.day.isoformat()
    archived, asked = rows_of(bucket, market, gap.symbol, day), klines_of_day(http, market, gap.symbol, day)
    lacking = [int(row[0]) for row in asked if row not in archived]

    assert len(asked) == 1440
    assert lacking == list(range(int(gap.start.timestamp() * 1000), int(gap.end.timestamp() * 1000), MINUTE))
    assert exchange.archive_gaps(gap.symbol, gap.day, market=market) == (gap,)
    assert gap not in exchange.archive_gaps(gap.symbol, gap.day)


@pytest.mark.parametrize("market", ["um", "cm"])
def test_there_are_no_seconds(bucket: Any, market: str) -> None:
    symbol = {"um": "BTCUSDT", "cm": "BTCUSD_PERP"}[market]
    folders = bucket.page(prefix=f"data/futures/{market}/daily/klines/{symbol}/", delimiter="/").folders

    assert bucket.get(bucket.futures_key(market, symbol, "2025-03-01", "1s")).status_code == 404
    assert [folder.split("/")[-2] for folder in folders] == [
        "12h", "15m", "1d", "1h", "1m", "2h", "30m", "3m", "4h", "5m", "6h", "8h",
    ]  # fmt: skip


def test_archives_appear_in_the_morning_after(exchange: EmbeddedExchange, bucket: Any) -> None:
    times = {
        (market, symbol): exchange.publication_time(symbol, date(2025, 3, 3), market=market)
        for market in ("um", "cm")
        for symbol in exchange.market_of(market).listings
    }
    hours = {(market, f"{moment:%H:%M}") for (market, _), moment in times.items()}

    assert all("08:30" <= hour < "08:45" for market, hour in hours if market == "um")
    assert all("08:40" <= hour < "10:50" for market, hour in hours if market == "cm")
    assert len(hours) > 5
    assert all(moment.date() == date(2025, 3, 4) for moment in times.values())
    appears = times["um", "BTCUSDT"]
    for moment, status in ((appears.replace(hour=8, minute=29), 404), (appears, 200)):
        exchange.set_clock(moment)
        assert bucket.get(bucket.futures_key("um", "BTCUSDT", "2025-03-03", "1h")).status_code == status
        assert bucket.get(bucket.key("BTCUSDT", "2025-03-03", "1h")).status_code == 200


def test_holding_one_market_back_leaves_the_other(private: EmbeddedExchange, private_bucket: Any) -> None:
    um, spot = (
        private_bucket.futures_key("um", "BTCUSDT", "2025-03-03", "1h"),
        private_bucket.key("BTCUSDT", "2025-03-03", "1h"),
    )
    private.hold_publication("BTCUSDT", date(2025, 3, 3), until=datetime(2025, 3, 4, 10, tzinfo=UTC), market="um")
    held = (private_bucket.get(um).status_code, private_bucket.get(spot).status_code)
    payload = {"symbol": "BTCUSDT", "day": "2025-03-03", "hours": 1, "market": "um"}
    private_bucket.client.post("/control/publication", json=payload)

    assert held == (404, 200)
    assert private_bucket.get(um).status_code == 200
    assert private_bucket.client.post("/control/publication", json={**payload, "market": "x"}).status_code == 400


@pytest.mark.parametrize(("market", "symbol"), [("um", "ETHUSDT"), ("cm", "BTCUSD_PERP")])
def test_a_revision_keeps_the_form_and_rest_agrees(
    private: EmbeddedExchange, private_bucket: Any, market: str, symbol: str
) -> None:
    before = rows_of(private_bucket, market, symbol, "2025-02-01", "15m")
    private.revise(private_bucket.futures_key(market, symbol, "2025-02-01", "15m"))
    after = private_bucket.rows(private_bucket.futures_key(market, symbol, "2025-02-01", "15m"))

    assert ",".join(after[0]) == HEADER
    assert len(after) - 1 == len(before) - 1
    assert after[1:] == klines_of_day(private_bucket.client, market, symbol, "2025-02-01", "15m")


@pytest.mark.parametrize(
    ("market", "symbol", "day", "interval", "rows"),
    [
        ("um", "BTCUSDT", "2022-09-05", "1m", 1440),
        ("um", "ETHUSDT", "2022-08-24", "1h", 24),
        ("cm", "BTCUSD_PERP", "2022-10-24", "1m", 1440),
    ],
)
def test_rest_answers_with_exactly_the_real_rows(
    real: Any, market: str, symbol: str, day: str, interval: str, rows: int
) -> None:
    found = klines_of_day(real.client, market, symbol, day, interval)

    assert len(found) == rows
    assert found == rows_of(real, market, symbol, day, interval)
