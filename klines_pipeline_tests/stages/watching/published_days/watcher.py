"""Ticks of the sensor one after the other, over six symbols and the first days of March 2025."""

from dataclasses import dataclass
from datetime import UTC, date, datetime

from klines_pipeline.domain.automation import Automation
from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.wanted import Wanted
from klines_pipeline.exchanges.registry import connect
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.stages.ingest import Ingest
from klines_pipeline.stages.watching.published_days import watch
from klines_pipeline.stages.watching.tick import Tick
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.conftest import endpoints_of, make_dataset

SYMBOLS = ("ADAUSDT", "BNBUSDT", "BTCUSDT", "ETHUSDT", "SOLUSDT", "币安人生USDT")


DATASET = make_dataset(*SYMBOLS, interval="1d", start="2025-03-02")


DAY = date(2025, 3, 4)


PATIENT = Automation(straggler_share=0.8)


def at(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2025, 3, day, hour, minute, tzinfo=UTC)


def one_a_minute(exchange: EmbeddedExchange) -> None:
    """It is half past midnight after DAY, whose archives come from 02:00 on."""
    for place, symbol in enumerate(SYMBOLS):
        exchange.hold_publication(symbol, DAY, until=at(5, 2, place))
    exchange.set_clock(at(5, 0, 30))


@dataclass(slots=True)
class Watcher:
    """Ticks of one dataset and the runs they ask for, with the cursor in between."""

    exchange: EmbeddedExchange
    lake: Lake
    dataset: Dataset = DATASET
    cursor: str | None = None
    requests: int = 0

    def tick(self, now: datetime | None = None, *, seconds: float = 20.0) -> Tick:
        self.exchange.set_clock(now or self.exchange.now())
        self.exchange.reset_requests()
        market = connect(*self.dataset.prefix, endpoints_of(self.exchange))
        tick = watch(self.lake, market, self.dataset, PATIENT, self.cursor, seconds=seconds, log=lambda _: None)
        self.cursor = tick.cursor or self.cursor
        self.requests = self.exchange.requests()["total"]
        return tick

    def waits(self, now: datetime | None = None) -> str:
        """What a tick says that wants nothing."""
        tick = self.tick(now)
        assert not tick.wanted
        return tick.words

    def wants(self, now: datetime | None = None) -> Wanted:
        """The one wish of a tick, fulfilled."""
        [wish] = self.tick(now).wanted
        self.run(wish.days)
        return wish

    def run(self, days: tuple[date, ...]) -> None:
        market = connect(*self.dataset.prefix, endpoints_of(self.exchange))
        assert list(Ingest(self.lake, market, self.dataset, log=lambda _: None).days(days))
