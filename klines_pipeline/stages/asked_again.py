"""Klines that REST is asked for again, since an archive seen later lacks them: what its answers supersede, and the
ledger that keeps what was superseded, for readers of the past. Which klines those are, `klines.withdrawals` says. And
klines asked for again because their file was lost.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

import polars as pl

from klines_pipeline.domain.states import ANSWERED
from klines_pipeline.domain.utc_day import EPOCH
from klines_pipeline.exchanges.protocols import Market
from klines_pipeline.klines.grid import TimeRange
from klines_pipeline.klines.ledgers import SliceEntry
from klines_pipeline.klines.schema import UTC_TIME
from klines_pipeline.klines.sieve import Sieved
from klines_pipeline.klines.withdrawals import SUPERSEDED_AT, superseded_rows, superseded_schema
from klines_pipeline.stages.asking import Outcome
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.layout import DayPaths
from klines_pipeline.storage.tables import read_table, to_parquet

_HTTP_OK = 200
_ASKED = pl.Schema({"symbol": pl.String(), "start": UTC_TIME, "end": UTC_TIME, SUPERSEDED_AT: UTC_TIME})
_KEY = ["symbol", "open_time", "ingested_at"]
Doubted = Mapping[str, Sequence[TimeRange]]


def telling(outcomes: Sequence[Outcome], doubted: Doubted, known: Mapping[str, SliceEntry]) -> list[Outcome]:
    """Outcomes but for those of symbols unknown to REST by now: that says nothing of the klines it gave before."""

    def tells(done: Outcome) -> bool:
        before = known.get(done.request.slice_key)
        answered_before = before is not None and before.state in ANSWERED
        return done.answer is None or done.http_status == _HTTP_OK or not (answered_before and _doubts(done, doubted))

    return [done for done in outcomes if tells(done)]


def superseded(rest: pl.DataFrame, outcomes: Sequence[Outcome], fresh: Sieved, doubted: Doubted) -> pl.DataFrame:
    """Rows that the answers to doubts no longer have, or have otherwise."""
    asked = [
        (done.request.symbol, done.request.start, done.request.end, done.answer.completed_at)
        for done in outcomes
        if done.answer is not None and done.http_status == _HTTP_OK and _doubts(done, doubted)
    ]
    return superseded_rows(rest, pl.DataFrame(asked, _ASKED, orient="row"), fresh.kept, fresh.rejected)


def lost(
    outcomes: Sequence[Outcome], known: Mapping[str, SliceEntry], standing: Mapping[str, SliceEntry]
) -> dict[str, datetime]:
    """By symbol, when REST gave anew what slices had given before and the file no longer has."""
    since = dict[str, datetime]()
    for done in outcomes:
        before = known.get(done.request.slice_key)
        if done.answer is None or before is None or before.slice_key in standing or before.completed_at is None:
            continue
        if done.answer.completed_at > before.completed_at:
            since[done.request.symbol] = max(done.answer.completed_at, since.get(done.request.symbol, EPOCH))
    return since


def _doubts(done: Outcome, doubted: Doubted) -> bool:
    """Whether the request asks for a kline in doubt."""
    wanted = done.request
    return any(part.start < wanted.end and wanted.start < part.end for part in doubted.get(wanted.symbol, ()))


def record(lake: Lake, market: Market, paths: DayPaths, rows: pl.DataFrame) -> None:
    """Keep superseded rows, before they leave `rest_klines`; after a kill in between they are superseded once more."""
    if rows.is_empty():
        return
    old = read_table(lake, paths.superseded, superseded_schema(market.schema))
    unique = pl.concat([old, rows]).unique(_KEY, keep="last", maintain_order=True)
    lake.publish(paths.superseded, to_parquet(unique.sort(_KEY)), under=paths)


def leave(lake: Lake, paths: DayPaths, before: pl.DataFrame, after: pl.DataFrame, *, at: datetime) -> None:
    """Rows that leave the table with this merge were known until now, whenever REST said that it no longer has them."""
    known = read_table(lake, paths.superseded, superseded_schema(before.schema))
    if known.is_empty():
        return
    leaving = before.select(_KEY).join(after, on=_KEY, how="anti").with_columns(pl.lit(at, UTC_TIME).alias("left"))
    told = known.join(leaving, on=_KEY, how="left", maintain_order="left")
    latest = pl.max_horizontal(SUPERSEDED_AT, "left").alias(SUPERSEDED_AT)
    lake.publish(paths.superseded, to_parquet(told.with_columns(latest).select(known.columns)), under=paths)
