"""OKX's bars: the sizes and where they open, the three volumes, what is flat and what is absent."""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from itertools import pairwise

import pytest

from klines_pipeline.simulator.okx_truths import HOLES
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline_tests.simulator.okx_reader import DAY, HOUR, MINUTE, OkxReader, ms

NOON = ms("2025-03-01T12:00")
NOW = ms("2025-03-04T09:00")
BOTH = ["market/candles", "market/history-candles"]


@pytest.fixture
def okx(exchange: EmbeddedExchange) -> Iterator[OkxReader]:
    with OkxReader.of(exchange) as reader:
        yield reader.unlimited()


def opens(rows: list[list[str]]) -> list[int]:
    return [int(row[0]) for row in rows]


def added(rows: list[list[str]], column: int) -> Decimal:
    return sum((Decimal(row[column]) for row in rows), Decimal(0))


def test_a_quiet_instrument_lacks_no_bar(okx: OkxReader) -> None:
    rows = okx.whole("USDC-USDT", NOON, NOON + 5 * HOUR)
    flat = [(before, row) for before, row in pairwise(rows) if row[5] == "0"]

    assert opens(rows) == list(range(NOON, NOON + 5 * HOUR, MINUTE))
    assert 50 < len(flat) < 200
    assert all(row[1:] == [before[4]] * 4 + ["0", "0", "0", "1"] for before, row in flat)


def test_volumes_of_spot_are_base_then_quote_twice(okx: OkxReader) -> None:
    for row in okx.history("ETH-USDT", after=NOON):
        low, high, base, quote = (Decimal(row[place]) for place in (3, 2, 5, 6))

        assert row[6] == row[7]
        assert low <= quote / base <= high


@pytest.mark.parametrize(
    ("name", "value"), [("BTC-USDT-SWAP", "0.01"), ("ETH-USDT-SWAP", "0.1"), ("SOL-USDT-SWAP", "1")]
)
def test_volumes_of_a_linear_swap_are_contracts_base_and_quote(okx: OkxReader, name: str, value: str) -> None:
    rows = okx.history(name, after=NOON)

    for row in rows:
        low, high, contracts, base, quote = (Decimal(row[place]) for place in (3, 2, 5, 6, 7))
        assert contracts * Decimal(value) == base
        assert low <= quote / base <= high
    assert any("." in row[5] for row in rows)


def test_volumes_of_an_inverse_swap_are_contracts_base_and_dollars(okx: OkxReader) -> None:
    rows = okx.history("BTC-USD-SWAP", after=NOON)

    for row in rows:
        low, high, contracts, base, dollars = (Decimal(row[place]) for place in (3, 2, 5, 6, 7))
        assert contracts * 100 == dollars
        assert low <= dollars / base <= high + Decimal("0.01")
    assert any("." in row[5] for row in rows)


@pytest.mark.parametrize(
    ("bar", "newest"),
    [
        ("3m", "2025-03-04T09:00"),
        ("5m", "2025-03-04T09:00"),
        ("15m", "2025-03-04T09:00"),
        ("30m", "2025-03-04T09:00"),
        ("1H", "2025-03-04T09:00"),
        ("2H", "2025-03-04T08:00"),
        ("4H", "2025-03-04T08:00"),
        ("6Hutc", "2025-03-04T06:00"),
        ("12Hutc", "2025-03-04T00:00"),
        ("1Dutc", "2025-03-04T00:00"),
        ("1Wutc", "2025-03-03T00:00"),
        ("1Mutc", "2025-03-01T00:00"),
        ("6H", "2025-03-04T04:00"),
        ("12H", "2025-03-04T04:00"),
        ("1D", "2025-03-03T16:00"),
        ("1W", "2025-03-02T16:00"),
        ("1M", "2025-02-28T16:00"),
        ("3M", "2024-12-31T16:00"),
    ],
)
def test_each_bar_opens_in_its_zone_and_is_the_sum_of_its_parts(okx: OkxReader, bar: str, newest: str) -> None:
    forming, closed = okx.history("SOL-USDT-SWAP", bar=bar, limit=2)
    start = ms(newest)
    parts = okx.whole("SOL-USDT-SWAP", start, NOW + 1, bar="1m" if NOW - start < DAY else "1H")

    assert (forming[0], forming[8], closed[8]) == (str(start), "0", "1")
    assert [added(parts, column) for column in (5, 6, 7)] == [Decimal(cell) for cell in forming[5:8]]
    assert (forming[1], forming[4]) == (parts[0][1], parts[-1][4])
    assert Decimal(forming[2]) == max(Decimal(row[2]) for row in parts)
    assert Decimal(forming[3]) == min(Decimal(row[3]) for row in parts)


@pytest.mark.parametrize(
    ("moment", "bar", "newest"),
    [
        ("2025-02-28T15:59", "1M", "2025-01-31T16:00"),
        ("2025-02-28T16:00", "1M", "2025-02-28T16:00"),
        ("2025-02-28T16:00", "1Mutc", "2025-02-01T00:00"),
        ("2025-03-02T16:00", "1Wutc", "2025-02-24T00:00"),
        ("2025-03-02T16:00", "1W", "2025-03-02T16:00"),
    ],
)
def test_months_and_weeks_turn_at_midnight_of_their_zone(
    exchange: EmbeddedExchange, okx: OkxReader, moment: str, bar: str, newest: str
) -> None:
    exchange.set_clock(datetime.fromisoformat(f"{moment}+00:00"))

    assert opens(okx.recent("BTC-USDT", bar=bar, limit=1)) == [ms(newest)]


def test_three_day_bars_are_three_days_apart_at_midnight(okx: OkxReader) -> None:
    days = opens(okx.history("BTC-USDT", bar="3Dutc", limit=5))

    assert {newer - older for older, newer in pairwise(days[::-1])} == {3 * DAY}
    assert days[0] % DAY == 0


def test_the_bars_of_a_hole_are_absent_from_every_size(okx: OkxReader) -> None:
    (hole,) = HOLES
    start, end = (int(moment.timestamp() * 1000) for moment in (hole.start, hole.end))
    rows = okx.whole(hole.instrument, start - 2 * HOUR, end + HOUR)
    hours = okx.whole(hole.instrument, start - 2 * HOUR, end + HOUR, bar="1H")
    (wide,) = okx.whole(hole.instrument, start - 2 * HOUR, start - HOUR, bar="4H")

    assert opens(rows) == [*range(start - 2 * HOUR, start, MINUTE), *range(end, end + HOUR, MINUTE)]
    assert opens(hours) == [start - 2 * HOUR, start - HOUR, end]
    assert Decimal(wide[5]) == added(rows, 5)
    assert opens(okx.history(hole.instrument, after=end + MINUTE, limit=2)) == [end, start - MINUTE]


def test_the_same_seed_gives_the_same_candles(okx: OkxReader) -> None:
    with EmbeddedExchange(rate=0) as twin, EmbeddedExchange(rate=0, seed=8) as other:
        rows = okx.history("BTC-USD-SWAP", after=NOON)
        with OkxReader.of(twin) as second, OkxReader.of(other) as third:
            assert second.history("BTC-USD-SWAP", after=NOON) == rows
            assert third.history("BTC-USD-SWAP", after=NOON) != rows
