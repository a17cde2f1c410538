"""One request for a symbol's funding over a stretch of days: how it ended, and the ledger's row of each day."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

import polars as pl

from klines_pipeline.domain.errors import BannedError, BlockedError, RejectedRequestError, TransientError, may_pass
from klines_pipeline.domain.states import ANSWERED, SliceState
from klines_pipeline.domain.utc_day import day_end, day_start
from klines_pipeline.exchanges.funding import FundingAnswer, FundingApi
from klines_pipeline.funding.slices import FundingSlice, window


@dataclass(frozen=True, slots=True)
class FundingOutcome:
    """What became of one request for a symbol's days."""

    symbol: str
    days: Sequence[date]
    end: datetime
    state: SliceState
    answer: FundingAnswer | None = None
    error: str | None = None
    http_status: int | None = None
    attempts: int = 0
    may_pass: bool = False
    """Of a failure: whether asking again soon may succeed."""


def ask_funding(
    api: FundingApi, symbol: str, span: tuple[date, date], now: datetime, error: Exception | None
) -> FundingOutcome:
    """One request; every way it can end has a state."""
    first, last = span
    days = [first + timedelta(days=offset) for offset in range((last - first).days + 1)]
    start, end = window(first, last, now)

    def failed(state: SliceState, error: Exception, status: int | None, attempts: int) -> FundingOutcome:
        return FundingOutcome(symbol, days, now, state, None, str(error), status, attempts, may_pass(error))

    try:
        if error is not None:
            raise error
        answer = api.settlements(symbol, start, end)
    except BlockedError as blocked:
        return failed(SliceState.BLOCKED, blocked, blocked.http_status, 1)
    except RejectedRequestError as refused:
        return failed(SliceState.UNAVAILABLE, refused, refused.http_status, 1)
    except TransientError as passing:
        state = SliceState.BANNED if isinstance(passing, BannedError) else SliceState.UNAVAILABLE
        return failed(state, passing, passing.http_status, passing.attempts)
    return FundingOutcome(symbol, days, now, SliceState.OK, answer, None, answer.http_status, answer.attempts)


def slice_of(
    outcome: FundingOutcome, day: date, rows: pl.DataFrame, part: pl.DataFrame, before: FundingSlice | None
) -> FundingSlice:
    """The ledger's row; a failure does not undo an answer there was."""
    if outcome.answer is None and before is not None and before.state in ANSWERED:
        found = before
    else:
        end = min(day_end(day), outcome.end)
        found = FundingSlice(symbol=outcome.symbol, start=day_start(day), end=end, state=outcome.state)
    found = replace(found, attempts=outcome.attempts, http_status=outcome.http_status, error=outcome.error)
    if outcome.answer is None:
        return found
    earlier: datetime | None = rows.filter(pl.col("funding_time") < day_start(day))["funding_time"].max()  # type: ignore[assignment]
    later = rows.filter(pl.col("funding_time") >= day_end(day)).head(1)
    return replace(
        found,
        state=SliceState.OK if part.height else SliceState.NO_DATA,
        rows=part.height,
        previous_settlement=earlier,
        following_settlement=later["funding_time"].item() if later.height else None,
        following_hours=later["interval_hours"].item() if later.height else None,
        url=outcome.answer.url,
        requested_at=outcome.answer.completed_at,
    )
