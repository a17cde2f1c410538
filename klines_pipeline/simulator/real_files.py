"""A folder of real archives laid over the synthetic ones: paths are keys without the leading `data/`.

Bytes are served untouched; REST answers from the rows of daily kline zips. Only zips and checksums are looked at.
"""

import zipfile
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from klines_pipeline.domain.utc_day import day_end, day_start, to_microseconds
from klines_pipeline.simulator.archives import read_archive
from klines_pipeline.simulator.bucket import Bucket
from klines_pipeline.simulator.columns import Klines
from klines_pipeline.simulator.keyspace import CHECKSUM, ArchiveKey
from klines_pipeline.simulator.kline_archives import KlineArchives
from klines_pipeline.simulator.stored import ALWAYS, StoredObject

_TREES = ("spot", "futures")


def lay_over(bucket: Bucket, kinds: Iterable[KlineArchives], root: Path) -> None:
    """Serve the folder's archives. A zip without its checksum file has no checksum object either."""
    if not root.is_dir():
        raise NotADirectoryError(f"{root} is not a folder. Give the folder that holds spot/ and futures/.")
    files = sorted(path for tree in _TREES for path in (root / tree).rglob("*") if path.is_file())
    objects: dict[str, StoredObject] = {}
    for path in (path for path in files if path.name.endswith((".zip", ".zip" + CHECKSUM))):
        key = "data/" + path.relative_to(root).as_posix()
        objects[key] = StoredObject(path, _written(path), ALWAYS)
        for kind in kinds:
            archive = kind.parse(key.removesuffix(CHECKSUM))
            if archive is None:
                continue
            objects[key] = replace(objects[key], visible_from=kind.publication.usual(archive.symbol, archive.day))
            if key == archive.key:
                kind.market.set_rows(
                    archive.symbol, archive.interval, archive.day, partial(_rows_of_day, path, archive)
                )
    bucket.shelf.put_all(objects)
    for key in objects:
        if key.endswith(".zip") and key + CHECKSUM not in objects:
            bucket.shelf.remove(key + CHECKSUM)


def _written(path: Path) -> datetime:
    """The entry time inside the zip (of the zip beside, for a checksum), taken as UTC; else the file's own."""
    try:
        with zipfile.ZipFile(path.with_name(path.name.removesuffix(CHECKSUM))) as archive:
            return datetime(*archive.infolist()[0].date_time, tzinfo=UTC)
    except (OSError, zipfile.BadZipFile, ValueError, IndexError):
        return datetime.fromtimestamp(int(path.stat().st_mtime), tz=UTC)


def _rows_of_day(path: Path, archive: ArchiveKey) -> Klines:
    try:
        rows, _ = read_archive(path.read_bytes())
    except (zipfile.BadZipFile, ValueError, IndexError):
        return Klines.empty()
    return rows.between(to_microseconds(day_start(archive.day)), to_microseconds(day_end(archive.day)) - 1)
