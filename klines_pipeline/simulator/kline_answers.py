"""Which klines a REST request gets: selection by open time over as many UTC days as it takes, never past the clock."""

from bisect import bisect_left, bisect_right
from dataclasses import replace
from datetime import date, datetime, timedelta

from klines_pipeline.domain.interval import Interval
from klines_pipeline.domain.utc_day import to_microseconds
from klines_pipeline.simulator.columns import Klines
from klines_pipeline.simulator.market import Market, listed_days, utc_day
from klines_pipeline.simulator.rest_parameters import KlineQuery, RestError

_MICROSECOND = timedelta(microseconds=1)


def within_window(query: KlineQuery, longest: timedelta, now: datetime) -> KlineQuery:
    """The query as COIN-M reads it: both bounds set, at most `longest` apart. A wider window is refused.

    The code of that refusal is not established; the newest rows of the window are the answer (`from_end`).
    """
    most, moment = longest // _MICROSECOND, to_microseconds(now)
    if query.start is not None and query.end is not None:
        if query.end - query.start > most:
            raise RestError(-1127, f"More than {longest.days} days between startTime and endTime.")
        return query
    if query.start is not None:
        return replace(query, end=min(moment, query.start + most))
    return query if query.end is None else replace(query, start=max(query.end - most, 0))


def select_klines(
    market: Market, query: KlineQuery, *, interval: Interval, now: datetime, from_end: bool = False
) -> Klines:
    """The oldest rows from the start if one is given, else the newest up to the end; ascending either way.

    With `from_end` the newest rows of the window in any case.
    """
    end = min(to_microseconds(now), to_microseconds(now) if query.end is None else query.end)
    start = query.start or 0
    if start > end:
        return Klines.empty()
    days = _days(market, query.symbol, interval.name, utc_day(end))
    forward = query.start is not None and not from_end
    days = days[bisect_left(days, utc_day(start).toordinal()) :]
    parts: list[Klines] = []
    for ordinal in days if forward else reversed(days):
        parts.append(market.klines_so_far(query.symbol, interval, date.fromordinal(ordinal), now).between(start, end))
        if sum(map(len, parts)) >= query.rows:
            break
    if not parts:
        return Klines.empty()
    found = Klines.join(parts if forward else parts[::-1])
    return found.take(slice(None, query.rows) if forward else slice(-query.rows, None))


def _days(market: Market, symbol: str, interval: str, until: date) -> list[int]:
    """Ordinals of the days that may hold klines, ascending."""
    listing = market.listings.get(symbol)
    days = listed_days(listing, until) if listing else []
    by_hand = [day.toordinal() for day in market.days_set(symbol, interval)]
    if by_hand:
        days = sorted({*days, *by_hand[: bisect_right(by_hand, until.toordinal())]})
    return days
