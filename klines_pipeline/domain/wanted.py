"""Days that ought to be materialized, and why: what planners say and Dagster is asked for. No Dagster, no clock."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from hashlib import blake2b
from itertools import groupby


class Kind(StrEnum):
    """Why a day is wanted; the order in which they wait for a run stands in `PRIORITY`."""

    FRESHNESS = "freshness"
    """No archive yet: REST has newer klines."""
    PUBLISHED = "published"
    """Archives appeared."""
    REWRITTEN = "rewritten"
    """Archives held were published anew."""
    REPAIR = "repair"
    """A run failed, or the certificates name gaps nobody has explained."""
    HISTORY = "history"
    """The day was never merged: nobody has looked at it, or the run failed."""


PRIORITY = {kind: len(Kind) - place for place, kind in enumerate(Kind)}
"""A kind's `dagster/priority`: freshness first, years of history when nothing else waits."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Days wanted for one kind of reason. `news` tells, by day, the state of the world that makes it wanted: a request
    for the same news is the same request again.
    """

    kind: Kind
    days: tuple[date, ...]
    reason: str
    news: Mapping[date, str] = field(default_factory=dict)
    once: bool = False
    """Whether a run that succeeded settles the news for good; otherwise whoever wants the days sees it in the lake."""
    with_archives: bool = True
    """Whether archives are looked for too; otherwise REST alone is asked."""

    def digest(self, days: Iterable[date]) -> str:
        """Of the news of some of the days."""
        text = "\n".join(f"{day} {self.news.get(day, '')}" for day in days)
        return blake2b(f"{self.kind}\n{text}".encode(), digest_size=8).hexdigest()


def one_wish(
    kind: Kind, days: Iterable[date], reason: str, news: str, *, once: bool = False, with_archives: bool = True
) -> list[Wanted]:
    """The days as one wish with the same news; none without days."""
    told = dict.fromkeys(days, news)
    return [Wanted(kind, tuple(told), reason, told, once=once, with_archives=with_archives)] if told else []


def stretches(days: Iterable[date], longest: int) -> Iterator[tuple[date, ...]]:
    """Contiguous days in order, at most `longest` together."""
    stretch = list[date]()
    for day in sorted(set(days)):
        if stretch and (day - stretch[-1] != timedelta(days=1) or len(stretch) == longest):
            yield tuple(stretch)
            stretch = []
        stretch.append(day)
    if stretch:
        yield tuple(stretch)


def newest_first(days: Iterable[date], longest: int) -> Iterator[tuple[date, ...]]:
    """Days by stretches of the calendar, `longest` days each: a day is always in the same one, whichever are left."""
    for _, stretch in groupby(sorted(set(days), reverse=True), key=lambda day: day.toordinal() // longest):
        yield tuple(sorted(stretch))
