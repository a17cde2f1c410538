"""Lakes to which things happen, and what a reader saw after each: the past has to stay as it was."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import polars as pl
from polars.testing import assert_frame_equal

from klines_pipeline import load, load_funding, scan
from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.states import ChecksumPolicy
from klines_pipeline.domain.utc_day import days_between
from klines_pipeline.exchanges.registry import connect
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.stages.funding.dataset import funding_datasets
from klines_pipeline.stages.funding.ingest import ALL_FUNDING_STAGES, FundingIngest, FundingStage
from klines_pipeline.stages.ingest import ALL_STAGES, Ingest, Stage
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.conftest import endpoints_of, impatient, make_dataset
from klines_pipeline_tests.faults.archives import body_of, key_of, lines_of, member_of, pack, with_cell

START, TODAY = datetime(2025, 3, 4, 9, tzinfo=UTC), "2025-03-04"
SHORT, YESTERDAY = "2025-03-01", "2025-03-03"
"""On the first SOLUSDT's archive ends at 18:50; the second's archives come while the tests run."""
DAYS = (SHORT, YESTERDAY, TODAY)
END = "2025-03-05"


class Story:
    """A lake, its exchange, and what `load` returned after each run, by the exchange's time then, with a lazy frame of
    that moment made then."""

    def __init__(self, exchange: EmbeddedExchange, lake: Lake, dataset: Dataset | None = None) -> None:
        self.exchange, self.lake = exchange, lake
        self.dataset = dataset or make_dataset("BTCUSDT", "SOLUSDT", start=SHORT)
        self.loaded = dict[datetime, tuple[pl.DataFrame, pl.LazyFrame]]()

    @property
    def interval(self) -> str:
        return str(self.dataset.interval)

    def key(self, symbol: str = "BTCUSDT") -> str:
        """The archive that most things happen to."""
        return key_of(symbol, SHORT, self.interval)

    def goes_on(self, hours: float = 1.0) -> None:
        """Time passes."""
        self.exchange.set_clock(self.exchange.now() + timedelta(hours=hours))

    def run(self, *days: str, stages: Collection[Stage] = ALL_STAGES, failing: bool = False) -> None:
        """Ingest the days, and remember what a reader sees."""
        market = connect(*self.dataset.prefix, endpoints_of(self.exchange))
        if failing:
            market = impatient(self.exchange, "/".join(self.dataset.prefix))
        flow = Ingest(self.lake, market, self.dataset, stages=stages, log=lambda _: None)
        for result in flow.days([date.fromisoformat(day) for day in days or DAYS]):
            assert failing or not result.failures
        self.remember()

    def remember(self) -> None:
        """What a reader sees now."""
        now = self.exchange.now()
        self.loaded[now] = (self.load(), self.scan(as_of=now))

    def load(self, **choice: object) -> pl.DataFrame:
        """Everything."""
        return load(self.dataset.symbols, self.interval, SHORT, END, **self._where, **choice)  # type: ignore[arg-type]

    def scan(self, **choice: object) -> pl.LazyFrame:
        """Everything, later."""
        return scan(self.dataset.symbols, self.interval, SHORT, END, **self._where, **choice)  # type: ignore[arg-type]

    @property
    def _where(self) -> dict[str, str]:
        return {"market": self.dataset.market, "lake": self.lake.root}

    def is_remembered(self) -> None:
        """Every moment reads as it did then."""
        for moment, (frame, lazy) in self.loaded.items():
            assert_frame_equal(self.load(as_of=moment), frame)
            assert_frame_equal(lazy.collect(), frame)


def _put(story: Story, checksum: str) -> None:
    story.exchange.put_object(story.key(), body_of(story.exchange, story.key()), checksum=checksum)


def _withdraw(story: Story) -> None:
    body = body_of(story.exchange, story.key())
    story.exchange.remove_object(story.key())
    story.run(SHORT, failing=True)
    story.goes_on(1 / 60)
    story.exchange.put_object(story.key(), body)


def _corrupt(story: Story) -> None:
    body = body_of(story.exchange, story.key())
    story.exchange.put_object(story.key(), b"<html>busy</html>")
    story.run(SHORT, failing=True)
    story.goes_on(1 / 60)
    story.exchange.put_object(story.key(), body)


def _without_rest(story: Story) -> None:
    story.exchange.add_fault(kind="blocked", group="rest")
    story.run(failing=True)
    story.exchange.clear_faults()
    story.goes_on(1 / 60)


def _other_policy(story: Story) -> None:
    [other] = set(ChecksumPolicy) - {story.dataset.on_checksum_mismatch}
    story.dataset = replace(story.dataset, on_checksum_mismatch=other)


def _held_back(story: Story) -> None:
    day = story.exchange.now().date() - timedelta(days=1)
    story.exchange.hold_publication("SOLUSDT", day, until=story.exchange.now() + timedelta(hours=3))


HAPPENINGS: dict[str, Callable[[Story], object]] = {
    "rewritten": lambda story: story.exchange.revise(story.key("SOLUSDT")),
    "rewritten, checksum not yet": lambda story: story.exchange.revise(story.key(), with_checksum=False),
    "checksum follows": lambda story: _put(story, "fresh"),
    "checksum lost": lambda story: _put(story, "none"),
    "checksum of another": lambda story: _put(story, "stale"),
    "withdrawn for a while": _withdraw,
    "damaged for a while": _corrupt,
    "no REST for a while": _without_rest,
    "the other policy": _other_policy,
    "held back": _held_back,
    "hours pass": lambda story: story.goes_on(5),
    "archives alone": lambda story: story.run(SHORT, YESTERDAY, stages=[Stage.VISION]),
    "REST alone": lambda story: story.run(TODAY, stages=[Stage.REST]),
    "today alone": lambda story: story.run(TODAY),
}


def tell(story: Story, happenings: Sequence[str]) -> None:
    """Things happen one after the other, each followed by a run; then the past is asked for."""
    story.run(failing=True)
    for name in happenings:
        story.goes_on(1 / 60)
        HAPPENINGS[name](story)
        story.goes_on(1 / 60)
        story.run(failing=True)
    story.is_remembered()


# ---- funding

FUNDING_KEY = "data/futures/um/monthly/fundingRate/BTCUSDT/BTCUSDT-fundingRate-2025-02.zip"
FIRST, LAST = date(2025, 2, 26), date(2025, 3, 2)


class FundingStory:
    """The same of a funding table: the end of one month with archives, the begin of one without."""

    def __init__(self, exchange: EmbeddedExchange, lake: Lake) -> None:
        self.exchange, self.lake = exchange, lake
        self.paragraph = make_dataset("BTCUSDT", "SOLUSDT", market="um", interval="1h", funding=True)
        self.loaded = dict[datetime, pl.DataFrame]()

    def goes_on(self, hours: float = 1.0) -> None:
        """Time passes."""
        self.exchange.set_clock(self.exchange.now() + timedelta(hours=hours))

    def run(
        self, first: date = FIRST, last: date = LAST, *, stages: Collection[FundingStage] = ALL_FUNDING_STAGES
    ) -> None:
        """Ingest the days, and remember what a reader sees."""
        [dataset] = funding_datasets([self.paragraph])
        flow = FundingIngest(
            self.lake, impatient(self.exchange, "binance/um"), dataset, stages=stages, log=lambda _: None
        )
        list(flow.days([*days_between(first, last)]))
        self.loaded[self.exchange.now()] = self.load()

    def load(self, **choice: object) -> pl.DataFrame:
        """Everything."""
        return load_funding(["BTCUSDT", "SOLUSDT"], FIRST, END, lake=self.lake.root, **choice)  # type: ignore[arg-type]

    def put(self, checksum: str = "fresh", rate: str | None = None, without: str | None = None) -> None:
        """The archive again: with another rate at a midnight, without a settlement, or with another checksum."""
        lines = lines_of(self.exchange, FUNDING_KEY)
        if rate is not None:
            lines = [with_cell(line, 2, rate) if line.startswith(_midnight("2025-02-27")) else line for line in lines]
        if without is not None:
            lines = [line for line in lines if not line.startswith(_midnight(without))]
        text = "".join(f"{line}\n" for line in lines)
        body = pack([(member_of(FUNDING_KEY), text.encode())])
        self.exchange.put_object(FUNDING_KEY, body, checksum=checksum)

    def is_remembered(self) -> None:
        """Every moment reads as it did then."""
        for moment, frame in self.loaded.items():
            assert_frame_equal(self.load(as_of=moment), frame)


def _midnight(day: str) -> str:
    return str(int(datetime.fromisoformat(f"{day}T00:00+00:00").timestamp()))


def _rates_policy(story: FundingStory) -> None:
    [other] = set(ChecksumPolicy) - {story.paragraph.on_checksum_mismatch}
    story.paragraph = replace(story.paragraph, on_checksum_mismatch=other)


def _no_rates_of_rest(story: FundingStory) -> None:
    story.exchange.add_fault(kind="blocked", group="rest")
    story.run()
    story.exchange.clear_faults()
    story.goes_on(1 / 60)


FUNDING_HAPPENINGS: dict[str, Callable[[FundingStory], object]] = {
    "rewritten": lambda story: story.put(rate="0.00777000"),
    "rewritten again": lambda story: story.put(rate="0.00333000"),
    "shortened": lambda story: story.put(without="2025-02-28"),
    "rewritten, checksum not yet": lambda story: story.put("stale", rate="0.00999000"),
    "checksum follows": lambda story: story.put(),
    "checksum lost": lambda story: story.put("none"),
    "no REST for a while": _no_rates_of_rest,
    "the other policy": _rates_policy,
    "hours pass": lambda story: story.goes_on(9),
    "archives alone": lambda story: story.run(stages=[FundingStage.VISION]),
    "REST alone": lambda story: story.run(stages=[FundingStage.REST]),
    "one day alone": lambda story: story.run(FIRST, FIRST),
}


def tell_of_funding(story: FundingStory, happenings: Sequence[str]) -> None:
    """As `tell`."""
    story.run()
    for name in happenings:
        story.goes_on(1 / 60)
        FUNDING_HAPPENINGS[name](story)
        story.goes_on(1 / 60)
        story.run()
    story.is_remembered()
