"""Frames as Parquet in the lake: the kline table in row groups of whole symbols, ledgers as small files.

Bytes are deterministic: the same frame and metadata give the same file.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from io import BytesIO

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from klines_pipeline.domain.errors import DamagedFileError
from klines_pipeline.klines.ledgers import ADDED_LATER
from klines_pipeline.klines.schema import KLINE_SCHEMA, schema_like
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.layout import DAY_OF_FILE, PART, day_of, table_folder

_ROWS_PER_GROUP = 28_800
"""At most, unless one symbol has more: larger groups cost a reader of one symbol up to 4 x."""
ILLEGIBLE = (pl.exceptions.PolarsError, pl.exceptions.PanicException)
"""What Polars raises at damaged bytes; of 3,000 flipped bits 38 made it panic, which is no Exception."""
_FILES_PER_SCAN = 512
"""Of so many files, one that is damaged or gone lets the others be read one by one: in S3 that costs 4 x the CPU."""
_READERS = 16
_FILE = "__file"
_LOST_WITH = {
    "ledger/revisions": "when each version of an archive was seen, but for the one in use",
    "ledger/quarantine": "since when archives that came without a valid checksum are verified",
    "ledger/merges": "since when the table has which version, but for when each was verified",
    "ledger/funding_revisions": "when each version of an archive was seen",
    "ledger/funding_quarantine": "since when archives that came without a valid checksum are verified",
    "ledger/funding_merges": "since when the table has which version, but for when each was verified",
    "ledger/superseded": "klines that REST once gave and the exchange has withdrawn since",
    "ledger/losses": "what is known to be unknown of the past",
    "ledger/slices": "when REST was asked, and what it answered then",
    "rest_klines": "what REST gave and when: it is asked again, and may say something else today",
}
"""By table, what no other file tells."""
_REPEATING = ["symbol", "source", "revision", "ingested_at"]
"""Columns worth a dictionary. Spot prices are not: BTCUSDT 1m takes 49.9 B a row with one, 45.2 without."""


def klines_to_parquet(frame: pl.DataFrame, metadata: Mapping[str, str]) -> bytes:
    """The table's file: zstd-3, whole symbols in a row group. `frame` is sorted by (symbol, open_time)."""
    table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
    schema = table.schema.with_metadata(dict(metadata))
    buffer = BytesIO()
    with pq.ParquetWriter(
        buffer,
        schema,
        compression="zstd",
        compression_level=3,
        use_dictionary=[name for name in _REPEATING if name in schema.names],
        column_encoding={"open_time": "DELTA_BINARY_PACKED"},
        store_schema=True,
    ) as writer:
        for start, length in _groups(frame) or [(0, 0)]:
            group = table.slice(start, length).replace_schema_metadata(schema.metadata)
            writer.write_table(group, row_group_size=max(length, 1))
    return buffer.getvalue()


def _groups(frame: pl.DataFrame) -> list[tuple[int, int]]:
    """(start, rows) of each row group: as many whole symbols as fit."""
    counts = frame.group_by("symbol", maintain_order=True).len()["len"]
    groups, start, length = list[tuple[int, int]](), 0, 0
    for count in counts:
        if length and length + count > _ROWS_PER_GROUP:
            groups.append((start, length))
            start, length = start + length, 0
        length += count
    return [*groups, (start, length)] if length else groups


def to_parquet(frame: pl.DataFrame, metadata: Mapping[str, str] | None = None) -> bytes:
    """A ledger's file."""
    buffer = BytesIO()
    frame.write_parquet(buffer, compression="zstd", compression_level=3, metadata=dict(metadata or {}))
    return buffer.getvalue()


def read_table(lake: Lake, path: str, schema: pl.Schema) -> pl.DataFrame:
    """The whole file in the given schema; no rows where there is no file."""
    content = lake.read(path)
    return schema.to_frame() if content is None else decode(lake, path, content, lambda _: schema)


def decode(lake: Lake, path: str, content: bytes, schema_for: Callable[[pl.DataFrame], pl.Schema]) -> pl.DataFrame:
    """A file's bytes in the schema that its frame has; DamagedFileError names the path."""
    try:
        frame = pl.read_parquet(content, hive_partitioning=False)
        schema = schema_for(frame)
        later = [name for name in schema if name in ADDED_LATER and name not in frame.columns]
        whole = frame.with_columns(pl.lit(None).alias(name) for name in later)
        return whole.select(schema.names()).cast(dict(schema))  # type: ignore[arg-type]
    except ILLEGIBLE as error:
        raise _damaged(lake, path, error) from None


def _damaged(lake: Lake, path: str, error: BaseException) -> DamagedFileError:
    return DamagedFileError(f"{lake.uri(path)} is damaged ({str(error).splitlines()[0]}). {_remedy(path)}")


def _remedy(path: str) -> str:
    """What to do, and what that loses where nothing can tell it again."""
    lost = next((words for table, words in _LOST_WITH.items() if path.startswith(f"{table}/")), None)
    if lost is None:
        return "Delete it, then materialize the day again."
    return (
        f"Restore it from a backup if you have one. Deleting it loses {lost}; then materialize the day again, and "
        "all that can be told again is."
    )


def read_many(lake: Lake, paths: Sequence[str], schema: pl.Schema) -> pl.DataFrame:
    """Some columns of many days' files, with the `date` of each; DamagedFileError names one that cannot be read. One
    that is gone has no rows.
    """
    rows, damaged = _read_batches(lake, paths, schema)
    for error in damaged.values():
        raise error
    return rows


def read_legible(
    lake: Lake, paths: Sequence[str], schema: pl.Schema
) -> tuple[pl.DataFrame, dict[date, DamagedFileError]]:
    """As `read_many`, without the files that cannot be read; what is wrong with those, by day."""
    rows, damaged = _read_batches(lake, paths, schema)
    return rows, {day: error for path, error in damaged.items() if (day := _day_of_file(path))}


def _read_batches(
    lake: Lake, paths: Sequence[str], schema: pl.Schema
) -> tuple[pl.DataFrame, dict[str, DamagedFileError]]:
    """A scan a batch, which reads many files at a time; where one of them is amiss, that batch's files one by one."""
    none = schema.to_frame().select(pl.lit(None, pl.Date).alias("date"), *schema.names())
    parts, damaged = [none], dict[str, DamagedFileError]()
    for start in range(0, len(paths), _FILES_PER_SCAN):
        batch = paths[start : start + _FILES_PER_SCAN]
        try:
            parts.append(_scan(lake, batch, schema))
        except (*ILLEGIBLE, OSError):  # that of a store in trouble has no words for people
            for path, found in zip(batch, _each(lake, batch, schema), strict=True):
                if isinstance(found, DamagedFileError):
                    damaged[path] = found
                else:
                    parts.append(found)
    return pl.concat(parts), damaged


def _scan(lake: Lake, paths: Sequence[str], schema: pl.Schema) -> pl.DataFrame:
    rows = pl.scan_parquet(
        [lake.uri(path) for path in paths],
        glob=False,
        hive_partitioning=False,
        include_file_paths=_FILE,
        storage_options=lake.reader_options(),
    )
    day = pl.col(_FILE).str.extract(DAY_OF_FILE).str.to_date("%Y-%m-%d").alias("date")
    return rows.select(day, *schema.names()).collect()


def _each(lake: Lake, paths: Sequence[str], schema: pl.Schema) -> list[pl.DataFrame | DamagedFileError]:
    """Every file by itself, some at a time."""

    def read(path: str) -> pl.DataFrame | DamagedFileError:
        try:
            rows = read_table(lake, path, schema)
        except DamagedFileError as error:
            return error
        return rows.select(pl.lit(_day_of_file(path), pl.Date).alias("date"), *schema.names())

    with ThreadPoolExecutor(_READERS, "read") as pool:
        return [*pool.map(read, paths)]


def _day_of_file(path: str) -> date | None:
    return day_of(path.rpartition("/")[0])


def read_klines(lake: Lake, path: str) -> pl.DataFrame:
    """A file of klines, with the columns of contracts where the market counts in them."""
    content = lake.read(path)
    return KLINE_SCHEMA.to_frame() if content is None else decode(lake, path, content, schema_like)


def read_columns(lake: Lake, path: str, schema: pl.Schema, *, symbol: str | None = None) -> pl.DataFrame:
    """Some columns of a table's file, of one symbol or all, without reading the others; no rows without a file."""
    try:
        with lake.opened(path) as file:
            wanted = None if symbol is None else pc.field("symbol") == symbol
            table = pq.read_table(file, columns=schema.names(), filters=wanted, partitioning=None)
        return pl.DataFrame(table).cast(dict(schema))  # type: ignore[arg-type]
    except FileNotFoundError:
        return schema.to_frame()
    except (pa.ArrowException, *ILLEGIBLE) as error:
        raise _damaged(lake, path, error) from None
    except OSError as error:
        if error.errno is not None:  # the disk's own errors have one, those of a footer that makes no sense have none
            raise
        raise _damaged(lake, path, error) from None


def read_names(lake: Lake, path: str) -> list[str]:
    """The file's columns, from its footer; none where there is no file, or a damaged one."""
    try:
        with lake.opened(path) as file:
            return [str(name) for name in pq.read_schema(file).names]
    except FileNotFoundError:
        return []
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        if getattr(error, "errno", None) is not None:
            raise
        return []


def read_metadata(lake: Lake, path: str) -> dict[str, str]:
    """Key-value metadata of a file; empty where there is no file, or a damaged one."""
    content = lake.read(path)
    return {} if content is None else metadata_of(content)


def metadata_of(content: bytes) -> dict[str, str]:
    """Key-value metadata of a file's bytes; empty where its footer is damaged."""
    try:
        raw = pq.read_metadata(pa.BufferReader(content)).metadata or {}
    except (pa.ArrowException, OSError, UnicodeDecodeError):  # OSError: a footer that makes no sense
        return {}
    return {key.decode("utf-8", "replace"): value.decode("utf-8", "replace") for key, value in raw.items()}


def stored_sizes(lake: Lake, table: str, exchange: str, market: str, interval: str) -> dict[date, int]:
    """Bytes of the table's file of each day that has one; one listing."""
    sizes = lake.sizes(table_folder(table, exchange, market, interval), holding=PART)
    return {day: size for name, size in sizes.items() if (day := day_of(name))}


def stored_days(lake: Lake, table: str, exchange: str, market: str, interval: str) -> list[date]:
    """Days the table has a file of, in order."""
    names = lake.folders(table_folder(table, exchange, market, interval), holding=PART)
    return sorted(day for name in names if (day := day_of(name)))
