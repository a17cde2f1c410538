"""Top up funding: ask REST, once a symbol and stretch of days, for the settlements that no verified archive holds."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

import polars as pl

from klines_pipeline.domain.errors import BannedError, BlockedError, RejectedRequestError, TransientError
from klines_pipeline.domain.states import ANSWERED, NEVER_ASKED, ArchiveState, SliceState
from klines_pipeline.domain.utc_day import EPOCH, day_end, day_start
from klines_pipeline.exchanges.funding import FundingAnswer, FundingApi
from klines_pipeline.funding.certificate import held_by_symbol
from klines_pipeline.funding.expected import due_times
from klines_pipeline.funding.schema import FUNDING_SCHEMA, KEY, REST, with_intervals, with_provenance
from klines_pipeline.funding.slices import FundingSlice, is_settled, spans, to_frame, window
from klines_pipeline.stages.funding_dataset import FundingDataset
from klines_pipeline.stages.funding_neighbours import neighbours_of
from klines_pipeline.stages.funding_results import ArchivedFunding, ToppedUpFunding
from klines_pipeline.stages.funding_state import MirrorRows, load_rest, load_slices, paths_of
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.tables import to_parquet

_FAILED = frozenset({SliceState.UNAVAILABLE, SliceState.BANNED})
_OUT_OF_REACH = frozenset({ArchiveState.UNAVAILABLE})


@dataclass(slots=True)
class _Day:
    """One day while it is topped up."""

    archived: ArchivedFunding
    slices: dict[str, FundingSlice]
    rows: pl.DataFrame
    asked: dict[str, FundingSlice] = field(default_factory=dict)
    fresh: list[pl.DataFrame] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What became of one request for a symbol's days."""

    symbol: str
    days: Sequence[date]
    end: datetime
    state: SliceState
    answer: FundingAnswer | None = None
    error: str | None = None
    http_status: int | None = None
    attempts: int = 0


def top_up(
    lake: Lake,
    api: FundingApi,
    dataset: FundingDataset,
    archived: Mapping[date, ArchivedFunding],
    mirror: MirrorRows,
    pool: Executor,
) -> dict[date, ToppedUpFunding]:
    """Ask what is missing on any of the days and record it on each. The time is REST's where REST is needed."""
    before = api.requests
    days = {
        day: _Day(found, load_slices(lake, dataset, day), load_rest(lake, dataset, day))
        for day, found in archived.items()
    }
    now = max((found.now for found in archived.values()), default=EPOCH)
    open_days, error = _open(days, mirror, now), None
    if open_days or any(now < day_end(day) for day in days):
        now, error = _server_time(api, now)
        open_days = _open(days, mirror, now)
    requests = [(name, span) for name, wanted in sorted(open_days.items()) for span in spans(wanted)]
    for outcome in pool.map(lambda wanted: _ask(api, wanted[0], wanted[1], now, error), requests):
        _spread(outcome, days)
    asked = api.requests - before
    results = {day: _finish(lake, dataset, found, now) for day, found in days.items()}
    first = min(results, default=None)
    return {day: replace(found, requests=asked) if day == first else found for day, found in results.items()}


def _server_time(api: FundingApi, heard: datetime) -> tuple[datetime, TransientError | BlockedError | None]:
    """REST's clock, or the bucket's and the reason why REST cannot be asked."""
    try:
        return api.now(), None
    except (TransientError, BlockedError) as error:
        if heard == EPOCH:
            raise  # nothing tells the time, so nothing can be expected
        return heard, error


# ---- what to ask


def _open(days: Mapping[date, _Day], mirror: MirrorRows, now: datetime) -> dict[str, list[date]]:
    """The days, by symbol, that neither a verified archive nor an earlier answer settles."""
    wanted: dict[str, list[date]] = {}
    for day, found in sorted(days.items()):
        short = _short(found, mirror, now)
        for symbol in found.archived.symbols:
            entry = found.archived.entries[symbol]
            if entry.life in NEVER_ASKED or entry.state in _OUT_OF_REACH:
                continue
            covered = entry.state is ArchiveState.OK and symbol not in short
            if not covered and not is_settled(found.slices.get(symbol), day, now):
                wanted.setdefault(symbol, []).append(day)
    return wanted


def _short(found: _Day, mirror: MirrorRows, now: datetime) -> set[str]:
    """Symbols whose verified archive, with what REST has added to it, lacks a settlement of the day."""
    answered = [name for name, entry in found.slices.items() if entry.state in ANSWERED]
    added = held_by_symbol(found.rows.filter(pl.col("symbol").is_in(answered))) if answered else {}
    short, day = set[str](), found.archived.day
    for symbol in found.archived.symbols:
        entry = found.archived.entries[symbol]
        if entry.state is ArchiveState.OK:
            near = neighbours_of(entry, found.slices.get(symbol), day, mirror)
            archived = {known.time: known for known in near.archived}
            held = {known.time: known for known in added.get(symbol, [])} | archived
            there = [held[time] for time in sorted(held)]
            if len(due_times(there, day, now=now, before=near.before, after=near.after)) > len(there):
                short.add(symbol)
    return short


# ---- asking


def _ask(api: FundingApi, symbol: str, span: tuple[date, date], now: datetime, error: Exception | None) -> _Outcome:
    """One request; every way it can end has a state."""
    first, last = span
    days = [first + timedelta(days=offset) for offset in range((last - first).days + 1)]
    start, end = window(first, last, now)

    def failed(state: SliceState, error: Exception, status: int | None, attempts: int) -> _Outcome:
        return _Outcome(symbol, days, now, state, None, str(error), status, attempts)

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
    return _Outcome(symbol, days, now, SliceState.OK, answer, None, answer.http_status, answer.attempts)


def _spread(outcome: _Outcome, days: Mapping[date, _Day]) -> None:
    """Hand each day its part of an answer."""
    rows = FUNDING_SCHEMA.to_frame()
    if outcome.answer is not None:
        seen = pl.lit(outcome.answer.completed_at)
        rows = with_provenance(with_intervals(outcome.answer.rows), REST, pl.lit(0), seen)
    for day in outcome.days:
        part = rows.filter(pl.col("funding_time").is_between(day_start(day), day_end(day), closed="left"))
        days[day].asked[outcome.symbol] = _entry(outcome, day, rows, part, days[day].slices.get(outcome.symbol))
        days[day].fresh.append(part)
        if outcome.state in _FAILED:
            days[day].failed[outcome.symbol] = outcome.error or ""


def _entry(
    outcome: _Outcome, day: date, rows: pl.DataFrame, part: pl.DataFrame, before: FundingSlice | None
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


# ---- keeping


def _finish(lake: Lake, dataset: FundingDataset, found: _Day, now: datetime) -> ToppedUpFunding:
    """Publish what a day was given: rows before the ledger that vouches for them."""
    rows = pl.concat([found.rows, *found.fresh]).unique(list(KEY), keep="first", maintain_order=True).sort(KEY)
    slices, paths = {**found.slices, **found.asked}, paths_of(dataset, found.archived.day)
    if found.asked:
        if rows.height:
            lake.publish(paths.rest_funding, to_parquet(rows, paths.identity))
        lake.publish(paths.slices, to_parquet(to_frame([slices[symbol] for symbol in sorted(slices)])))
    asked = found.asked.values()
    return ToppedUpFunding(
        day=found.archived.day,
        slices=slices,
        rows=rows,
        now=now,
        failed=found.failed,
        blocked=next((entry.error for entry in asked if entry.state is SliceState.BLOCKED), None),
        new_rows=rows.height - found.rows.height,
    )
