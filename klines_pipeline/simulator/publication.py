"""When a daily archive appears in the bucket: the early hours of the next day, later, or never.

All intervals of a symbol-day appear together.
"""

from datetime import UTC, date, datetime, timedelta

from klines_pipeline.domain.utc_day import day_end
from klines_pipeline.simulator.hashing import stream_name, uniform
from klines_pipeline.simulator.markets import MarketRules
from klines_pipeline.simulator.truths import NEVER_PUBLISHED

NEVER = datetime.max.replace(tzinfo=UTC)
_CERTAIN_AFTER = timedelta(days=2)


class Publication:
    """Publication times of one market, with those set by hand."""

    def __init__(self, *, seed: int, rules: MarketRules) -> None:
        self._seed = seed
        self._rules = rules
        self._set: dict[tuple[str, date], datetime] = dict.fromkeys(NEVER_PUBLISHED[rules.name], NEVER)

    def usual(self, symbol: str, day: date) -> datetime:
        """UTC, whole seconds: mostly within half an hour of the market's first publication, seldom near its last."""
        early, late = self._rules.published_after, self._rules.published_before
        draw = uniform(self._seed, "publication", stream_name(self._rules.name, symbol), day)
        seconds = (late - early).total_seconds() * (0.15 * draw + 0.85 * draw**8)
        return day_end(day) + early + timedelta(seconds=int(seconds))

    def at(self, symbol: str, day: date) -> datetime:
        """When the archives of a symbol-day appear (UTC); `NEVER` if they do not."""
        return self._set.get((symbol, day)) or self.usual(symbol, day)

    def is_published(self, symbol: str, day: date, now: datetime) -> bool:
        """Whether they have appeared by `now`."""
        if (symbol, day) not in self._set and now - day_end(day) > _CERTAIN_AFTER:
            return True
        return self.at(symbol, day) <= now

    def hold(self, symbol: str, day: date, *, until: datetime) -> None:
        """Set the publication time of a symbol-day, `NEVER` to withhold it."""
        self._set[symbol, day] = until.replace(microsecond=0)
