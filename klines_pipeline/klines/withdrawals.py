"""REST klines that an archive seen later lacks: it never had them, or the exchange has withdrawn them everywhere.

Which of them REST is to be asked for again, and what an answer supersedes. Asking is the stages' affair. No I/O.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import polars as pl

from klines_pipeline.domain.interval import Interval
from klines_pipeline.domain.states import ANSWERED, ArchiveState
from klines_pipeline.domain.utc_day import from_microseconds
from klines_pipeline.klines.grid import TimeRange, subtract
from klines_pipeline.klines.ledgers import ArchiveEntry, SliceEntry
from klines_pipeline.klines.schema import UTC_TIME, market_names, slot

SUPERSEDED_AT = "superseded_at"
"""Of a kline REST once gave: when it was found to have another one instead, or none; UTC, the exchange's clock."""


def superseded_schema(table: pl.Schema) -> pl.Schema:
    """The ledger of such klines: a market's table and `superseded_at`."""
    return pl.Schema({**table, SUPERSEDED_AT: UTC_TIME})


def doubted_ranges(
    rest: pl.DataFrame,
    archived: pl.DataFrame,
    entries: Mapping[str, ArchiveEntry],
    slices: Iterable[SliceEntry],
    interval: Interval,
) -> dict[str, list[TimeRange]]:
    """By symbol: klines REST gave before this version of the archive was first seen, that it lacks, not asked since."""
    seen = [(n, e.first_seen_at) for n, e in entries.items() if e.state is ArchiveState.OK and e.first_seen_at]
    versions = pl.DataFrame(seen, schema={"symbol": pl.String, "seen": UTC_TIME}, orient="row")
    key, grid = ["symbol", "slot"], slot(interval.microseconds)
    older = rest.with_columns(grid).join(versions, on="symbol").filter(pl.col("ingested_at") < pl.col("seen"))
    lacking = older.join(archived.with_columns(grid), on=key, how="anti").select(key).unique().sort(key)
    if lacking.is_empty():
        return {}
    asked = [entry for entry in slices if entry.state in ANSWERED and entry.requested_at is not None]
    doubted = {}
    for (symbol,), part in lacking.partition_by("symbol", as_dict=True).items():
        first_seen = entries[symbol].first_seen_at
        since = [TimeRange(e.start, e.end) for e in asked if e.symbol == symbol and e.requested_at >= first_seen]  # type: ignore[operator]
        if left := subtract(_stretches(part["slot"].to_list(), interval.microseconds), since):
            doubted[symbol] = left
    return doubted


def _stretches(slots: Sequence[int], step: int) -> list[TimeRange]:
    """Sorted slots (µs) as ranges without holes."""
    edges = [None, *(at for at, (a, b) in enumerate(pairwise(slots), 1) if b - a > step), None]
    parts = (slots[start:end] for start, end in pairwise(edges))
    return [TimeRange(from_microseconds(part[0]), from_microseconds(part[-1] + step)) for part in parts]


def superseded_rows(
    rest: pl.DataFrame, answered: pl.DataFrame, kept: pl.DataFrame, refused: pl.DataFrame
) -> pl.DataFrame:
    """Rows that REST, asked again, no longer gives as they were, with `superseded_at`.

    `answered` has the ranges asked: symbol, start, end, `superseded_at`; `kept` and `refused` what came of them. A
    kline that is now refused as malformed proves nothing against the one held.
    """
    key = ["symbol", "open_time"]
    inside = rest.join(answered, on="symbol").filter(pl.col("open_time").is_between("start", "end", closed="left"))
    same = [*key, *market_names(rest)]
    changed = inside.join(kept.select(same), on=same, how="anti", nulls_equal=True)
    gone = changed.join(refused.drop_nulls("open_time"), on=key, how="anti")
    return gone.select(*rest.columns, SUPERSEDED_AT).unique(key, maintain_order=True)
