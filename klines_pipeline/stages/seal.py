"""The seal of a finished day: in the metadata of its certificates' file, digests of the table's file and of what the
certificates say. Whoever finds it broken finds damage that no rule about prices would see.
"""

from collections.abc import Iterator, Mapping
from hashlib import sha256

import polars as pl

from klines_pipeline.klines.seal import digest_of_certificates

BYTES = "klines.bytes"
"""Size of the table's file."""
TABLE, CERTIFICATES = "seal.table_sha256", "seal.certificates"
_AGAIN = "Materialize the day again."


def seal(table: bytes, certificates: pl.DataFrame) -> dict[str, str]:
    """Metadata for the certificates' file."""
    return {TABLE: sha256(table).hexdigest(), CERTIFICATES: digest_of_certificates(certificates)}


def holds(metadata: Mapping[str, str], certificates: pl.DataFrame, table: str | None) -> bool:
    """Whether both are what was sealed; `table` is the SHA-256 of its file. A day from before seals has none."""
    return table is not None and table == metadata.get(TABLE) and certified(metadata, certificates)


def certified(metadata: Mapping[str, str], certificates: pl.DataFrame) -> bool:
    """Whether the certificates say what they said when they were issued, as far as anybody can tell."""
    return metadata.get(CERTIFICATES) in (None, digest_of_certificates(certificates))


def flaw(
    metadata: Mapping[str, str] | None, certificates: pl.DataFrame, table: str | None, where: tuple[str, str]
) -> str | None:
    """What is wrong with a day's two files, in a sentence with the remedy. `where` are the table and the certificates;
    None stands for a file that is not there.
    """
    lacking = [path for path, known in zip(where, (table, metadata), strict=True) if known is None]
    if lacking or metadata is None:
        return f"{' and '.join(lacking)} {'are' if len(lacking) > 1 else 'is'} missing. {_AGAIN}"
    if not certified(metadata, certificates):
        return f"{where[1]} does not say what was certified. {_AGAIN}"
    if metadata.get(TABLE) not in (None, table):
        return f"{where[0]} is not the file that was certified. {_AGAIN}"
    return None


def broken_at_a_glance(metadata: Mapping[str, str], certificates: pl.DataFrame, size: int | None) -> Iterator[str]:
    """What can be told without reading the table, of which `size` is the file's; None where there is none."""
    if size is None:
        yield "has no table"
    elif metadata.get(BYTES) not in (None, str(size)):
        yield f"has a table of {size} bytes, {metadata[BYTES]} were certified"
    if not certified(metadata, certificates):
        yield "does not say what was certified"
