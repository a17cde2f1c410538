"""The table as it was known at an instant: what has not changed since is read as it lies, the rest is made again from
the versions and answers the lake had then. Only the symbol-days that changed are opened.

A version counts from the instant it was verified. One that never was does not count: where `cross_check` let it stand
in, REST had the very same klines, and they are told as REST's. Contract sizes are those known today.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import polars as pl

from klines_pipeline.domain.errors import DamagedFileError
from klines_pipeline.domain.interval import Interval
from klines_pipeline.exchanges.protocols import Market
from klines_pipeline.exchanges.registry import connect, words_of
from klines_pipeline.klines.contracts import with_quote_volume
from klines_pipeline.klines.ledgers import LOSS_SCHEMA, QUARANTINE_SCHEMA, REVISION_SCHEMA
from klines_pipeline.klines.merge import merge_klines
from klines_pipeline.klines.withdrawals import SUPERSEDED_AT, superseded_schema
from klines_pipeline.query.tables import collect_days, scan_days
from klines_pipeline.stages.kept_archives import KeptArchives, Version
from klines_pipeline.stages.symbols.life_table import known_sizes
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.layout import day_file
from klines_pipeline.storage.tables import stored_days

_TABLE, _REST = "klines", "rest_klines"
_REVISIONS, _QUARANTINE, _SUPERSEDED = "ledger/revisions", "ledger/quarantine", "ledger/superseded"
_LOSSES = "ledger/losses"
_KEY = ["date", "symbol"]
_VERSION = pl.Schema({name: dtype for name, dtype in REVISION_SCHEMA.items() if name != "date"})
"""The ledger's columns but for the date, which the files' folders tell too."""


@dataclass(frozen=True, slots=True)
class AsOf:
    """Some symbols of a table, at an instant. `schema` is the table's."""

    lake: Lake
    where: tuple[str, str, str]
    symbols: Sequence[str]
    instant: datetime
    schema: pl.Schema

    def rows(self, days: Sequence[date]) -> pl.LazyFrame:
        """Klines of the days in the table's columns, in no order. DamagedFileError where bytes needed are gone."""
        self._refuse_what_is_lost(days)
        versions = versions_of(self.lake, self.where, days, self.symbols)
        changed = self._changed(days, versions)
        if changed.is_empty():
            return self._scan(_TABLE, days)
        touched = set(changed["date"])
        as_they_lie = self._scan(_TABLE, [day for day in days if day not in touched])
        others = self._scan(_TABLE, sorted(touched)).join(changed.lazy(), on=_KEY, how="anti")
        names = self.schema.names()
        return pl.concat([as_they_lie.select(names), others.select(names), self._rebuilt(changed, versions).lazy()])

    def _refuse_what_is_lost(self, days: Sequence[date]) -> None:
        """DamagedFileError where a ledger was lost that told of the instant."""
        rows = _ledger(self.lake, self.where, _LOSSES, LOSS_SCHEMA, days)
        unknown = rows.filter((pl.col("known_since") > self.instant) & pl.col("symbol").is_in([*self.symbols]))
        if not unknown.is_empty():
            first = unknown.sort("known_since").row(-1, named=True)
            raise DamagedFileError(
                f"What was known of {first['symbol']} on {first['date']} at {self.instant} cannot be told: "
                f"{first['table']} lost what it had. Ask as of {first['known_since']} or later, or leave the day out."
            )

    def _refuse_what_no_ledger_tells(self, lying: pl.DataFrame, versions: pl.DataFrame) -> None:
        """DamagedFileError where the table has rows of a version that the revisions ledger does not know."""
        untold = lying.filter(pl.col("revision") > 0).join(versions, on=[*_KEY, "revision"], how="anti")
        for day, symbol, number in untold.select(*_KEY, "revision").sort(_KEY).head(1).iter_rows():
            path = self.lake.uri(day_file(_REVISIONS, *self.where, day))
            raise DamagedFileError(
                f"{path} does not know revision {number} of {symbol}, which the table has. Restore it from a backup if "
                "you have one, else materialize the day again: what can be told again is."
            )

    def _changed(self, days: Sequence[date], versions: pl.DataFrame) -> pl.DataFrame:
        """Symbol-days of which anything came after the instant."""
        newest = self._scan(_TABLE, days).group_by(_KEY).agg(pl.col("ingested_at", "revision").max())
        lying = collect_days(newest, self.lake, _TABLE, self.where, days=days, schema=self.schema)
        self._refuse_what_no_ledger_tells(lying, versions)
        parts = [
            lying.filter(pl.col("ingested_at") > self.instant).select(_KEY),
            versions.filter(pl.col("verified_at") > self.instant).select(_KEY),
            self._superseded(days).select(_KEY),
        ]
        return pl.concat(parts).unique()

    def _rebuilt(self, changed: pl.DataFrame, versions: pl.DataFrame) -> pl.DataFrame:
        """The symbol-days that changed, merged from what was known at the instant."""
        known = versions.join(changed, on=_KEY, how="semi").filter(pl.col("verified_at") <= self.instant)
        latest = known.sort("revision").unique(_KEY, keep="last", maintain_order=True)
        archived, rest = self._archived(latest), self._rest(changed)
        merged = merge_klines(archived, rest, Interval.parse(self.where[2])).klines
        sizes = known_sizes(self.lake, self.where[:2], self.symbols) if "contracts" in self.schema else {}
        return with_quote_volume(merged, sizes).select(self.schema.names())

    def _archived(self, latest: pl.DataFrame) -> pl.DataFrame:
        if latest.is_empty():
            return self.schema.to_frame()
        market = market_of(self.where)
        try:
            kept = KeptArchives(self.lake, market, Interval.parse(self.where[2]))
            parts = [kept.klines(day[0], versions_in(part)) for day, part in latest.group_by("date")]
        finally:
            market.api.close()
        return pl.concat(parts)

    def _rest(self, changed: pl.DataFrame) -> pl.DataFrame:
        held = set(stored_days(self.lake, _REST, *self.where))
        days = sorted(set(changed["date"]) & held)
        rows = self._scan(_REST, days).filter(pl.col("ingested_at") <= self.instant)
        known = rows.join(changed.lazy(), on=_KEY, how="semi").select(self.schema.names())
        standing = collect_days(known, self.lake, _REST, self.where, days=days, schema=self.schema)
        withdrawn = self._superseded(changed["date"].to_list()).filter(pl.col("ingested_at") <= self.instant)
        return pl.concat([standing, withdrawn.join(changed, on=_KEY, how="semi").select(self.schema.names())])

    def _superseded(self, days: Sequence[date]) -> pl.DataFrame:
        """REST's rows that it had at the instant, and no longer has."""
        rows = _ledger(self.lake, self.where, _SUPERSEDED, superseded_schema(self.schema), days)
        return rows.filter((pl.col(SUPERSEDED_AT) > self.instant) & pl.col("symbol").is_in([*self.symbols]))

    def _scan(self, table: str, days: Sequence[date]) -> pl.LazyFrame:
        rows = scan_days(self.lake, table, *self.where, days=days, schema=self.schema)
        return rows.filter(pl.col("symbol").is_in([*self.symbols]))


def market_of(where: tuple[str, str, str]) -> Market:
    """The market whose archives are to be opened; it is asked nothing, and closed by the caller."""
    words_of(*where[:2])
    return connect(*where[:2], {})


def versions_in(rows: pl.DataFrame) -> list[Version]:
    """Rows of the revisions ledger as versions."""
    return [Version(*row) for row in rows.select(Version._fields).iter_rows()]


def versions_of(
    lake: Lake, where: tuple[str, str, str], days: Sequence[date], symbols: Sequence[str] = ()
) -> pl.DataFrame:
    """The revisions ledger of these days with their `date`, and `verified_at`: null for a version that never was."""
    seen = _ledger(lake, where, _REVISIONS, _VERSION, days)
    late = _ledger(lake, where, _QUARANTINE, QUARANTINE_SCHEMA, days)
    held = late.select(*_KEY, "revision", "sha256", pl.col("verified_at").alias("late"), pl.lit(1).alias("held"))
    joined = seen.join(held, on=[*_KEY, "revision", "sha256"], how="left")
    verified = pl.when(pl.col("held").is_null()).then("seen_at").otherwise("late").alias("verified_at")
    wanted = pl.col("symbol").is_in([*symbols]) if symbols else pl.lit(True)  # noqa: FBT003 - an expression's value
    return joined.filter(wanted).select(*_KEY, *_VERSION.names()[1:], verified)


def _ledger(
    lake: Lake, where: tuple[str, str, str], table: str, schema: pl.Schema, days: Sequence[date]
) -> pl.DataFrame:
    held = sorted(set(days) & set(stored_days(lake, table, *where)))
    rows = scan_days(lake, table, *where, days=held, schema=schema)
    return collect_days(rows, lake, table, where, days=held, schema=schema)
