"""The rows a day's archives hold, with their provenance: those parsed in this run, the others read from the mirror."""

from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256

import polars as pl

from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.errors import DamagedFileError
from klines_pipeline.domain.states import ArchiveState, ChecksumPolicy
from klines_pipeline.exchanges.protocols import Market
from klines_pipeline.klines.ledgers import ArchiveEntry
from klines_pipeline.klines.schema import UTC_TIME, VISION, wire_schema_of, with_provenance
from klines_pipeline.klines.sieve import sieve
from klines_pipeline.stages.results import ArchivedDay
from klines_pipeline.stages.versions import path_of
from klines_pipeline.storage.lake import Lake

_THREADS = 8


@dataclass(frozen=True, slots=True)
class RowSource:
    """Loads rows of one day's archives, only those asked for."""

    lake: Lake
    market: Market
    dataset: Dataset
    archived: ArchivedDay

    def verified(self, symbols: Collection[str] | None = None) -> pl.DataFrame:
        """Rows of every archive that equals its checksum, as klines; of some symbols, or of all."""
        return self._rows(ArchiveState.OK, symbols=symbols)

    def unverified(self) -> pl.DataFrame:
        """Rows of quarantined archives, where the dataset's policy lets REST vouch for them; none otherwise."""
        if self.dataset.on_checksum_mismatch is not ChecksumPolicy.CROSS_CHECK:
            return self.market.schema.to_frame()
        return self.quarantined()

    def quarantined(self) -> pl.DataFrame:
        """Rows of archives whose checksum is absent or differs."""
        return self._rows(ArchiveState.CHECKSUM_ABSENT, ArchiveState.CHECKSUM_MISMATCH)

    def _rows(self, *states: ArchiveState, symbols: Collection[str] | None = None) -> pl.DataFrame:
        wanted = {
            name: entry
            for name, entry in self.archived.entries.items()
            if entry.state in states and name in (self.dataset.symbols if symbols is None else symbols)
        }
        if not wanted:
            return self.market.schema.to_frame()
        in_memory = set(self.archived.fetched["symbol"].unique())
        elsewhere = [entry for name, entry in wanted.items() if name not in in_memory and entry.rows]
        read = self._read(elsewhere)
        fetched = self.archived.fetched.filter(pl.col("symbol").is_in(list(wanted)))
        frame = pl.concat([part for part in (fetched, read) if part.height] or [read])
        versions = pl.DataFrame(
            [(name, entry.revision, entry.first_seen_at) for name, entry in wanted.items()],
            schema={"symbol": pl.String, "version": pl.Int16, "seen": UTC_TIME},
            orient="row",
        )
        joined = frame.join(versions, on="symbol", how="left", maintain_order="left")
        return with_provenance(joined, VISION, pl.col("version"), pl.col("seen")).sort("symbol", "open_time")

    def _read(self, entries: Sequence[ArchiveEntry]) -> pl.DataFrame:
        if not entries:
            return wire_schema_of(self.market.schema).to_frame()
        with ThreadPoolExecutor(_THREADS, "mirror") as pool:
            opened = pool.map(self._text, entries)
            texts = {entry.symbol: text for entry, text in zip(entries, opened, strict=True)}
        parsed = self.market.archive.parse(texts, self.dataset.interval)
        return sieve(parsed.frame, self.archived.day, VISION, nullable=self.market.nullable).kept

    def _text(self, entry: ArchiveEntry) -> bytes:
        path = path_of(entry)
        content = self.lake.read(path)
        if content is None or sha256(content).hexdigest() != entry.sha256_actual:
            trouble = "gone from the lake" if content is None else "not the file that was verified"
            raise DamagedFileError(
                f"{self.lake.uri(path)} is {trouble}. Delete it if it is there, then materialize vision_klines of the "
                "day again: it is downloaded anew."
            )
        return self.market.archive.open(content, entry.key, self.dataset.interval)
