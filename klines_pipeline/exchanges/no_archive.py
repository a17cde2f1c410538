"""The archive of a market that publishes none: the survey tells the time, and every day is left to REST."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from klines_pipeline.domain.errors import BlockedError, CorruptArchiveError, TransientError
from klines_pipeline.domain.interval import Interval
from klines_pipeline.domain.states import ArchiveState
from klines_pipeline.exchanges.protocols import ArchivedDays, FetchedArchive, KlineApi, Listed, Parsed, Survey
from klines_pipeline.klines.schema import WIRE_SCHEMA


@dataclass(slots=True)
class NoArchive:
    """Stands where other markets have a bucket."""

    api: KlineApi
    requests: int = 0

    def key(self, symbol: str, interval: Interval, day: date) -> str:
        """There is none."""
        del symbol, interval, day
        return ""

    def symbols(self) -> Sequence[str]:
        """REST alone names symbols here."""
        return ()

    def archived_days(self, since: Mapping[str, date]) -> ArchivedDays:
        """None."""
        del since
        return ArchivedDays()

    def survey(self, symbols: Sequence[str], interval: Interval, first: date, last: date) -> Survey:
        """REST's time; every symbol is one without any archive, unless REST refuses to tell of any."""
        del interval, first, last
        try:
            return Survey(self.api.now(), {}, {}, {}, frozenset(symbols))
        except BlockedError as refusal:  # tells the time all the same: the days are certified, as blocked
            unreachable, now = TransientError(str(refusal)), refusal.served_at
        except TransientError as error:
            unreachable, now = error, None
        failed = {} if now else dict.fromkeys(symbols, unreachable)
        return Survey(now, {}, {}, failed, frozenset())

    def listed(self, symbols: Sequence[str], interval: Interval, first: date, last: date, *, seconds: float) -> Listed:
        """REST's time, and nothing published."""
        before = self.api.requests
        seen = self.survey(symbols or ["REST"], interval, first, last)
        del seconds
        return Listed(seen.now, {}, seen.failed, (), requests=self.api.requests - before)

    def fetch(self, key: str, interval: Interval, new_file: Callable[[], Path]) -> FetchedArchive:
        """Nothing to fetch."""
        del key, interval, new_file
        return FetchedArchive(ArchiveState.NOT_PUBLISHED, attempts=0)

    def parse(self, texts: Mapping[str, bytes], interval: Interval) -> Parsed:
        """Nothing to parse."""
        del texts, interval
        return Parsed(WIRE_SCHEMA.to_frame(), {})

    def open(self, content: bytes, key: str, interval: Interval) -> bytes:
        """Nothing to open."""
        del content, interval
        raise CorruptArchiveError(f"{key!r} cannot be an archive: this market publishes none.")
