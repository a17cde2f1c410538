"""Opening an archive that somebody else made: one member, the expected name, a bounded size, an intact checksum."""

import zlib
from io import BytesIO
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile

from klines_pipeline.domain.errors import CorruptArchiveError

_ENCRYPTED = 0x1
_DAMAGE = (BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError, OSError, RuntimeError, OverflowError)
"""What zipfile raises over bytes in memory. ValueError and OSError come from offsets that point before the beginning,
UnicodeDecodeError (a ValueError) from a name that is not what its flag says."""


def open_single_member(content: bytes, member: str, largest: int) -> bytes:
    """The only member's content; CorruptArchiveError unless it is named `member` and at most `largest` bytes long."""
    try:
        with ZipFile(BytesIO(content)) as archive:
            _inspect(archive, member, largest)
            return archive.read(member)
    except _DAMAGE as error:
        raise CorruptArchiveError(f"{member}: the zip cannot be opened ({error}).") from None


def _inspect(archive: ZipFile, member: str, largest: int) -> None:
    """Look before reading: a 195 kB zip can hold 200 MB."""
    members = archive.infolist()
    if [found.filename for found in members] != [member]:
        names = ", ".join(repr(found.filename) for found in members[:3]) or "nothing"
        raise CorruptArchiveError(f"the zip holds {names} where only {member!r} was expected.")
    found = members[0]
    if found.file_size > largest:
        raise CorruptArchiveError(f"{member} claims {found.file_size:,} bytes; a day has at most {largest:,}.")
    if found.flag_bits & _ENCRYPTED or found.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        raise CorruptArchiveError(f"{member} is encrypted or packed in a way no archive is.")
