"""The table as it was known at an instant: what has not changed since is read as it lies, the rest is made again from
the versions and answers the table had then. Only the symbol-days that changed are opened.

What counts is the merge: an archive or an answer taken in by a run that did not merge is not in the table until one
does. Days merged before `ledger/merges` was kept count a version from the instant it was verified. Contract sizes are
those known today. Nothing is decided before a frame is collected, and then a few days at a time.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial

import polars as pl
from polars.io.plugins import register_io_source

from klines_pipeline.domain.errors import DamagedFileError
from klines_pipeline.domain.interval import Interval
from klines_pipeline.klines.contracts import with_quote_volume
from klines_pipeline.klines.ledgers import LOSS_SCHEMA
from klines_pipeline.klines.merge import merge_klines
from klines_pipeline.klines.merges import Known
from klines_pipeline.klines.withdrawals import SUPERSEDED_AT, superseded_schema
from klines_pipeline.query.history import check_known, ledger_of, ledgers_of, market_of, versions_in
from klines_pipeline.query.tables import collect_days, scan_days
from klines_pipeline.stages.kept_archives import KeptArchives
from klines_pipeline.stages.symbols.life_table import known_sizes
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.layout import day_file
from klines_pipeline.storage.tables import stored_days

_TABLE, _REST = "klines", "rest_klines"
_KEY = ["date", "symbol"]
_DAYS_AT_ONCE = 8
"""500 symbols of 1m then take 700 MB at most while they are read."""
_REPLACED_WHILE_READ = 3


@dataclass(frozen=True, slots=True)
class AsOf:
    """Some symbols of a table, at an instant. `schema` is the table's."""

    lake: Lake
    where: tuple[str, str, str]
    symbols: Sequence[str]
    instant: datetime
    schema: pl.Schema

    def scan(self, days: Sequence[date]) -> pl.LazyFrame:
        """Klines of the days in the table's columns, in no order. When collected, DamagedFileError where bytes or
        ledgers needed are gone.
        """
        return register_io_source(partial(self._batches, days), schema=self.schema)

    def _batches(
        self, days: Sequence[date], columns: list[str] | None, wanted: pl.Expr | None, limit: int | None, _: int | None
    ) -> Iterator[pl.DataFrame]:
        """What Polars asks of a source: only these columns, only rows `wanted`, no more than `limit`."""
        for start in range(0, len(days), _DAYS_AT_ONCE):
            rows = self._rows(days[start : start + _DAYS_AT_ONCE], columns or self.schema.names(), wanted)
            if limit is not None:
                rows = rows.head(limit)
                limit -= rows.height
            yield rows
            if limit == 0:
                return

    def _rows(self, days: Sequence[date], columns: Sequence[str], wanted: pl.Expr | None) -> pl.DataFrame:
        """The table is read before the ledgers, which merges write first: what is replaced meanwhile is made again."""
        self._refuse_what_is_lost(days)
        keep = pl.lit(True) if wanted is None else wanted  # noqa: FBT003 - an expression's value
        names = [*dict.fromkeys([*columns, "symbol"])]
        lying = self._collect(lambda: self._scan(_TABLE, days).filter(keep).select("date", *names), days)
        state = self._state(days)
        known = ledgers_of(self.lake, self.where, days, self.symbols)
        superseded = self._superseded(days)
        changed = pl.concat([
            state.filter(pl.col("ingested_at") > self.instant).select(_KEY),
            superseded.select(_KEY),
            known.changed_after(self.instant),
        ]).unique()  # fmt: skip
        if changed.is_empty():
            return lying.select(columns)
        check_known(known, state.join(changed, on=_KEY, how="semi"), self.instant, self._revisions)
        rebuilt = self._rebuilt(changed, known, superseded).filter(keep)
        return pl.concat([lying.join(changed, on=_KEY, how="anti").select(columns), rebuilt.select(columns)])

    def _state(self, days: Sequence[date]) -> pl.DataFrame:
        """Of each symbol-day in the table: the newest row's `ingested_at`, and the `revision` in it."""
        newest = pl.col("ingested_at", "revision").max()
        return self._collect(lambda: self._scan(_TABLE, days).group_by(_KEY).agg(newest), days)

    def _revisions(self, day: date) -> str:
        return self.lake.uri(day_file("ledger/revisions", *self.where, day))

    def _rebuilt(self, changed: pl.DataFrame, known: Known, superseded: pl.DataFrame) -> pl.DataFrame:
        """The symbol-days that changed, merged from what was known at the instant."""
        used = known.in_force(self.instant).join(changed, on=_KEY, how="semi")
        archived = self._archived(known.versions.join(used, on=[*_KEY, "revision"], how="semi"))
        given = pl.concat([self._standing(changed), superseded.select("date", *self.schema.names())])
        answers = known.answers(given, self.instant).select(self.schema.names())
        merged = merge_klines(archived, answers, Interval.parse(self.where[2])).klines
        sizes = known_sizes(self.lake, self.where[:2], self.symbols) if "contracts" in self.schema else {}
        return with_quote_volume(merged, sizes).select(self.schema.names())

    def _archived(self, versions: pl.DataFrame) -> pl.DataFrame:
        if versions.is_empty():
            return self.schema.to_frame()
        market = market_of(self.where)
        try:
            kept = KeptArchives(self.lake, market, Interval.parse(self.where[2]))
            return pl.concat([kept.klines(day[0], versions_in(part)) for day, part in versions.group_by("date")])
        finally:
            market.api.close()

    def _standing(self, changed: pl.DataFrame) -> pl.DataFrame:
        """REST's rows of the symbol-days, whenever they came, with their `date`."""
        held = set(stored_days(self.lake, _REST, *self.where))
        days = sorted(set(changed["date"]) & held)
        rows = self._scan(_REST, days).join(changed.lazy(), on=_KEY, how="semi").select("date", *self.schema.names())
        return collect_days(rows, self.lake, _REST, self.where, days=days, schema=self.schema)

    def _superseded(self, days: Sequence[date]) -> pl.DataFrame:
        """REST's rows that the table had at the instant, and no longer has."""
        rows = ledger_of(self.lake, self.where, "ledger/superseded", superseded_schema(self.schema), days)
        return rows.filter((pl.col(SUPERSEDED_AT) > self.instant) & pl.col("symbol").is_in([*self.symbols]))

    def _refuse_what_is_lost(self, days: Sequence[date]) -> None:
        """DamagedFileError where a ledger was lost that told of the instant."""
        rows = ledger_of(self.lake, self.where, "ledger/losses", LOSS_SCHEMA, days)
        unknown = rows.filter((pl.col("known_since") > self.instant) & pl.col("symbol").is_in([*self.symbols]))
        if not unknown.is_empty():
            first = unknown.sort("known_since").row(-1, named=True)
            raise DamagedFileError(
                f"What was known of {first['symbol']} on {first['date']} at {self.instant} cannot be told: "
                f"{first['table']} lost what it had. Ask as of {first['known_since']} or later, or leave the day out."
            )

    def _scan(self, table: str, days: Sequence[date]) -> pl.LazyFrame:
        rows = scan_days(self.lake, table, *self.where, days=days, schema=self.schema)
        return rows.filter(pl.col("symbol").is_in([*self.symbols]))

    def _collect(self, frame: Callable[[], pl.LazyFrame], days: Sequence[date]) -> pl.DataFrame:
        """Polars opens a file twice; one that was replaced in between is read again."""
        for _ in range(_REPLACED_WHILE_READ):
            try:
                return collect_days(frame(), self.lake, _TABLE, self.where, days=days, schema=self.schema)
            except (pl.exceptions.ComputeError, pl.exceptions.PanicException):
                continue
        return collect_days(frame(), self.lake, _TABLE, self.where, days=days, schema=self.schema)
