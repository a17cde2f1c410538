"""Lakes compared: every file of the table, or every file there is, byte by byte."""

from pathlib import Path

from klines_pipeline.storage.lake import Lake


def table_files(lake: Lake) -> dict[str, bytes]:
    """The table's files by path."""
    root = Path(lake.base)
    return {str(path.relative_to(root)): path.read_bytes() for path in root.glob("klines/**/part.parquet")}


def all_files(lake: Lake) -> dict[str, bytes]:
    """Everything a reader may find; locks, and leftovers whose names begin with a dot, are nobody's business."""
    root = Path(lake.base)
    found = (path.relative_to(root) for path in root.rglob("*") if path.is_file())
    return {str(path): (root / path).read_bytes() for path in found if not any(part[0] == "." for part in path.parts)}
