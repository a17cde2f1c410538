"""The funding table as it was at an instant: symbol-days that changed since are made again, as those of klines are."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import polars as pl

from klines_pipeline.funding.merge import merge_funding
from klines_pipeline.funding.months import month_of
from klines_pipeline.funding.schema import FUNDING_SCHEMA, VISION, with_provenance
from klines_pipeline.klines.merges import Known
from klines_pipeline.query.funding_history import REVISIONS, funding_ledgers, settlements
from klines_pipeline.query.funding_tables import TABLE, read_funding
from klines_pipeline.query.history import check_known, market_of, versions_in
from klines_pipeline.storage.funding_layout import funding_file
from klines_pipeline.storage.lake import Lake

_REST = "rest_funding"
_KEY = ["date", "symbol"]


@dataclass(frozen=True, slots=True)
class FundingAsOf:
    """Some symbols of a market's funding, at an instant."""

    lake: Lake
    venue: tuple[str, str]
    symbols: Sequence[str]
    instant: datetime

    def rows(self, days: Sequence[date]) -> pl.DataFrame:
        """Settlements of the days in FUNDING_SCHEMA, in no order; DamagedFileError where what is needed is gone.

        The table is read before the ledgers, which merges write first.
        """
        lying, rest = self._read(TABLE, days), self._read(_REST, days)
        state = lying.group_by(_KEY).agg(pl.col("ingested_at", "revision").max())
        known = funding_ledgers(self.lake, self.venue, days, self.symbols)
        newer = [rows.filter(pl.col("ingested_at") > self.instant).select(_KEY) for rows in (state, rest)]
        changed = pl.concat([*newer, known.changed_after(self.instant)]).unique()
        check_known(known, state.join(changed, on=_KEY, how="semi"), self.instant, self._revisions)
        answers = known.answers(rest.join(changed, on=_KEY, how="semi"), self.instant)
        rebuilt = merge_funding(self._archived(changed, known), answers.select(FUNDING_SCHEMA.names())).table
        return pl.concat([lying.join(changed, on=_KEY, how="anti").select(rebuilt.columns), rebuilt])

    def _archived(self, changed: pl.DataFrame, known: Known) -> pl.DataFrame:
        """Settlements of the changed days out of the versions in force; each version is opened once."""
        used = known.in_force(self.instant).join(changed, on=_KEY, how="semi")
        versions = known.versions.join(used, on=[*_KEY, "revision"], how="semi")
        parts, market = [FUNDING_SCHEMA.to_frame()], market_of(self.venue)
        try:
            archive = market.funding.archive if market.funding else None
            for _, days in versions.group_by("key", "revision"):
                version, month = versions_in(days)[0], month_of(days["date"][0])
                rows = settlements(self.lake, archive, month, version)
                inside = rows.filter(pl.col("funding_time").dt.date().is_in(days["date"].to_list()))
                parts.append(with_provenance(inside, VISION, pl.lit(version.revision), pl.lit(version.seen_at)))
        finally:
            market.api.close()
        return pl.concat(parts)

    def _read(self, table: str, days: Sequence[date]) -> pl.DataFrame:
        rows = read_funding(self.lake, table, *self.venue, days, FUNDING_SCHEMA, dated=True)
        return rows.filter(pl.col("symbol").is_in([*self.symbols]))

    def _revisions(self, day: date) -> str:
        return self.lake.uri(funding_file(REVISIONS, *self.venue, month_of(day)))
