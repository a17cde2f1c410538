"""Whether archives in the mirror are still the bytes that were verified, as far as that is cheap to see: on a disk."""

from dataclasses import dataclass
from hashlib import sha256

import polars as pl

from klines_pipeline.domain.states import ArchiveState
from klines_pipeline.klines.ledgers import ARCHIVE_SCHEMA
from klines_pipeline.storage import layout
from klines_pipeline.storage.lake import Lake

_BYTES = 256 * 2**20
"""Hashed in one examination, at most: half a second, a few days of 500 symbols."""


@dataclass(slots=True)
class MirrorLook:
    """Hashes archives until its bytes are used up; none of a store, which would answer once an archive."""

    lake: Lake
    left: int = _BYTES

    def seen(self, archives: pl.DataFrame) -> pl.DataFrame:
        """A day's archives ledger; `corrupt` those whose bytes are gone or changed."""
        if not self.lake.is_local:
            return archives
        verified = archives.filter(state=ArchiveState.OK).select("symbol", "key", "size", "sha256_actual").iter_rows()
        damaged = [symbol for symbol, key, size, digest in verified if self._is_damaged(key, size or 0, digest)]
        state = pl.when(pl.col("symbol").is_in(damaged)).then(pl.lit(ArchiveState.CORRUPT.value)).otherwise("state")
        return archives.with_columns(state.alias("state")).select(ARCHIVE_SCHEMA.names())

    def _is_damaged(self, key: str, size: int, digest: str) -> bool:
        if self.left < size:
            return False
        self.left -= size
        content = self.lake.read(layout.mirror(key))
        return content is None or sha256(content).hexdigest() != digest
