"""The folder a whole table lies in, for people who want to look at it; when files of one name in a folder were written.
The files of a table stand in `layout`."""

from datetime import UTC, datetime
from pathlib import PurePosixPath

from klines_pipeline.storage.funding_layout import funding_folder
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.layout import MIRROR, SymbolsPaths, table_folder


def folder_of(exchange: str, market: str, table: str, interval: str | None) -> str:
    """Relative to the lake's root; `interval` is None for tables that have none: funding and symbols."""
    if table.startswith("vision_"):
        return MIRROR
    if table == "symbols":
        return str(PurePosixPath(SymbolsPaths(exchange, market).symbols).parent)
    if interval is None:
        return funding_folder(table, exchange, market)
    return table_folder(table, exchange, market, interval)


def written(lake: Lake, start: str) -> list[tuple[str, datetime]]:
    """Paths that begin with `start`, in its folder, and when each was written by the place's own clock (UTC)."""
    folder = start.rpartition("/")[0]
    try:
        found = lake.fs.ls(f"{lake.base}/{folder}", detail=False)
    except FileNotFoundError:
        return []
    names = sorted(f"{folder}/{name.rpartition('/')[2]}" for name in found)
    chosen = [name for name in names if name.startswith(start)]
    return [(name, lake.fs.modified(f"{lake.base}/{name}").astimezone(UTC)) for name in chosen]
