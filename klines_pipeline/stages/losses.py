"""What was lost of a day's ledgers and cannot be told again: since when it is known again, noted and said."""

import logging
from collections.abc import Mapping
from datetime import datetime

import polars as pl

from klines_pipeline.domain.phrases import some_of
from klines_pipeline.klines.ledgers import LOSS_SCHEMA
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.layout import DayPaths
from klines_pipeline.storage.tables import read_table, to_parquet

_NAMED = 5
LOG = logging.getLogger(__name__)


def record(lake: Lake, paths: DayPaths, table: str, since: Mapping[str, datetime]) -> None:
    """Note, and say, that a table's past is not known before an instant, by symbol."""
    if not since:
        return
    names, first = sorted(since), min(since)
    words = "%s: rows were lost; of %s it is not known what was known before %s: as_of refuses such instants."
    LOG.warning(words, lake.uri(getattr(paths, table)), some_of(names, _NAMED), since[first])
    rows = {"symbol": names, "table": [table] * len(names), "known_since": [since[name] for name in names]}
    both = pl.concat([read_table(lake, paths.losses, LOSS_SCHEMA), pl.DataFrame(rows, LOSS_SCHEMA)])
    latest = both.sort("symbol", "table", "known_since").unique(["symbol", "table"], keep="last", maintain_order=True)
    lake.publish(paths.losses, to_parquet(latest), under=paths)


def noted(lake: Lake, paths: DayPaths, table: str) -> set[str]:
    """Symbols whose loss in a table stands in the ledger."""
    return set(read_table(lake, paths.losses, LOSS_SCHEMA).filter(pl.col("table") == table)["symbol"])
