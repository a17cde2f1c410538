"""What the ledgers tell of the past of a funding table: versions of a month's archives, and when a day was merged with
which; settlements of any version kept.
"""

from collections.abc import Sequence
from datetime import date

import polars as pl

from klines_pipeline.exchanges.funding import FundingArchive
from klines_pipeline.funding.months import month_of
from klines_pipeline.funding.schema import SETTLEMENT_SCHEMA
from klines_pipeline.klines.ledgers import MERGE_SCHEMA, QUARANTINE_SCHEMA, REVISION_SCHEMA
from klines_pipeline.klines.merges import Known
from klines_pipeline.query.funding_tables import read_funding
from klines_pipeline.query.history import verified
from klines_pipeline.stages.kept_archives import Version, bytes_of
from klines_pipeline.storage.lake import Lake

REVISIONS = "ledger/funding_revisions"


def settlements(lake: Lake, archive: FundingArchive | None, month: date, version: Version) -> pl.DataFrame:
    """The month's, in SETTLEMENT_SCHEMA, as this version has them; DamagedFileError where its bytes are gone."""
    if archive is None:
        return SETTLEMENT_SCHEMA.to_frame()
    return archive.parse(version.symbol, archive.open(bytes_of(lake, version), version.key), month).rows


def funding_ledgers(lake: Lake, venue: tuple[str, str], days: Sequence[date], symbols: Sequence[str]) -> Known:
    """Merges of the days, and the versions of their months, told of each day."""
    merges = _ledger(lake, "ledger/funding_merges", venue, days, MERGE_SCHEMA)
    versions = month_versions(lake, venue, sorted({month_of(day) for day in days}), symbols)
    by_day = pl.DataFrame({"day": days}, {"day": pl.Date}).with_columns(pl.col("day").dt.month_start().alias("date"))
    dated = by_day.join(versions, on="date").drop("date").rename({"day": "date"})
    return Known(merges.filter(pl.col("symbol").is_in([*symbols])), dated)


def month_versions(
    lake: Lake, venue: tuple[str, str], months: Sequence[date], symbols: Sequence[str] = ()
) -> pl.DataFrame:
    """The revisions ledger of these months, their first day as `date`, and `verified_at`, as `versions_of` klines."""
    seen = _ledger(lake, REVISIONS, venue, months, REVISION_SCHEMA)
    late = _ledger(lake, "ledger/funding_quarantine", venue, months, QUARANTINE_SCHEMA)
    return verified(seen.filter(pl.col("symbol").is_in([*symbols])) if symbols else seen, late)


def _ledger(lake: Lake, table: str, venue: tuple[str, str], days: Sequence[date], schema: pl.Schema) -> pl.DataFrame:
    columns = pl.Schema({name: dtype for name, dtype in schema.items() if name != "date"})
    return read_funding(lake, table, *venue, days, columns, dated=True)
