"""Looking at days of which some have a ledger that cannot be read: these are passed over and asked for alone."""

from collections.abc import Callable, Iterable
from datetime import date
from typing import TypeVar

from klines_pipeline.domain.errors import DamagedFileError
from klines_pipeline.domain.wanted import Kind, Wanted, one_wish

_Look = TypeVar("_Look")


def look_at_each(days: Iterable[date], look: Callable[[date], _Look]) -> tuple[dict[date, _Look], list[Wanted]]:
    """What `look` tells of each day, and a wish for each that it cannot tell of: its run says how to mend the ledger.

    As the news of such a day stays the same, its runs come ever more seldom.
    """
    looks, damaged = dict[date, _Look](), list[Wanted]()
    for day in days:
        try:
            looks[day] = look(day)
        except DamagedFileError as error:
            damaged += one_wish(Kind.REPAIR, [day], str(error), "damaged")
    return looks, damaged
