"""What the ledgers tell of the past of a table: versions of archives seen, and when which was merged."""

from collections.abc import Callable, Sequence
from datetime import date, datetime

import polars as pl

from klines_pipeline.domain.errors import DamagedFileError
from klines_pipeline.exchanges.protocols import Market
from klines_pipeline.exchanges.registry import connect, words_of
from klines_pipeline.klines.ledgers import MERGE_SCHEMA, QUARANTINE_SCHEMA, REVISION_SCHEMA
from klines_pipeline.klines.merges import Known
from klines_pipeline.query.tables import collect_days, scan_days
from klines_pipeline.stages.kept_archives import Version
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.tables import stored_days

_REVISIONS, _QUARANTINE, _MERGES = "ledger/revisions", "ledger/quarantine", "ledger/merges"
_KEY = ["date", "symbol"]
VERSION = pl.Schema({name: dtype for name, dtype in REVISION_SCHEMA.items() if name != "date"})
"""The ledger's columns but for the date, which the files' folders tell too."""


def market_of(where: Sequence[str]) -> Market:
    """The market whose archives are to be opened; it is asked nothing, and closed by the caller."""
    exchange, market = where[:2]
    words_of(exchange, market)
    return connect(exchange, market, {})


def versions_in(rows: pl.DataFrame) -> list[Version]:
    """Rows of the revisions ledger as versions."""
    return [Version(*row) for row in rows.select(Version._fields).iter_rows()]


def ledgers_of(lake: Lake, where: tuple[str, str, str], days: Sequence[date], symbols: Sequence[str]) -> Known:
    """Merges and versions of these days; DamagedFileError where a ledger cannot be read."""
    merges = ledger_of(lake, where, _MERGES, MERGE_SCHEMA, days).filter(pl.col("symbol").is_in([*symbols]))
    return Known(merges, versions_of(lake, where, days, symbols))


def versions_of(
    lake: Lake, where: tuple[str, str, str], days: Sequence[date], symbols: Sequence[str] = ()
) -> pl.DataFrame:
    """The revisions ledger of these days with their `date`, and `verified_at`: null for a version that never was."""
    seen = ledger_of(lake, where, _REVISIONS, VERSION, days)
    late = ledger_of(lake, where, _QUARANTINE, QUARANTINE_SCHEMA, days)
    return verified(seen.filter(pl.col("symbol").is_in([*symbols])) if symbols else seen, late)


def verified(seen: pl.DataFrame, late: pl.DataFrame) -> pl.DataFrame:
    """Versions with `verified_at`; `late`: the ledger of those that were not verified when they were seen."""
    held = late.select(*_KEY, "revision", "sha256", pl.col("verified_at").alias("late"), pl.lit(1).alias("held"))
    joined = seen.join(held, on=[*_KEY, "revision", "sha256"], how="left", maintain_order="left")
    verified_at = pl.when(pl.col("held").is_null()).then("seen_at").otherwise("late").alias("verified_at")
    return joined.select(*_KEY, *VERSION.names()[1:], verified_at)


def check_known(known: Known, state: pl.DataFrame, instant: datetime, ledger: Callable[[date], str]) -> None:
    """DamagedFileError unless the versions of then are in the ledger, whose address is given by day. `state`: see
    `Known.lost`.
    """
    for day, symbol, revision in known.lost(state, instant).iter_rows():
        raise DamagedFileError(
            f"{ledger(day)} does not know every version of {symbol} up to revision {revision}, which the table has. "
            "Restore it from a backup if you have one, else materialize the day again: what can be told again is."
        )


def ledger_of(
    lake: Lake, where: tuple[str, str, str], table: str, schema: pl.Schema, days: Sequence[date]
) -> pl.DataFrame:
    """A ledger's rows of the days that have one, with their `date`."""
    held = sorted(set(days) & set(stored_days(lake, table, *where)))
    rows = scan_days(lake, table, *where, days=held, schema=schema)
    return collect_days(rows, lake, table, where, days=held, schema=schema)
