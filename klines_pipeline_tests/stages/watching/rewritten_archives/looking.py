"""Ticks of the comparison one after the other, over a recent day and an old one of two symbols."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date

from klines_pipeline.domain.automation import Automation
from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.wanted import Wanted
from klines_pipeline.exchanges.protocols import KlineArchive
from klines_pipeline.exchanges.registry import connect
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.stages.watching.rewritten_archives import compare_slice
from klines_pipeline.stages.watching.tick import Tick
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.conftest import endpoints_of, make_dataset

RECENT, OLD = "2025-02-10", "2024-03-01"
"""A day that is compared daily, and one that is compared weekly."""


DATASET = make_dataset("BTCUSDT", "ETHUSDT", interval="1h", start="2024-01-01")


AUTOMATION = Automation()


class Looking:
    """Ticks one after the other, each with the cursor of the one before."""

    def __init__(self, exchange: EmbeddedExchange, lake: Lake, dataset: Dataset = DATASET) -> None:
        self.exchange, self.lake, self.dataset = exchange, lake, dataset
        self.cursor: str | None = None
        self.stand_in: Callable[[KlineArchive], KlineArchive] = lambda archive: archive

    def tick(self, *, seconds: float = 20.0) -> Tick:
        """One look."""
        market = connect(*self.dataset.prefix, endpoints_of(self.exchange))
        market = replace(market, archive=self.stand_in(market.archive))
        tick = compare_slice(self.lake, market, self.dataset, AUTOMATION, self.cursor, seconds=seconds)
        self.cursor = tick.cursor or self.cursor
        return tick

    def until_rest(self) -> list[Wanted]:
        """Everything wanted until nothing is due any more."""
        wanted = list[Wanted]()
        for _ in range(20):
            tick = self.tick()
            wanted += tick.wanted
            if "again from" in tick.words:
                return wanted
        raise AssertionError(self.cursor)


def days(*texts: str) -> tuple[date, ...]:
    return tuple(date.fromisoformat(text) for text in texts)
