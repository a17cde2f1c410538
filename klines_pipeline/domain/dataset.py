"""A dataset: (exchange, market, interval) with its symbols and first day. Names of its assets and tables.

Exchange and market are validated strings, not enums: each exchange owns its vocabulary.
"""

from dataclasses import dataclass
from datetime import date

from klines_pipeline.domain.interval import AnyInterval, Interval
from klines_pipeline.domain.states import ChecksumPolicy
from klines_pipeline.domain.universe import SymbolFilter


@dataclass(frozen=True, slots=True)
class Dataset:
    """What one paragraph of klines.yaml asks for."""

    exchange: str
    market: str
    interval: Interval
    symbols: tuple[str, ...]
    start: date
    resample: tuple[AnyInterval, ...] = ()
    chosen: SymbolFilter | None = None
    """Where given, `symbols` are those of one day: resolved when the day is ingested, empty before."""
    funding: bool = False
    on_checksum_mismatch: ChecksumPolicy = ChecksumPolicy.QUARANTINE

    @property
    def prefix(self) -> tuple[str, str]:
        """First parts of every asset key of this dataset."""
        return (self.exchange, self.market)

    @property
    def name(self) -> str:
        """`binance/spot/klines_1m`: asset key and table name alike."""
        return "/".join((*self.prefix, f"klines_{self.interval}"))

    def __str__(self) -> str:
        return self.name
