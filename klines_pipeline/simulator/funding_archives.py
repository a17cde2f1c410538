"""One market's monthly funding archives: which exist, when they appear, and their bytes. There are no daily ones."""

import re
from bisect import bisect_right
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import chain, islice

from klines_pipeline.domain.utc_day import to_milliseconds
from klines_pipeline.simulator.archives import zip_archive
from klines_pipeline.simulator.columns import DECIMALS
from klines_pipeline.simulator.funding import Funding, Settlement
from klines_pipeline.simulator.hashing import stream_name, uniform
from klines_pipeline.simulator.keyspace import CHECKSUM
from klines_pipeline.simulator.listings import Listing
from klines_pipeline.simulator.market import Market
from klines_pipeline.simulator.markets import MarketRules
from klines_pipeline.simulator.truths import FUNDING_GAPS

_HEADER = "calc_time,funding_interval_hours,last_funding_rate\n"
_KEY = re.compile(r"([^/]+)/\1-fundingRate-(\d{4}-\d{2})\.zip")
_APPEARS_AFTER = timedelta(hours=8, minutes=5)
_SPREAD_SECONDS = 180
_MONTHS = 12
_ALL = 10_000
"""More settlements than any month has."""


class FundingArchives:
    """The funding archives of one market. Months are counted since the year 0."""

    def __init__(self, *, market: Market, funding: Funding, rules: MarketRules) -> None:
        self._market = market
        self._funding = funding
        self._rules = rules
        self._months = {name: months for name, found in market.listings.items() if (months := _months(found))}
        self._symbols = sorted(self._months, key=lambda symbol: f"{symbol}/".encode())
        self._ends = [f"{self.prefix}{symbol}0".encode() for symbol in self._symbols]  # 0 follows /: behind the folder

    @property
    def prefix(self) -> str:
        """What their keys begin with."""
        return self._rules.monthly_funding

    def keys_from(self, bound: bytes, now: datetime) -> Iterator[str]:
        """Zip keys published by `now` whose own or whose checksum's key is at or after `bound`, ascending."""
        for symbol in islice(self._symbols, bisect_right(self._ends, bound), None):
            for month in chain.from_iterable(self._months[symbol]):
                if month >= _month(now.date()):
                    break
                key = self._key(symbol, month)
                if (key + CHECKSUM).encode() >= bound and self._appears(symbol, month) <= now:
                    yield key

    def is_published(self, key: str, now: datetime) -> bool:
        """Whether there is such an archive, and by `now`."""
        found = self._find(key)
        return found is not None and self._appears(*found) <= now

    def published_at(self, key: str) -> datetime:
        """When an archive appears: the first of the next month about 08:06 UTC."""
        return self._appears(*self._known(key))

    def body(self, key: str) -> bytes:
        """The zip's bytes."""
        symbol, month = self._known(key)
        text = _HEADER + "".join(map(_row, self.archived(symbol, month)))
        return zip_archive(key.rpartition("/")[2], text.encode(), written=self._appears(symbol, month))

    def archived(self, symbol: str, month: int) -> list[Settlement]:
        """The settlements a month's archive holds."""
        start, end = (to_milliseconds(_first_instant(number)) for number in (month, month + 1))
        gaps = {to_milliseconds(hour) for name, hour in FUNDING_GAPS[self._rules.name] if name == symbol}
        found = self._funding.oldest(symbol, start, end - 1, _ALL)
        return [settlement for settlement in found if settlement.hour not in gaps]

    def _key(self, symbol: str, month: int) -> str:
        return f"{self.prefix}{symbol}/{symbol}-fundingRate-{_first_instant(month):%Y-%m}.zip"

    def _appears(self, symbol: str, month: int) -> datetime:
        draw = uniform(self._market.seed, "funding published", stream_name(self._rules.name, symbol), month)
        return _first_instant(month + 1) + _APPEARS_AFTER + timedelta(seconds=int(draw * _SPREAD_SECONDS))

    def _find(self, key: str) -> tuple[str, int] | None:
        found = _KEY.fullmatch(key.removeprefix(self.prefix)) if key.startswith(self.prefix) else None
        if found is None:
            return None
        year, month = map(int, found[2].split("-"))
        number = year * _MONTHS + month - 1
        known = 1 <= month <= _MONTHS and any(number in months for months in self._months.get(found[1], ()))
        return (found[1], number) if known else None

    def _known(self, key: str) -> tuple[str, int]:
        found = self._find(key)
        if found is None:
            raise KeyError(key)
        return found


def _row(settlement: Settlement) -> str:
    return f"{settlement.time},{settlement.hours},{decimal(settlement.rate)}\n"


def decimal(value: int) -> str:
    """A count of 1e-8, perhaps negative, with 8 decimals."""
    whole, rest = divmod(abs(value), 10**DECIMALS)
    return f"{'-' if value < 0 else ''}{whole}.{rest:0{DECIMALS}d}"


def _months(listing: Listing) -> list[range]:
    """The months with an archive, per life; none for delivery contracts."""
    contract = listing.contract
    if contract is None or contract.delivery or contract.archive_only:
        return []
    since = _month(contract.archived_from) + 1 if contract.archived_from else 0
    ranges = []
    for life in listing.lives:
        end = min((moment for moment in (life.end, contract.settled) if moment), default=None)
        last = _month(end.date()) if end else _month(date.max)
        ranges.append(range(max(_month(life.first_day), since), last + 1))
    return ranges


def _month(day: date) -> int:
    return day.year * _MONTHS + day.month - 1


def _first_instant(month: int) -> datetime:
    return datetime(month // _MONTHS, month % _MONTHS + 1, 1, tzinfo=UTC)
