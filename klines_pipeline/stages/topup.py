"""Top up one day: ask REST, once, for the open_times that no verified archive holds; keep closed klines only."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from datetime import date, datetime

import polars as pl

from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.errors import BlockedError, TransientError
from klines_pipeline.domain.lateness import LONGEST_DELAY
from klines_pipeline.domain.states import ANSWERED, NEVER_ASKED, NEVER_CAME, ArchiveState, Life, SliceState
from klines_pipeline.domain.utc_day import EPOCH, day_end
from klines_pipeline.exchanges.protocols import Market
from klines_pipeline.klines.grid import expected_range, missing_ranges, present_slots
from klines_pipeline.klines.ledgers import (
    REJECTED_SCHEMA,
    SLICE_SCHEMA,
    ArchiveEntry,
    SliceEntry,
    slice_entries,
    to_frame,
)
from klines_pipeline.klines.schema import UTC_TIME
from klines_pipeline.klines.slices import SILENCE, SliceRequest, is_silent, plan_slices
from klines_pipeline.klines.withdrawals import doubted_ranges
from klines_pipeline.stages import asked_again, losses
from klines_pipeline.stages.asking import ask_slice, closed_rows, entries_of, recounted
from klines_pipeline.stages.results import ArchivedDay, ToppedUpDay
from klines_pipeline.stages.rows import RowSource
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.layout import DayPaths
from klines_pipeline.storage.tables import klines_to_parquet, read_table, to_parquet

_FAILED = frozenset({SliceState.UNAVAILABLE, SliceState.BANNED})


def top_up(
    lake: Lake, market: Market, dataset: Dataset, archived: ArchivedDay, archives: RowSource, pool: Executor
) -> ToppedUpDay:
    """Ask what is missing and record every slice. Rows of complete archives are not even read."""
    paths, before = DayPaths.of(dataset, archived.day), market.api.requests
    known, stored = load_slices(lake, dataset, archived.day), load_rows(lake, market, dataset, archived.day)
    short = _incomplete(dataset, archived)
    standing, verified = standing_slices(known, stored), archives.verified(short)
    has = present_slots(pl.concat([verified, _vouched(stored, standing)]), dataset.interval)
    entries = {symbol: archived.entries[symbol] for symbol in short}
    doubted = doubted_ranges(stored, verified, entries, standing.values(), dataset.interval)
    now, error = archived.now, None
    requests = _plan(market, dataset, archived, short, now, has, standing, doubted)
    if requests or now < day_end(archived.day):
        now, error = _server_time(market, archived)
        if error is not None and archived.now == EPOCH:
            raise error  # nothing tells the time, so nothing can be expected
        requests = _plan(market, dataset, archived, short, now, has, standing, doubted)
    outcomes = list(pool.map(lambda request: ask_slice(market, dataset, request, error), requests))
    told = asked_again.telling(outcomes, doubted, standing)
    fresh = closed_rows(told, archived.day, dataset, now=now, market=market)
    old = asked_again.superseded(stored, told, fresh, doubted)
    held = stored.join(old, on=["symbol", "open_time"], how="anti")
    rows = pl.concat([held, fresh.kept]).unique(["symbol", "open_time"], keep="first", maintain_order=True)
    rows = rows.sort("symbol", "open_time")
    slices = {**known, **recounted(standing, rows, old["symbol"]), **entries_of(told, standing, rows)}
    if told:
        asked_again.record(lake, market, paths, old)
        losses.record(lake, paths, "rest_klines", asked_again.lost(told, known, standing))
        _publish(lake, paths, rows, slices, fresh.rejected)
    return ToppedUpDay(
        day=archived.day,
        slices=slices,
        rows=rows,
        now=now,
        failed={done.request.symbol: done.error or "" for done in outcomes if done.state in _FAILED},
        may_pass=all(done.may_pass for done in outcomes if done.state in _FAILED),
        blocked=next((done.error for done in outcomes if done.state is SliceState.BLOCKED), None),
        requests=market.api.requests - before,
        weight=sum(done.answer.weight for done in outcomes if done.answer),
        new_rows=rows.height - stored.height,
    )


def load_slices(lake: Lake, dataset: Dataset, day: date) -> dict[str, SliceEntry]:
    """The day's slices ledger, by slice key."""
    return slice_entries(read_table(lake, DayPaths.of(dataset, day).slices, SLICE_SCHEMA))


def load_rows(lake: Lake, market: Market, dataset: Dataset, day: date) -> pl.DataFrame:
    """The klines REST has given for the day."""
    return read_table(lake, DayPaths.of(dataset, day).rest_klines, market.schema)


def standing_slices(slices: Mapping[str, SliceEntry], rows: pl.DataFrame) -> dict[str, SliceEntry]:
    """Slices whose rows are still in the lake. Of the others the file was lost, and they count as never asked."""
    times = {str(key[0]): part["open_time"] for key, part in rows.partition_by("symbol", as_dict=True).items()}
    nothing = pl.Series([], dtype=UTC_TIME)

    def held(entry: SliceEntry) -> int:
        mine = times.get(entry.symbol, nothing)
        return mine.filter((mine >= entry.start) & (mine < entry.end)).len()

    return {key: entry for key, entry in slices.items() if entry.rows == 0 or held(entry) >= entry.rows}


def _vouched(rows: pl.DataFrame, known: Mapping[str, SliceEntry]) -> pl.DataFrame:
    """Rows that a slice in the ledger accounts for. After a kill between the two files the others are asked again."""
    answered = [(entry.symbol, entry.start, entry.end) for entry in known.values() if entry.state in ANSWERED]
    ranges = pl.DataFrame(answered, schema={"symbol": pl.String, "start": UTC_TIME, "end": UTC_TIME}, orient="row")
    nearest = rows.sort("open_time").join_asof(
        ranges.sort("start"), left_on="open_time", right_on="start", by="symbol", check_sortedness=False
    )
    return nearest.filter(pl.col("open_time") < pl.col("end")).select(rows.columns)


def _incomplete(dataset: Dataset, archived: ArchivedDay) -> list[str]:
    """Symbols whose archive does not hold the whole day by itself. A remark (rows off the grid) is looked into."""
    full = dataset.interval.bars_per_day
    entries = {symbol: archived.entries[symbol] for symbol in dataset.symbols}
    whole = {name for name, entry in entries.items() if entry.state is ArchiveState.OK and entry.rows == full}
    return [name for name, entry in entries.items() if name not in whole or entry.problem]


def _server_time(market: Market, archived: ArchivedDay) -> tuple[datetime, TransientError | BlockedError | None]:
    """REST's clock, or the bucket's and the reason why REST cannot be asked."""
    try:
        return market.api.now(), None
    except (TransientError, BlockedError) as error:
        return archived.now, error


def _plan(
    market: Market,
    dataset: Dataset,
    archived: ArchivedDay,
    symbols: Sequence[str],
    now: datetime,
    has: Mapping[str, pl.Series],
    known: Mapping[str, SliceEntry],
    doubted: asked_again.Doubted,
) -> list[SliceRequest]:
    """Requests for symbols that traded, as far as the bucket tells, and whose archive is not merely out of reach."""
    expected, awaited = expected_range(archived.day, dataset.interval, now), now - day_end(archived.day) < LONGEST_DELAY
    in_progress = now < day_end(archived.day)
    by_symbol: dict[str, dict[str, SliceEntry]] = {}
    for key, entry in known.items():
        by_symbol.setdefault(entry.symbol, {})[key] = entry
    requests = []
    for symbol in symbols:
        archive = archived.entries[symbol]
        if archive.life in NEVER_ASKED or archive.state is ArchiveState.UNAVAILABLE:
            continue
        slices = by_symbol.get(symbol, {})
        if in_progress and is_silent(slices.values(), now):
            continue
        gaps = missing_ranges(has.get(symbol), expected, dataset.interval)
        requests += plan_slices(
            symbol,
            gaps,
            archived.day,
            interval=dataset.interval,
            limit=market.api.limit,
            known=_lasting(slices, archive, awaited=awaited, doubted_before=now - SILENCE if in_progress else now),
            doubted=doubted.get(symbol, ()),
        )
    return requests


def _lasting(
    slices: Mapping[str, SliceEntry], archive: ArchiveEntry, *, awaited: bool, doubted_before: datetime
) -> Mapping[str, SliceEntry]:
    """Slices that need not be asked again: nothing at all, where no archive speaks yet or ever, is no last word."""
    if not awaited or archive.state not in NEVER_CAME or archive.life is Life.PERHAPS_DELISTED:
        return slices

    def is_doubted(entry: SliceEntry) -> bool:
        return entry.state is SliceState.NO_DATA and (entry.requested_at or EPOCH) <= doubted_before

    return {key: entry for key, entry in slices.items() if not is_doubted(entry)}


def _publish(
    lake: Lake, paths: DayPaths, rows: pl.DataFrame, slices: Mapping[str, SliceEntry], rejected: pl.DataFrame
) -> None:
    """Rows before the ledger that vouches for them."""
    if rows.height or lake.size(paths.rest_klines) is not None:
        lake.publish(paths.rest_klines, klines_to_parquet(rows, paths.identity), under=paths)
    if rejected.height:
        old = read_table(lake, paths.rejected, REJECTED_SCHEMA)
        lake.publish(paths.rejected, to_parquet(pl.concat([old, rejected]).unique(maintain_order=True)), under=paths)
    lake.publish(paths.slices, to_parquet(to_frame([slices[key] for key in sorted(slices)], SLICE_SCHEMA)), under=paths)
