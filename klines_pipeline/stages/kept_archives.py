"""Rows of any version of an archive the lake has ever kept: of the one in use, of those replaced, of those quarantined.

Which version counted when is the affair of `query.as_of`; keeping them that of `versions`.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import sha256
from typing import NamedTuple

import polars as pl

from klines_pipeline.domain.errors import DamagedFileError
from klines_pipeline.domain.interval import Interval
from klines_pipeline.exchanges.protocols import Market
from klines_pipeline.klines.schema import UTC_TIME, VISION, with_provenance
from klines_pipeline.klines.sieve import sieve
from klines_pipeline.storage import layout
from klines_pipeline.storage.lake import Lake

_THREADS = 8


class Version(NamedTuple):
    """One version of a symbol-day's archive, as the revisions ledger names it."""

    symbol: str
    key: str
    revision: int
    sha256: str
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class KeptArchives:
    """Opens versions of one market's archives. No network."""

    lake: Lake
    market: Market
    interval: Interval

    def klines(self, day: date, versions: Sequence[Version]) -> pl.DataFrame:
        """The day's rows with their provenance, one version a symbol; DamagedFileError names bytes that are gone."""
        with ThreadPoolExecutor(_THREADS, "kept") as pool:
            texts = pool.map(self._text, versions)
            by_symbol = {version.symbol: text for version, text in zip(versions, texts, strict=True)}
        parsed = self.market.archive.parse(by_symbol, self.interval)
        rows = sieve(parsed.frame, day, VISION, nullable=self.market.nullable).kept
        told = pl.DataFrame(
            [(version.symbol, version.revision, version.seen_at) for version in versions],
            schema={"symbol": pl.String, "version": pl.Int16, "seen": UTC_TIME},
            orient="row",
        )
        joined = rows.join(told, on="symbol", how="left", maintain_order="left")
        return with_provenance(joined, VISION, pl.col("version"), pl.col("seen")).sort("symbol", "open_time")

    def _text(self, version: Version) -> bytes:
        return self.market.archive.open(bytes_of(self.lake, version), version.key, self.interval)


def bytes_of(lake: Lake, version: Version) -> bytes:
    """The archive as it was then, of klines or of funding; DamagedFileError where it is gone."""
    places = [
        layout.replaced(version.key, version.sha256),
        layout.mirror(version.key),
        layout.quarantined(version.key, version.sha256),
    ]
    for place in places:
        content = lake.read(place)
        if content is not None and sha256(content).hexdigest() == version.sha256:
            return content
    raise DamagedFileError(
        f"Revision {version.revision} of {version.symbol} is gone from the lake: neither {lake.uri(places[0])} nor "
        f"{lake.uri(places[1])} holds the bytes with SHA-256 {version.sha256}. Bring the first back from a backup; the "
        "exchange no longer has it."
    )
