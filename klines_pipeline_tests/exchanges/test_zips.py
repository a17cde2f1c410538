"""An archive somebody else made is opened only if it is exactly what it should be."""

import struct
import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from klines_pipeline.domain.errors import CorruptArchiveError
from klines_pipeline.exchanges.zips import open_single_member

NAME, TEXT = "BTCUSDT-1m-2024-03-01.csv", b"1709251200000,1,2,3,4\n" * 50
LARGEST = 2**20


def packed(*members: tuple[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


GOOD = packed((NAME, TEXT))


def forged(offset: int, value: bytes) -> bytes:
    """GOOD with bytes of its central directory entry replaced."""
    entry = GOOD.rindex(b"PK\x01\x02")
    return GOOD[: entry + offset] + value + GOOD[entry + offset + len(value) :]


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
def test_the_only_member_is_read_from_bytes_and_from_a_file(tmp_path: Path, compression: int) -> None:
    content = packed((NAME, TEXT), compression=compression)
    (tmp_path / "x.zip").write_bytes(content)

    assert open_single_member(content, NAME, LARGEST) == TEXT
    assert open_single_member((tmp_path / "x.zip").read_bytes(), NAME, LARGEST) == TEXT


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "cannot be opened"),
        (b"<html>Just a moment</html>", "cannot be opened"),
        (GOOD[:-10], "cannot be opened"),
        (GOOD[: len(GOOD) // 2], "cannot be opened"),
        (packed(), "holds nothing where only"),
        (packed(("other.csv", TEXT)), "holds 'other.csv' where only"),
        (packed((f"../{NAME}", TEXT)), "where only"),
        (packed((f"/{NAME}", TEXT)), "where only"),
        (packed((NAME, TEXT), ("second.csv", TEXT)), "'second.csv' where only"),
        (packed((NAME, b"0" * (LARGEST + 1))), "claims 1,048,577 bytes"),
        (packed((NAME, TEXT), compression=zipfile.ZIP_BZIP2), "packed in a way no archive is"),
        (packed((NAME, TEXT), compression=zipfile.ZIP_LZMA), "packed in a way no archive is"),
        (forged(8, struct.pack("<H", 1)), "encrypted"),
        (forged(16, b"\0\0\0\0"), "Bad CRC-32"),
        (forged(24, struct.pack("<I", 7)), "Bad CRC-32"),
    ],
    ids=[
        *("empty", "html", "no directory", "half", "nothing", "other name", "climbs out", "absolute", "two members"),
        *("bomb", "bzip2", "lzma", "encrypted", "bad checksum", "lying size"),
    ],
)
def test_anything_else_is_corrupt_and_says_why(content: bytes, sentence: str) -> None:
    with pytest.raises(CorruptArchiveError, match=sentence):
        open_single_member(content, NAME, LARGEST)


def test_a_bomb_is_refused_by_its_directory_before_a_byte_is_unpacked() -> None:
    bomb = packed((NAME, bytes(200 * 2**20)))
    assert len(bomb) < 300_000

    with pytest.raises(CorruptArchiveError, match="a day has at most 1,048,576"):
        open_single_member(bomb, NAME, LARGEST)


@pytest.mark.parametrize("length", range(0, len(GOOD), 3))
def test_a_download_cut_short_anywhere_is_corrupt(length: int) -> None:
    with pytest.raises(CorruptArchiveError):
        open_single_member(GOOD[:length], NAME, LARGEST)
