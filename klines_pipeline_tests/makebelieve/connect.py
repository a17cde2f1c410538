"""The make-believe exchange: one market, two symbols, a REST service in memory, no archives, hours that repeat."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import polars as pl

from klines_pipeline.domain.interval import Interval
from klines_pipeline.domain.universe import SymbolFacts
from klines_pipeline.exchanges.no_archive import NoArchive
from klines_pipeline.exchanges.protocols import Market, MarketWords, RestAnswer
from klines_pipeline.klines.schema import UTC_TIME, WIRE_SCHEMA

WORDS = {"moon": MarketWords(intervals=("1h", "1d"), archived=False)}
URLS = ("makebelieve_url",)
NOW = datetime(2024, 5, 3, 12, 30, tzinfo=UTC)
LISTED = datetime(2024, 5, 1, 6, tzinfo=UTC)
HALT = (datetime(2024, 5, 2, 3, tzinfo=UTC), datetime(2024, 5, 2, 5, tzinfo=UTC))


@dataclass(slots=True)
class MakeBelieveApi:
    """CHEESE is there since a Wednesday morning, and stood still for two hours of Thursday; ROCK since ever."""

    url: str
    limit: int = 10
    requests: int = 0

    def close(self) -> None:
        """Nothing is open."""

    def hasten(self) -> None:
        """It never waits."""

    def now(self) -> datetime:
        """Its clock stands still."""
        return NOW

    def symbols(self) -> Mapping[str, SymbolFacts]:
        """What trades there."""
        return {
            "CHEESE-MOON": SymbolFacts(symbol="CHEESE-MOON", base="CHEESE", quote="MOON"),
            "ROCK-MOON": SymbolFacts(symbol="ROCK-MOON", base="ROCK", quote="MOON", since=LISTED - timedelta(days=99)),
        }

    def first_open_time(self, symbol: str, interval: Interval) -> datetime | None:
        """Asked for CHEESE alone: the other says itself how old it is."""
        del interval
        return LISTED if symbol == "CHEESE-MOON" else None

    def last_open_time(self, symbol: str, interval: Interval) -> datetime | None:
        """Never asked: all its symbols are named."""
        del symbol, interval
        return None

    def klines(self, symbol: str, interval: Interval, start: datetime, end: datetime) -> RestAnswer:
        """Prices that count the hours."""
        self.requests += 1
        opens = [start + step * interval.duration for step in range((end - start) // interval.duration)]
        there = [time for time in opens[: self.limit] if self._trades(symbol, time)]
        hours = pl.Series("hour", [float(time.hour + 1) for time in there], dtype=pl.Float64)
        frame = pl.DataFrame({"symbol": [symbol] * len(there), "open_time": pl.Series(there, dtype=UTC_TIME)})
        numbers = dict.fromkeys(("open", "high", "low", "close", "volume"), hours) | {"quote_volume": hours * hours}
        nothing = pl.lit(None, pl.Float64)
        wire = frame.with_columns(
            **numbers,
            trades=pl.lit(None, pl.Int64),
            taker_buy_volume=nothing,
            taker_buy_quote_volume=nothing,
        ).select(WIRE_SCHEMA.names())
        return RestAnswer(wire, f"{self.url}/{symbol}", 1, 1, 200, NOW, NOW)

    def _trades(self, symbol: str, time: datetime) -> bool:
        return symbol == "ROCK-MOON" or (time >= LISTED and not HALT[0] <= time < HALT[1])


def connect(market: str, endpoints: Mapping[str, str], state: str | None = None) -> Market:
    """A connected market; nothing is ever forbidden there."""
    api = MakeBelieveApi(endpoints.get("makebelieve_url", market))
    nullable = ("trades", "taker_buy_volume", "taker_buy_quote_volume")
    return Market(archive=NoArchive(api), api=api, nullable=nullable)
