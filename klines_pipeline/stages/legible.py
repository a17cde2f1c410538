"""Looking at days of which some have a ledger that cannot be read: those spoil no other day."""

from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import TypeVar

from klines_pipeline.domain.errors import DamagedFileError
from klines_pipeline.domain.wanted import Kind, Wanted, one_wish

_Look = TypeVar("_Look")


def look_at_each(
    days: Iterable[date], look: Callable[[date], _Look]
) -> tuple[dict[date, _Look], dict[date, DamagedFileError]]:
    """What `look` tells of each day; and what is wrong with those of which it cannot."""
    looks, damaged = dict[date, _Look](), dict[date, DamagedFileError]()
    for day in days:
        try:
            looks[day] = look(day)
        except DamagedFileError as error:
            damaged[day] = error
    return looks, damaged


def to_be_mended(damaged: Mapping[date, DamagedFileError]) -> list[Wanted]:
    """A wish a day, whose run says how to mend the ledger. As its news stays the same, runs come ever more seldom."""
    return [wish for day, error in damaged.items() for wish in one_wish(Kind.REPAIR, [day], str(error), "damaged")]
