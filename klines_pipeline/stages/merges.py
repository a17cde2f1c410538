"""Writes down, before a table is published, which versions of archives come into it: what `as_of` reads.

The instant is the exchange's, the latest heard of for the day: a merge that asks the exchange nothing has no other.
"""

from datetime import datetime
from typing import Protocol

from klines_pipeline.klines.ledgers import MERGE_SCHEMA
from klines_pipeline.klines.merges import Change, with_merge
from klines_pipeline.stages.funding.results import ArchivedFunding, ToppedUpFunding
from klines_pipeline.stages.results import ArchivedDay, ToppedUpDay
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.layout import Lockable
from klines_pipeline.storage.tables import read_table, to_parquet


class MergePaths(Lockable, Protocol):
    """Files of a day, of klines or of funding."""

    @property
    def merges(self) -> str:
        """The ledger of merges."""

    @property
    def certificates(self) -> str:
        """There once the day has been merged."""


def record(
    lake: Lake,
    paths: MergePaths,
    change: Change,
    archived: ArchivedDay | ArchivedFunding,
    topped_up: ToppedUpDay | ToppedUpFunding,
) -> None:
    """Note what the change brings; answers given before the run began are told of as late."""
    known = read_table(lake, paths.merges, MERGE_SCHEMA)
    if change.before.is_empty():
        change = change._replace(is_lost=not known.is_empty() or lake.size(paths.certificates) is not None)
    ledger = with_merge(known, change, began=archived.now, at=_last_heard(archived, topped_up))
    if ledger is not known:
        lake.publish(paths.merges, to_parquet(ledger), under=paths)


def _last_heard(archived: ArchivedDay | ArchivedFunding, topped_up: ToppedUpDay | ToppedUpFunding) -> datetime:
    """The latest instant in what a merge is made from."""
    fetched = [entry.fetched_at for entry in archived.entries.values() if entry.fetched_at]
    answered: list[datetime] = topped_up.rows["ingested_at"].sort().tail(1).to_list()
    return max([topped_up.now, *fetched, *answered])
