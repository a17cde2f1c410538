"""The folder a whole table lies in, for people who want to look at it. The files in it stand in `layout`."""

from pathlib import PurePosixPath

from klines_pipeline.storage.funding_layout import funding_folder
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
