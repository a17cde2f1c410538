"""Files together with what they are as bytes: their metadata, their digest. Each is read once.

Rows alone are read in `tables`; what the metadata of a certificates' file mean is known to `stages.seal`.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from hashlib import sha256
from typing import NamedTuple

import polars as pl

from klines_pipeline.domain.errors import DamagedFileError
from klines_pipeline.klines.schema import KLINE_SCHEMA, schema_like
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.tables import decode, metadata_of, read_many

_READERS = 16


def read_digested(lake: Lake, path: str) -> tuple[pl.DataFrame, str | None]:
    """As `read_klines`, and the file's SHA-256 in hex; None where there is no file."""
    content = lake.read(path)
    if content is None:
        return KLINE_SCHEMA.to_frame(), None
    return decode(lake, path, content, schema_like), sha256(content).hexdigest()


def read_described(lake: Lake, path: str, schema: pl.Schema) -> tuple[pl.DataFrame, dict[str, str] | None]:
    """As `read_table`, and the file's metadata; None where there is no file."""
    content = lake.read(path)
    if content is None:
        return schema.to_frame(), None
    return decode(lake, path, content, lambda _: schema), metadata_of(content)


class Described(NamedTuple):
    """Many days' files with the `date` of each, their metadata by day, and what is wrong with those that cannot be
    read."""

    rows: pl.DataFrame
    metadata: Mapping[date, Mapping[str, str]]
    damaged: Mapping[date, DamagedFileError]


def describe_many(lake: Lake, paths: Mapping[date, str], schema: pl.Schema) -> Described:
    """Whole files by day, some at a time, each read once. One that is gone has no rows."""

    def read(path: str) -> tuple[pl.DataFrame, dict[str, str] | None] | DamagedFileError:
        try:
            return read_described(lake, path, schema)
        except DamagedFileError as error:
            return error

    with ThreadPoolExecutor(_READERS, "describe") as pool:
        found = dict(zip(paths, pool.map(read, paths.values()), strict=True))
    damaged = {day: told for day, told in found.items() if isinstance(told, DamagedFileError)}
    legible = {day: told for day, told in found.items() if not isinstance(told, DamagedFileError)}
    dated = [rows.select(pl.lit(day).alias("date"), *schema.names()) for day, (rows, _) in legible.items()]
    rows = pl.concat([read_many(lake, [], schema), *dated])
    return Described(rows, {day: metadata or {} for day, (_, metadata) in legible.items()}, damaged)
