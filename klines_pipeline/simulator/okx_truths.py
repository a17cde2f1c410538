"""What is wrong with the make-believe OKX on purpose. Tests compare certificates with this table.

A quiet instrument lacks no bar: its bars are flat. Only what stands here is absent, from every bar size.
"""

from dataclasses import dataclass
from datetime import datetime

from klines_pipeline.simulator.listings import utc


@dataclass(frozen=True, slots=True)
class Hole:
    """[start, end) in UTC for which the service has no bars of an instrument."""

    instrument: str
    start: datetime
    end: datetime


HOLES: tuple[Hole, ...] = (Hole("SOL-USDT", utc(2025, 3, 2, 14), utc(2025, 3, 2, 15)),)
