"""Asking REST for slices of a day: each request's outcome, its rows, and the slice's row in the ledger. No lake."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

import polars as pl

from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.errors import BannedError, BlockedError, RejectedRequestError, TransientError, may_pass
from klines_pipeline.domain.states import ANSWERED, SliceState
from klines_pipeline.exchanges.protocols import Market, RestAnswer
from klines_pipeline.klines.ledgers import SliceEntry
from klines_pipeline.klines.schema import REST, UTC_TIME, wire_schema_of, with_provenance
from klines_pipeline.klines.sieve import Sieved, sieve
from klines_pipeline.klines.slices import SliceRequest, slice_id


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one request."""

    request: SliceRequest
    state: SliceState
    answer: RestAnswer | None = None
    error: str | None = None
    http_status: int | None = None
    attempts: int = 0
    may_pass: bool = False
    """Of a failure: whether asking again soon may succeed."""


def ask_slice(market: Market, dataset: Dataset, request: SliceRequest, error: Exception | None) -> Outcome:
    """One request; every way it can end has a state."""
    try:
        if error is not None:
            raise error
        answer = market.api.klines(request.symbol, dataset.interval, request.start, request.end)
    except BlockedError as blocked:
        return Outcome(request, SliceState.BLOCKED, error=str(blocked), http_status=blocked.http_status)
    except RejectedRequestError as refused:
        return Outcome(request, SliceState.UNAVAILABLE, error=str(refused), http_status=refused.http_status, attempts=1)
    except TransientError as passing:
        state = SliceState.BANNED if isinstance(passing, BannedError) else SliceState.UNAVAILABLE
        outcome = Outcome(request, state, None, str(passing), passing.http_status, passing.attempts)
        return replace(outcome, may_pass=may_pass(passing))
    return Outcome(request, SliceState.OK, answer, None, answer.http_status, answer.attempts)


def closed_rows(outcomes: Sequence[Outcome], day: date, dataset: Dataset, *, now: datetime, market: Market) -> Sieved:
    """Klines of the answers that were asked for and are closed at `now`."""
    frames = [
        done.answer.frame.filter(
            (pl.col("open_time") >= done.request.start).fill_null(value=True)
            & (pl.col("open_time") < done.request.end).fill_null(value=True)
            & (pl.col("open_time") + dataset.interval.duration <= now).fill_null(value=True)
        ).with_columns(pl.lit(done.answer.completed_at).alias("seen"))
        for done in outcomes
        if done.answer is not None
    ]
    empty = wire_schema_of(market.schema).to_frame().with_columns(pl.lit(now).cast(UTC_TIME).alias("seen"))
    wire = pl.concat([empty, *(frame.cast({"seen": UTC_TIME}) for frame in frames)])
    sieved = sieve(wire, day, REST, nullable=market.nullable)
    return sieved._replace(kept=with_provenance(sieved.kept, REST, pl.lit(0), pl.col("seen")))


def entries_of(
    outcomes: Sequence[Outcome], known: Mapping[str, SliceEntry], rows: pl.DataFrame
) -> dict[str, SliceEntry]:
    """The ledger's row of each slice asked, grown by what it held before."""
    by_symbol = {str(key[0]): part["open_time"] for key, part in rows.partition_by("symbol", as_dict=True).items()}
    nothing = pl.Series([], dtype=UTC_TIME)
    return {
        done.request.slice_key: _entry(
            done, known.get(done.request.slice_key), by_symbol.get(done.request.symbol, nothing)
        )
        for done in outcomes
    }


def recounted(entries: Mapping[str, SliceEntry], rows: pl.DataFrame, symbols: Collection[str]) -> dict[str, SliceEntry]:
    """Entries of symbols that have lost rows: each counts what is left, lest the file pass for a lost one."""
    left = {}
    for key, entry in entries.items():
        if entry.symbol in symbols:
            times = rows.filter(pl.col("symbol") == entry.symbol)["open_time"]
            held = times.filter((times >= entry.start) & (times < entry.end))
            left[key] = replace(entry, rows=held.len(), first_open_time=held.min(), last_open_time=held.max())  # type: ignore[arg-type]
    return left


def _entry(done: Outcome, before: SliceEntry | None, times: pl.Series) -> SliceEntry:
    if done.answer is None and before is not None and before.state in ANSWERED:
        return replace(before, attempts=done.attempts, http_status=done.http_status, error=done.error)
    start, end = done.request.start, done.request.end
    if done.answer is not None and before is not None and before.state in ANSWERED:
        start, end = min(start, before.start), max(end, before.end)
    held = times.filter((times >= start) & (times < end))
    state = done.state if done.answer is None else SliceState.OK if held.len() else SliceState.NO_DATA
    return SliceEntry(
        slice_key=done.request.slice_key,
        slice_id=slice_id(done.request.slice_key),
        start=start,
        end=end,
        state=state,
        rows=held.len(),
        first_open_time=held.min(),  # type: ignore[arg-type]
        last_open_time=held.max(),  # type: ignore[arg-type]
        url=done.answer.url if done.answer else None,
        weight=done.answer.weight if done.answer else 0,
        requested_at=done.answer.requested_at if done.answer else None,
        completed_at=done.answer.completed_at if done.answer else None,
        attempts=done.attempts,
        http_status=done.http_status,
        error=done.error,
    )
