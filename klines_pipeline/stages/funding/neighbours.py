"""The settlements next to a day: from the archive of its month, else from what REST said when it was asked for the day.

They tell which intervals reach into the day and out of it.
"""

from bisect import bisect_left
from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple

from klines_pipeline.domain.states import ArchiveState
from klines_pipeline.domain.utc_day import day_end, day_start
from klines_pipeline.funding.expected import Settlement
from klines_pipeline.funding.months import month_of
from klines_pipeline.funding.slices import FundingSlice
from klines_pipeline.klines.ledgers import ArchiveEntry
from klines_pipeline.stages.funding.state import MirrorRows


class Neighbours(NamedTuple):
    """The last settlement before a day and the first after it, where a source names them.

    `archived` are the day's own, as its verified archive has them.
    """

    before: Settlement | None
    after: Settlement | None
    archived: Sequence[Settlement]


def neighbours_of(entry: ArchiveEntry, asked: FundingSlice | None, day: date, mirror: MirrorRows) -> Neighbours:
    """A symbol-day's neighbours; a verified archive knows those of its month."""
    before, after, archived = None, None, list[Settlement]()
    if entry.state is ArchiveState.OK:
        settled = mirror.settled(entry, month_of(day))
        first = bisect_left(settled, day_start(day), key=_time)
        past = bisect_left(settled, day_end(day), key=_time)
        before = settled[first - 1] if first else None
        after = settled[past] if past < len(settled) else None
        archived = settled[first:past]
    if asked is not None:
        before = max((found for found in (before, asked.before) if found), default=None, key=_time)
        after = min((found for found in (after, asked.after) if found), default=None, key=_time)
    return Neighbours(before, after, archived)


def _time(settlement: Settlement) -> datetime:
    return settlement.time
