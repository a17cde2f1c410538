"""Since when a table has which version of an archive: the ledger that each merge writes on, of klines and of funding.

Answers of REST are not listed one by one: they are in the table from the instant they were given, unless a row says
that they came into it later.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import polars as pl

from klines_pipeline.klines.ledgers import MERGE_SCHEMA
from klines_pipeline.klines.schema import REST, VISION

_DAY = ["date", "symbol"]


class Change(NamedTuple):
    """A merge: the table's rows before and after it, of the symbols it was of, and all that REST has given of them.

    `key` names the columns by which an archive's row and REST's are the same. Where there was no table, `is_lost` says
    whether the day had been merged nevertheless.
    """

    before: pl.DataFrame
    after: pl.DataFrame
    rest: pl.DataFrame
    key: Sequence[str]
    is_lost: bool = False


def with_merge(ledger: pl.DataFrame, change: Change, *, began: datetime, at: datetime) -> pl.DataFrame:
    """The ledger after the merge, in MERGE_SCHEMA: a row more for each symbol with another version, or with answers
    given before the run `began`.

    A row whose table was never published, since the run was killed in between, is replaced.
    """
    held, used = _versions(change.before, "held"), _versions(change.after, "revision")
    if change.before.is_empty():
        held = ledger.group_by("symbol", maintain_order=True).last().select("symbol", pl.col("revision").alias("held"))
    fresh = change.rest.clear() if change.is_lost else _fresh(change)
    answers = fresh.group_by("symbol").agg(pl.col("ingested_at").min().alias("answers_since"))
    symbols = pl.concat([change.after["symbol"], change.before["symbol"]]).unique().to_frame()
    told = symbols.join(held, on="symbol", how="left").join(used, on="symbol", how="left")
    told = told.join(answers, on="symbol", how="left").with_columns(pl.col("held", "revision").fill_null(0))
    is_other = pl.col("held") != pl.col("revision")
    new = told.filter(is_other | (pl.col("answers_since") < began).fill_null(value=False)).sort("symbol")
    if new.is_empty():
        return ledger
    instant = max([at, *ledger["merged_at"].drop_nulls()])
    rows = new.with_columns(pl.lit(instant, MERGE_SCHEMA["merged_at"]).alias("merged_at")).select(MERGE_SCHEMA.names())
    return pl.concat([_without_unpublished(ledger, told), _already_there(ledger, new), rows])


def _fresh(change: Change) -> pl.DataFrame:
    """REST's rows that neither stand in the table nor hide behind an archive's."""
    lying = change.before.select(*change.key, "source", pl.col("ingested_at").alias("then"))
    both = change.rest.join(lying, on=list(change.key), how="left", suffix="_then")
    is_other = (pl.col("source_then") == REST) & (pl.col("then") != pl.col("ingested_at"))
    return both.filter(pl.col("source_then").is_null() | is_other)


def _versions(table: pl.DataFrame, name: str) -> pl.DataFrame:
    archived = table.filter(pl.col("source") == VISION)
    return archived.group_by("symbol").agg(pl.col("revision").max().alias(name))


def _without_unpublished(ledger: pl.DataFrame, told: pl.DataFrame) -> pl.DataFrame:
    """All rows but a symbol's last one that speaks of another version than its table had."""
    held = ledger.join(told.select("symbol", "held"), on="symbol", how="left", maintain_order="left")
    is_last = pl.int_range(pl.len()).over("symbol") == pl.len().over("symbol") - 1
    unpublished = is_last & (pl.col("held") != pl.col("revision")).fill_null(value=False)
    return held.filter(~unpublished).select(MERGE_SCHEMA.names())


def _already_there(ledger: pl.DataFrame, new: pl.DataFrame) -> pl.DataFrame:
    """Versions the table has and the ledger does not know of."""
    unknown = new.join(ledger, on="symbol", how="anti").filter(pl.col("held") > 0)
    nothing = pl.lit(None, MERGE_SCHEMA["merged_at"])
    return unknown.select(
        "symbol", pl.col("held").alias("revision"), nothing.alias("merged_at"), nothing.alias("answers_since")
    )


# ---- reading


class Known(NamedTuple):
    """Ledgers of some days with their `date`: of merges, and of versions with their `verified_at`."""

    merges: pl.DataFrame
    versions: pl.DataFrame

    def changed_after(self, instant: datetime) -> pl.DataFrame:
        """(date, symbol) whose table may have another version since."""
        later = [
            self.merges.filter(pl.col("merged_at") > instant),
            self.versions.filter(pl.col("verified_at") > instant),
        ]
        return pl.concat([rows.select(_DAY) for rows in later]).unique()

    def in_force(self, instant: datetime) -> pl.DataFrame:
        """(date, symbol, revision) of the versions the table had then.

        Of a day merged before its merges were listed: the last one verified by then.
        """
        told = self.merges.filter(pl.col("merged_at") <= instant).group_by(_DAY, maintain_order=True).last()
        listed = self.merges.group_by(_DAY).agg(pl.col("merged_at").is_not_null().all().alias("whole"))
        untold = self.versions.join(listed.filter("whole"), on=_DAY, how="anti").join(told, on=_DAY, how="anti")
        verified = untold.filter(pl.col("verified_at") <= instant).group_by(_DAY).agg(pl.col("revision").max())
        used = told.filter(pl.col("revision") > 0).select(*_DAY, "revision")
        return pl.concat([used, verified.select(used.columns)])

    def lost(self, state: pl.DataFrame, instant: datetime) -> pl.DataFrame:
        """(date, symbol, revision) of which a version in force then, or one before the table's, is not in the ledger.

        `state` tells the `revision` and the newest `ingested_at` the table has of each symbol-day.
        """
        used = self.in_force(instant).join(state, on=_DAY, how="semi")
        unnamed = used.join(self.versions, on=[*_DAY, "revision"], how="anti")
        missing = state.join(unnamed, on=_DAY, how="semi")
        named = self.versions.join(state.select(*_DAY, pl.col("revision").alias("now")), on=_DAY)
        older = named.filter(pl.col("revision") < pl.col("now")).group_by(_DAY).agg(pl.len().alias("older"))
        unlisted = state.join(self.merges, on=_DAY, how="anti").filter(pl.col("ingested_at") > instant)
        counted = unlisted.join(older, on=_DAY, how="left").with_columns(pl.col("older").fill_null(0))
        guessed = counted.filter(pl.col("older") < pl.col("revision") - 1)
        return pl.concat([part.select(*_DAY, "revision") for part in (missing, guessed)]).sort(_DAY)

    def answers(self, rest: pl.DataFrame, instant: datetime) -> pl.DataFrame:
        """What of REST's rows, with their `date`, the table had or would have had without an archive."""
        later = self.merges.filter(pl.col("merged_at") > instant).group_by(_DAY).agg(pl.col("answers_since").min())
        told = rest.filter(pl.col("ingested_at") <= instant).join(later, on=_DAY, how="left", maintain_order="left")
        in_time = (pl.col("ingested_at") < pl.col("answers_since")).fill_null(value=True)
        return told.filter(in_time).drop("answers_since")
