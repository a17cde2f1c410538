"""A plan of what befalls the exchange, carried out as its clock goes on."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import httpx
import pytest

from klines_pipeline.domain.utc_day import day_end
from klines_pipeline.simulator.happenings import Happenings, Late, Plan, Rewrite, Trouble, late_archives, rewrites
from klines_pipeline.simulator.server import EmbeddedExchange

DAY = date(2025, 3, 1)
DAYS = [DAY + timedelta(days=number) for number in range(40)]
SYMBOLS = [f"S{number}USDT" for number in range(50)]
KEY = "data/spot/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2025-03-01.zip"


@pytest.fixture
def exchange() -> Iterator[EmbeddedExchange]:
    """One of the test's own: what has happened to it cannot be undone."""
    with EmbeddedExchange(rate=0) as running:
        yield running


def status(http: httpx.Client, path: str) -> int:
    return http.get(path).status_code


def test_a_share_of_symbol_days_is_late_by_hours_to_days_and_the_same_for_the_same_seed() -> None:
    late = late_archives(7, SYMBOLS, DAYS, 0.08)

    delays = [held.until - day_end(held.day) for held in late]
    assert 0.06 < len(late) / 2000 < 0.1
    assert timedelta(hours=9) <= min(delays) < timedelta(hours=10)
    assert timedelta(days=2) < max(delays) < timedelta(days=3)
    assert late == late_archives(7, reversed(SYMBOLS), DAYS, 0.08)
    assert late != late_archives(8, SYMBOLS, DAYS, 0.08)


def test_one_archive_of_each_day_is_rewritten_and_none_that_was_late() -> None:
    late = late_archives(7, SYMBOLS, DAYS, 0.5)

    chosen = rewrites(7, SYMBOLS, DAYS, late)

    assert [rewrite.day for rewrite in chosen] == DAYS
    assert not {(rewrite.symbol, rewrite.day) for rewrite in chosen} & {(held.symbol, held.day) for held in late}


def test_a_late_archive_appears_at_its_time_and_not_before(exchange: EmbeddedExchange, http: httpx.Client) -> None:
    until = datetime(2025, 3, 4, 18, tzinfo=UTC)
    happenings = Happenings(exchange, Plan(late=[Late("BTCUSDT", DAY, until)]))
    happenings.begin()
    before, said_before = status(http, KEY), happenings.advance()

    exchange.set_clock(until)

    assert (before, said_before) == (404, [])
    assert happenings.advance() == ["BTCUSDT's archives of 2025-03-01 appear at last"]
    assert status(http, KEY) == 200
    assert happenings.advance() == []


def test_an_archive_is_rewritten_once_when_its_time_has_come(exchange: EmbeddedExchange, http: httpx.Client) -> None:
    happenings = Happenings(exchange, Plan(rewrites=[Rewrite(datetime(2025, 3, 4, 18, tzinfo=UTC), "BTCUSDT", DAY)]))
    happenings.begin()
    first = http.get(KEY).headers["etag"]
    exchange.set_clock(datetime(2025, 3, 4, 19, tzinfo=UTC))

    said = happenings.advance()

    second = http.get(KEY).headers["etag"]
    assert said == ["BTCUSDT's 1m archive of 2025-03-01 is rewritten"]
    assert second != first
    assert happenings.advance() == []
    assert http.get(KEY).headers["etag"] == second


def test_trouble_comes_and_goes_and_two_may_overlap(exchange: EmbeddedExchange, http: httpx.Client) -> None:
    noon = datetime(2025, 3, 4, 12, tzinfo=UTC)
    hour, fault = timedelta(hours=1), {"kind": "status", "status": 403, "group": "listing"}
    happenings = Happenings(
        exchange,
        Plan(
            troubles=[
                Trouble(noon, noon + 2 * hour, "dark", fault),
                Trouble(noon + hour, noon + 3 * hour, "silent", {"kind": "status", "status": 429, "group": "rest"}),
            ]
        ),
    )
    happenings.begin()

    seen = []
    for hours in range(5):
        exchange.set_clock(noon + (hours - 0.5) * hour)
        said = happenings.advance()
        seen.append((said, status(http, "/data.binance.vision"), status(http, "/api/v3/time")))

    assert seen == [
        ([], 200, 200),
        (["begins: dark"], 403, 200),
        (["begins: silent"], 403, 429),
        (["ends: dark"], 200, 429),
        (["ends: silent"], 200, 200),
    ]


def test_a_delisted_symbol_has_no_klines_and_no_archives_from_then_on(
    exchange: EmbeddedExchange, http: httpx.Client
) -> None:
    exchange.delist("BTCUSDT", datetime(2025, 3, 2, 6, tzinfo=UTC))

    assert len(exchange.market.klines("BTCUSDT", "1m", DAY)) == 1440
    assert len(exchange.market.klines("BTCUSDT", "1m", date(2025, 3, 2))) == 360
    assert status(http, KEY.replace("03-01", "03-02")) == 200
    assert status(http, KEY.replace("03-01", "03-03")) == 404
    [symbol] = http.get("/api/v3/exchangeInfo", params={"symbol": "BTCUSDT"}).json()["symbols"]
    assert symbol["status"] == "BREAK"
