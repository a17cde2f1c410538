"""Top up funding: ask REST, once a symbol and stretch of days, for the settlements that no verified archive holds."""

from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from datetime import date, datetime

import polars as pl

from klines_pipeline.domain.errors import BlockedError, DamagedFileError, TransientError
from klines_pipeline.domain.states import NEVER_ASKED, ArchiveState, Life, SliceState
from klines_pipeline.domain.utc_day import EPOCH, day_end, day_start
from klines_pipeline.exchanges.funding import FundingApi
from klines_pipeline.funding.expected import due_times
from klines_pipeline.funding.months import is_awaited
from klines_pipeline.funding.schema import (
    FUNDING_SCHEMA,
    KEY,
    REJECTED_SCHEMA,
    REST,
    with_intervals,
    with_provenance,
)
from klines_pipeline.funding.slices import FundingSlice, is_settled, spans, to_frame
from klines_pipeline.klines.ledgers import ArchiveEntry
from klines_pipeline.stages.funding.asking import FundingOutcome, ask_funding, slice_of
from klines_pipeline.stages.funding.dataset import FundingDataset
from klines_pipeline.stages.funding.neighbours import neighbours_of
from klines_pipeline.stages.funding.results import ArchivedFunding, ToppedUpFunding
from klines_pipeline.stages.funding.state import MirrorRows, keep_rejected, load_rest, load_slices, paths_of
from klines_pipeline.stages.legible import look_at_each
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.tables import to_parquet

_FAILED = frozenset({SliceState.UNAVAILABLE, SliceState.BANNED})


@dataclass(slots=True)
class _Day:
    """One day while it is topped up."""

    archived: ArchivedFunding
    slices: dict[str, FundingSlice]
    rows: pl.DataFrame
    asked: dict[str, FundingSlice] = field(default_factory=dict)
    fresh: list[pl.DataFrame] = field(default_factory=list)
    rejected: list[pl.DataFrame] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    may_pass: bool = True


def top_up(
    lake: Lake,
    api: FundingApi,
    dataset: FundingDataset,
    archived: Mapping[date, ArchivedFunding],
    mirror: MirrorRows,
    pool: Executor,
) -> tuple[dict[date, ToppedUpFunding], dict[date, DamagedFileError]]:
    """Ask what is missing on any of the days and record it on each. The time is REST's where REST is needed.

    Requests are counted on the first day. Days with a damaged file are left alone, and told of besides.
    """
    before = api.requests
    days, damaged = look_at_each(
        archived, lambda day: _Day(archived[day], load_slices(lake, dataset, day), load_rest(lake, dataset, day))
    )
    now = max((found.now for found in archived.values()), default=EPOCH)
    open_days, error = _open(days, mirror, now), None
    if open_days or any(now < day_end(day) for day in days):
        now, error = _server_time(api, now)
        open_days = _open(days, mirror, now)
    requests = [(name, span) for name, wanted in sorted(open_days.items()) for span in spans(wanted)]
    for outcome in pool.map(lambda wanted: ask_funding(api, wanted[0], wanted[1], now, error), requests):
        _spread(outcome, days)
    asked = api.requests - before
    results = {day: _finish(lake, dataset, found, now) for day, found in days.items()}
    first = next(iter(results), None)
    return {day: replace(found, requests=asked) if day == first else found for day, found in results.items()}, damaged


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
        for symbol in found.archived.symbols:
            entry = found.archived.entries[symbol]
            if entry.life in NEVER_ASKED or entry.state is ArchiveState.UNAVAILABLE:
                continue
            settled = is_settled(found.slices.get(symbol), day, now, awaited=_is_awaited(entry, day, now))
            if not settled and not _is_whole(found, entry, mirror, now):
                wanted.setdefault(symbol, []).append(day)
    return wanted


def _is_awaited(entry: ArchiveEntry, day: date, now: datetime) -> bool:
    """Whether nobody but REST speaks for the day yet. After a last archive REST's word is enough."""
    if entry.life is Life.PERHAPS_DELISTED or entry.state not in (ArchiveState.NOT_PUBLISHED, ArchiveState.NO_ARCHIVE):
        return False
    return is_awaited(day, now, archived=entry.state is ArchiveState.NOT_PUBLISHED)


def _is_whole(found: _Day, entry: ArchiveEntry, mirror: MirrorRows, now: datetime) -> bool:
    """Whether a verified archive has every settlement of the day by itself."""
    if entry.state is not ArchiveState.OK:
        return False
    day = found.archived.day
    near = neighbours_of(entry, found.slices.get(entry.symbol), day, mirror)
    return len(due_times(near.archived, day, now=now, before=near.before, after=near.after)) == len(near.archived)


# ---- keeping


def _spread(outcome: FundingOutcome, days: Mapping[date, _Day]) -> None:
    """Hand each day its part of an answer."""
    rows, rejected = FUNDING_SCHEMA.to_frame(), REJECTED_SCHEMA.to_frame()
    if outcome.answer is not None:
        rejected = outcome.answer.rejected
        seen = pl.lit(outcome.answer.completed_at)
        rows = with_provenance(with_intervals(outcome.answer.rows), REST, pl.lit(0), seen)
    for day in outcome.days:
        inside = pl.col("funding_time").is_between(day_start(day), day_end(day), closed="left")
        part = rows.filter(inside)
        days[day].asked[outcome.symbol] = slice_of(outcome, day, rows, part, days[day].slices.get(outcome.symbol))
        days[day].fresh.append(part)
        days[day].rejected.append(rejected.filter(inside))
        if outcome.state in _FAILED:
            days[day].failed[outcome.symbol] = outcome.error or ""
            days[day].may_pass &= outcome.may_pass


def _finish(lake: Lake, dataset: FundingDataset, found: _Day, now: datetime) -> ToppedUpFunding:
    """Publish what a day was given: rows before the ledger that vouches for them."""
    rows = pl.concat([found.rows, *found.fresh]).unique(list(KEY), keep="first", maintain_order=True).sort(KEY)
    slices, paths = {**found.slices, **found.asked}, paths_of(dataset, found.archived.day)
    if found.asked:
        if rows.height:
            lake.publish(paths.rest_funding, to_parquet(rows, paths.identity), under=paths)
        keep_rejected(lake, paths, pl.concat(found.rejected))
        lake.publish(paths.slices, to_parquet(to_frame([slices[symbol] for symbol in sorted(slices)])), under=paths)
    asked = found.asked.values()
    return ToppedUpFunding(
        day=found.archived.day,
        slices=slices,
        rows=rows,
        now=now,
        failed=found.failed,
        may_pass=found.may_pass,
        blocked=next((entry.error for entry in asked if entry.state is SliceState.BLOCKED), None),
        new_rows=rows.height - found.rows.height,
    )
