"""What REST was asked about funding: one row of the ledger a symbol and day, and which days are to be asked (again).

One request covers many days; each of them gets its own row, so that a day alone tells what is known of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

import polars as pl

from klines_pipeline.domain.states import ANSWERED, SliceState
from klines_pipeline.domain.utc_day import EPOCH, day_end, day_start, to_milliseconds
from klines_pipeline.funding.expected import HOUR, SETTLING, Settlement
from klines_pipeline.funding.schema import UTC_TIME

CONTEXT = timedelta(days=1)
"""Asked before and after the days wanted, not stored: the neighbours tell the intervals at the edges."""

SLICE_SCHEMA = pl.Schema({
    "slice_key": pl.String(),
    "symbol": pl.String(),
    "start": UTC_TIME,
    "end": UTC_TIME,
    "state": pl.String(),
    "rows": pl.Int64(),
    "previous_settlement": UTC_TIME,
    "following_settlement": UTC_TIME,
    "following_hours": pl.Int16(),
    "url": pl.String(),
    "requested_at": UTC_TIME,
    "attempts": pl.Int32(),
    "http_status": pl.Int32(),
    "error": pl.String(),
})  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class FundingSlice:
    """One symbol-day at REST: `[start, end)` as asked so far, what came back, and the neighbours of the day."""

    symbol: str
    start: datetime
    end: datetime
    state: SliceState
    rows: int = 0
    previous_settlement: datetime | None = None
    following_settlement: datetime | None = None
    following_hours: int | None = None
    url: str | None = None
    requested_at: datetime | None = None
    attempts: int = 0
    http_status: int | None = None
    error: str | None = None

    @property
    def slice_key(self) -> str:
        """Its name in the ledger: `SYMBOL:funding:start_ms`."""
        return f"{self.symbol}:funding:{to_milliseconds(self.start)}"

    @property
    def answered_until(self) -> datetime | None:
        """REST has said for good what it has before this instant; None where it has not answered."""
        if self.state not in ANSWERED or self.requested_at is None:
            return None
        return min(self.end, self.requested_at - SETTLING)

    @property
    def before(self) -> Settlement | None:
        """The settlement before the day, as REST named it."""
        return None if self.previous_settlement is None else Settlement(self.previous_settlement)

    @property
    def after(self) -> Settlement | None:
        """The settlement after the day, likewise."""
        if self.following_settlement is None:
            return None
        return Settlement(self.following_settlement, self.following_hours)


def to_frame(entries: Sequence[FundingSlice]) -> pl.DataFrame:
    """Entries as a frame in SLICE_SCHEMA."""
    columns = {name: [getattr(entry, name) for entry in entries] for name in SLICE_SCHEMA.names()}
    return pl.DataFrame(columns, schema=SLICE_SCHEMA)


def slice_entries(frame: pl.DataFrame) -> dict[str, FundingSlice]:
    """A day's slices ledger, by symbol."""
    entries = (FundingSlice(**row) for row in frame.drop("slice_key").iter_rows(named=True))
    return {entry.symbol: replace(entry, state=SliceState(entry.state)) for entry in entries}


def is_settled(known: FundingSlice | None, day: date, now: datetime, *, awaited: bool = False) -> bool:
    """Whether an earlier answer is the last word. Funding settles on the hour, so within an hour nothing new comes.

    Nothing at all is no last word on a day whose archive is still `awaited`.
    """
    if known is None or known.answered_until is None or (awaited and known.state is SliceState.NO_DATA):
        return False
    return known.answered_until >= min(day_end(day), now - (now - EPOCH) % HOUR)


def spans(days: Sequence[date]) -> list[tuple[date, date]]:
    """(first, last) of each run of days without a hole; `days` ascend."""
    runs = list[tuple[date, date]]()
    for day in days:
        if runs and day - runs[-1][1] == timedelta(days=1):
            runs[-1] = (runs[-1][0], day)
        else:
            runs.append((day, day))
    return runs


def window(first: date, last: date, now: datetime) -> tuple[datetime, datetime]:
    """What to ask for these days, `[start, end)`: their neighbours included, nothing from the future."""
    return day_start(first) - CONTEXT, min(day_end(last) + CONTEXT, now)
