"""The seeded market: exact aggregates, plausible numbers, halts and lives."""

from datetime import UTC, date, datetime

import numpy as np
import pytest

from klines_pipeline.domain.interval import DAILY_INTERVALS, Interval
from klines_pipeline.domain.utc_day import to_microseconds
from klines_pipeline.simulator.columns import Klines, aggregate
from klines_pipeline.simulator.market import Market
from klines_pipeline.simulator.text import csv_rows, parse_csv
from klines_pipeline.simulator.truths import HALTS, archive_gaps

DAY = date(2025, 3, 1)
HALT_DAY = date(2025, 3, 2)
FIRST_ROW = (
    1740787200000000,
    4683024000000,
    4683724000000,
    4678717000000,
    4679093000000,
    434195000,
    1740787259999999,
    20321120576850,
    237,
    130236000,
    6095283131880,
)
"""BTCUSDT 1m of 2025-03-01 00:00 at seed 7; it changes only with the market itself."""
_VALUES = (
    "open_time", "open", "high", "low", "close", "volume", "quote_volume", "trades", "taker_buy_volume",
    "taker_buy_quote_volume",
)  # fmt: skip


@pytest.fixture(scope="module")
def market() -> Market:
    return Market(seed=7)


def same(left: Klines, right: Klines, names: tuple[str, ...] = _VALUES) -> bool:
    return all(np.array_equal(getattr(left, name), getattr(right, name)) for name in names)


@pytest.mark.parametrize("day", [DAY, HALT_DAY])
@pytest.mark.parametrize("symbol", ["BTCUSDT", "VITEUSDT", "USDCUSDT", "DOGEUSDT", "币安人生USDT"])
def test_seconds_add_up_to_exactly_their_minutes(market: Market, symbol: str, day: date) -> None:
    seconds = market.klines(symbol, "1s", day)

    assert same(aggregate(seconds, 60_000_000), market.klines(symbol, "1m", day))


@pytest.mark.parametrize("name", DAILY_INTERVALS[2:])
def test_coarser_klines_add_up_exactly_and_fill_the_day(market: Market, name: str) -> None:
    interval = Interval.parse(name)
    klines = market.klines("ETHUSDT", interval, DAY)

    assert len(klines) == interval.bars_per_day
    assert same(aggregate(market.klines("ETHUSDT", "1m", DAY), interval.microseconds), klines)
    assert (klines.close_time == klines.open_time + interval.microseconds - 1).all()


@pytest.mark.parametrize("interval", ["1s", "1m", "1h"])
@pytest.mark.parametrize("symbol", ["BTCUSDT", "VITEUSDT", "XRPUSDT"])
def test_every_kline_is_plausible(market: Market, symbol: str, interval: str) -> None:
    klines = market.klines(symbol, interval, DAY)
    traded = klines.volume > 0
    average = klines.quote_volume[traded] / klines.volume[traded] * 1e8

    assert (klines.low > 0).all()
    assert (klines.high >= np.maximum(klines.open, klines.close)).all()
    assert (klines.low <= np.minimum(klines.open, klines.close)).all()
    assert (klines.taker_buy_volume <= klines.volume).all()
    assert (klines.taker_buy_quote_volume <= klines.quote_volume).all()
    assert (traded == (klines.trades > 0)).all()
    assert (average <= klines.high[traded] * (1 + 1e-9)).all()
    assert (average >= klines.low[traded] * (1 - 1e-9)).all()


def test_the_numbers_are_the_same_everywhere_and_for_ever(market: Market) -> None:
    first = market.klines("BTCUSDT", "1m", DAY).rows()[0]

    assert first == Market(seed=7).klines("BTCUSDT", "1m", DAY).rows()[0]
    assert first != Market(seed=8).klines("BTCUSDT", "1m", DAY).rows()[0]
    assert first == FIRST_ROW


def test_days_join_without_a_jump(market: Market) -> None:
    before, after = market.klines("BTCUSDT", "1m", DAY), market.klines("BTCUSDT", "1m", HALT_DAY)

    assert abs(int(before.close[-1]) - int(after.open[0])) <= 10 * 10**6


def test_a_thin_symbol_has_flat_minutes_without_trades(market: Market) -> None:
    klines = market.klines("VITEUSDT", "1m", DAY)
    flat = klines.trades == 0

    assert len(klines) == 1440
    assert flat.sum() > 600
    assert (klines.high[flat] == klines.low[flat]).all()
    assert (klines.close[1:][flat[1:]] == klines.close[:-1][flat[1:]]).all()


@pytest.mark.parametrize(
    ("day", "missing"), [(date(2025, 3, 2), 48), (date(2023, 3, 24), 80), (date(2020, 2, 19), 354)]
)
def test_a_halt_removes_its_minutes_and_cuts_the_last_one_short(market: Market, day: date, missing: int) -> None:
    klines = market.klines("BTCUSDT", "1m", day)
    halt = next(halt for halt in HALTS if halt.last.date() == day)
    short = klines.close_time != klines.open_time + 59_999_999

    assert len(klines) == 1440 - missing
    assert klines.close_time[short].tolist() == [to_microseconds(halt.last)]
    assert to_microseconds(halt.first_absent_minute) not in klines.open_time
    assert to_microseconds(halt.resume) in klines.open_time
    assert klines.trades[short].tolist() == [0]


@pytest.mark.parametrize(("interval", "rows"), [("15m", 91), ("1h", 23), ("5m", 272), ("30m", 46), ("1d", 1)])
def test_bars_wholly_inside_a_halt_are_absent_at_every_interval(market: Market, interval: str, rows: int) -> None:
    """The counts are Binance's own for 2023-03-24."""
    assert len(market.klines("ETHUSDT", interval, date(2023, 3, 24))) == rows


def test_a_symbol_has_klines_only_while_it_is_listed(market: Market) -> None:
    first = market.klines("ARBUSDT", "1m", date(2023, 3, 23))
    last = market.klines("LUNAUSDT", "1m", date(2022, 5, 13))

    assert (len(first), first.open_time[0]) == (540, to_microseconds(datetime(2023, 3, 23, 15, tzinfo=UTC)))
    assert (len(last), last.open_time[-1]) == (40, to_microseconds(datetime(2022, 5, 13, 0, 39, tzinfo=UTC)))
    assert not len(market.klines("ARBUSDT", "1m", date(2023, 3, 22)))
    assert not len(market.klines("LUNAUSDT", "1h", date(2022, 5, 14)))
    assert not len(market.klines("NOSUCHUSDT", "1m", DAY))


def test_a_relisted_symbol_has_a_hole_between_its_lives(market: Market) -> None:
    lengths = [
        len(market.klines("USDCUSDT", "1h", date(*day))) for day in ((2022, 9, 29), (2022, 12, 1), (2023, 3, 12))
    ]

    assert lengths == [3, 0, 12]


def test_text_and_back_loses_nothing(market: Market) -> None:
    klines = market.klines("BTCUSDT", "1m", HALT_DAY)

    assert same(klines, parse_csv(csv_rows(klines, "us").decode()), (*_VALUES, "close_time"))


def test_archive_gaps_are_rare_and_spare_the_clean_spans() -> None:
    days = [date.fromordinal(ordinal) for ordinal in range(date(2018, 1, 1).toordinal(), date(2025, 1, 1).toordinal())]
    found = [day for day in days for symbol in ("ETHUSDT", "XRPUSDT", "ADAUSDT") if archive_gaps(7, symbol, day)]

    assert 5 <= len(found) <= 50
    assert not any(archive_gaps(7, "BTCUSDT", day) for day in days)
    assert not any((day.year, day.month) == (2024, 3) for day in found)
