"""Pictures in a run's metadata: on its last good day alone, since they are too big for every day's event.

Without the extra `charts` there are none; failing to draw never fails a day.
"""

import logging
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Any

import dagster as dg
import polars as pl

from klines_pipeline.defs.assets.reporting import DayReport
from klines_pipeline.defs.keys import asset_key
from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.errors import KlinesError
from klines_pipeline.domain.utc_day import parse_day
from klines_pipeline.stages.ingest import Stage
from klines_pipeline.storage.lake import Lake

LOG = logging.getLogger(__name__)


def with_pictures(days: Iterable[DayReport], lake: Lake, dataset: Dataset) -> Iterator[DayReport]:
    """The days in their order; the table's metadata of the last one it is good of gets the pictures. That one and those
    behind it come when the next good one is known, also where the days are cut short.
    """
    table, held = asset_key(dataset, Stage.KLINES), list[DayReport]()
    try:
        for day in days:
            if _is_good(day, table):
                yield from held
                held = [day]
            else:
                held.append(day)
    except GeneratorExit:  # nobody takes any more
        raise
    except BaseException:
        yield from held
        raise
    if held and _is_good(held[0], table):
        last = held[0]
        drawn = pictures_of(lake, dataset, parse_day(last.partition))
        held[0] = last._replace(metadata={**last.metadata, table: {**last.metadata[table], **drawn}})
    yield from held


def _is_good(day: DayReport, table: dg.AssetKey) -> bool:
    return table in day.metadata and table not in day.failures


def pictures_of(lake: Lake, dataset: Dataset, last: date) -> Mapping[str, Any]:
    """`heat_map` and `candlestick` as Markdown, as far as they could be drawn."""
    try:
        from klines_pipeline.query import pictures
    except ImportError:
        return {}
    try:
        drawn = {
            "heat_map": pictures.heat_map(lake, dataset, last),
            "candlestick": pictures.candlestick(lake, dataset, last),
        }
    except (KlinesError, OSError, ValueError, RuntimeError, pl.exceptions.PolarsError):
        LOG.warning("%s: no pictures of %s could be drawn", dataset, last, exc_info=True)
        return {}
    return {name: _markdown(*picture) for name, picture in drawn.items() if picture}


def _markdown(caption: str, png: bytes) -> dg.MarkdownMetadataValue:
    return dg.MetadataValue.md(f"{caption}\n\n![{caption}](data:image/png;base64,{b64encode(png).decode()})")
