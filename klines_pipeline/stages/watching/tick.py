"""What one look of a sensor found, whoever looked: the days wanted, words for people, where the next look goes on."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from klines_pipeline.domain.wanted import Wanted
from klines_pipeline.exchanges.protocols import Listed


@dataclass(frozen=True, slots=True)
class Tick:
    """`now`: the exchange's time, UTC; None where it does not answer, and nothing was decided."""

    now: datetime | None
    wanted: Sequence[Wanted]
    words: str
    cursor: str | None
    requests: int
    held_back: Callable[[Collection[date]], str | None] | None = None
    """The cursor instead, should no run be asked for on these days."""

    def cursor_after(self, postponed: Collection[date]) -> str | None:
        """The next look's cursor."""
        return self.held_back(postponed) if self.held_back and postponed else self.cursor


def silent(exchange: str, listed: Listed, requests: int) -> Tick:
    """A look at which nobody told the time; it leaves no cursor behind."""
    trouble = next(iter(listed.failed.values()), "no answer in time.")
    return Tick(None, (), f"{exchange} does not answer: {trouble}", None, requests)
