"""The table as it was known at a moment: what `load` returned then is what `load(as_of=...)` returns ever after."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from klines_pipeline import load, scan
from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.errors import ConfigurationError, DamagedFileError
from klines_pipeline.domain.states import ChecksumPolicy
from klines_pipeline.exchanges.registry import connect
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.stages.ingest import Ingest
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.conftest import archive_entry, endpoints_of, make_dataset
from klines_pipeline_tests.faults.archives import body_of, key_of

START, TODAY = datetime(2025, 3, 4, 9, tzinfo=UTC), "2025-03-04"
SHORT, YESTERDAY = "2025-03-01", "2025-03-03"
"""On the first SOLUSDT's archive ends at 18:50; the second's archives come while the tests run."""
DAYS = (SHORT, YESTERDAY, TODAY)
DATASET = make_dataset("BTCUSDT", "SOLUSDT", start=SHORT)


class Story:
    """A lake, its exchange, and what `load` returned after each run, by the exchange's time then."""

    def __init__(self, exchange: EmbeddedExchange, lake: Lake, dataset: Dataset = DATASET) -> None:
        self.exchange, self.lake, self.dataset = exchange, lake, dataset
        self.loaded = dict[datetime, pl.DataFrame]()

    def goes_on(self, hours: float = 1.0) -> None:
        """Time passes."""
        self.exchange.set_clock(self.exchange.now() + timedelta(hours=hours))

    def run(self, *days: str) -> None:
        """Ingest the days, and remember what a reader sees."""
        market = connect(*self.dataset.prefix, endpoints_of(self.exchange))
        flow = Ingest(self.lake, market, self.dataset, log=lambda _: None)
        for result in flow.days([datetime.fromisoformat(day).date() for day in days or DAYS]):
            assert not result.failures
        self.loaded[self.exchange.now()] = self.load()

    def load(self, **choice: object) -> pl.DataFrame:
        """Everything."""
        where = {"market": self.dataset.market, "lake": self.lake.root}
        return load(self.dataset.symbols, "1m", SHORT, "2025-03-05", **where, **choice)  # type: ignore[arg-type]

    def is_remembered(self) -> None:
        """Every moment reads as it did then."""
        for moment, frame in self.loaded.items():
            assert_frame_equal(self.load(as_of=moment), frame)


@pytest.fixture
def story(exchange: EmbeddedExchange, lake: Lake) -> Story:
    """Nothing has happened yet."""
    return Story(exchange, lake)


def test_a_thrice_rewritten_archive_with_top_ups_in_between_reads_at_each_moment_as_it_did_then(story: Story) -> None:
    story.exchange.hold_publication("BTCUSDT", date(2025, 3, 3), until=START + timedelta(hours=2))
    story.run()
    for _ in range(3):
        story.goes_on()
        story.exchange.revise(key_of("SOLUSDT", SHORT))
        story.run(SHORT)
        story.goes_on()
        story.run(YESTERDAY, TODAY)

    assert story.load()["revision"].unique().sort().to_list() == [0, 1, 4]
    story.is_remembered()


ACTIONS: dict[str, Callable[[Story], object]] = {
    "rewritten": lambda story: story.exchange.revise(key_of("SOLUSDT", SHORT)),
    "rewritten, checksum not yet": lambda story: story.exchange.revise(key_of("BTCUSDT", SHORT), with_checksum=False),
    "checksum follows": lambda story: story.exchange.put_object(
        key_of("BTCUSDT", SHORT), body_of(story.exchange, key_of("BTCUSDT", SHORT))
    ),
    "hours pass": lambda story: story.goes_on(5),
    "today alone": lambda story: story.run(TODAY),
    "all days": lambda story: story.run(),
}


@pytest.mark.parametrize("seed", range(2))
def test_whatever_happens_to_the_archives_the_past_stays_as_it_was(story: Story, seed: int) -> None:
    key = key_of("BTCUSDT", SHORT)
    story.exchange.put_object(key, body_of(story.exchange, key), checksum="none")
    story.run()
    for action in Random(seed).choices(sorted(ACTIONS), k=6):  # noqa: S311 - a story, no secret
        story.goes_on(1 / 60)
        ACTIONS[action](story)
        story.goes_on(1 / 60)
        story.run(SHORT)

    story.is_remembered()


def test_before_anything_was_known_there_are_no_rows(story: Story) -> None:
    story.run()

    before = story.load(as_of=START - timedelta(seconds=1))

    assert before.is_empty()
    assert before.schema == story.load().schema


def test_a_moment_to_come_is_today(story: Story) -> None:
    story.run()

    assert_frame_equal(story.load(as_of="2031-01-01"), story.load())


@pytest.mark.parametrize(
    "moment",
    ["2025-03-04T09:30", "2025-03-04 10:30+01:00", (START + timedelta(minutes=30)).replace(tzinfo=None)],
    ids=["text", "zone", "naive"],
)
def test_a_moment_is_said_as_a_start_is_and_without_a_zone_is_utc(story: Story, moment: str | datetime) -> None:
    story.run()
    then = story.load()
    story.goes_on()
    story.exchange.revise(key_of("SOLUSDT", SHORT))
    story.run()

    assert_frame_equal(story.load(as_of=moment), then)
    assert story.load(as_of="2025-03-04").is_empty()  # a day is its first instant


def test_an_archive_counts_from_the_moment_it_was_verified(story: Story) -> None:
    key = key_of("SOLUSDT", SHORT)
    story.exchange.put_object(key, body_of(story.exchange, key), checksum="none")
    story.run(SHORT)
    assert story.load().filter(symbol="SOLUSDT")["source"].unique().to_list() == ["rest"]
    story.goes_on()
    story.exchange.put_object(key, body_of(story.exchange, key))
    story.run(SHORT)

    assert archive_entry(story.lake, "SOLUSDT", SHORT)["revision"] == 1
    assert not story.load().filter(symbol="SOLUSDT", source="vision").is_empty()
    story.is_remembered()


def test_what_rest_vouched_for_reads_at_an_earlier_moment_with_the_same_values(
    exchange: EmbeddedExchange, lake: Lake
) -> None:
    story = Story(exchange, lake, make_dataset("BTCUSDT", on_checksum_mismatch=ChecksumPolicy.CROSS_CHECK))
    key = key_of("BTCUSDT", SHORT)
    exchange.put_object(key, body_of(exchange, key), checksum="stale")
    story.run(SHORT)
    [(moment, vouched)] = story.loaded.items()
    assert_frame_equal(story.load(as_of=moment), vouched)
    story.goes_on()
    exchange.revise(key)
    story.run(SHORT)

    provenance = ["source", "revision", "ingested_at"]
    assert vouched["source"].unique().to_list() == ["vision"]
    assert_frame_equal(story.load(as_of=moment).drop(provenance), vouched.drop(provenance))


def test_quote_volumes_of_coin_margined_contracts_are_made_as_the_merge_makes_them(
    exchange: EmbeddedExchange, lake: Lake
) -> None:
    story = Story(exchange, lake, make_dataset("BTCUSD_PERP", market="cm", start=SHORT))
    story.run(SHORT, TODAY)
    story.goes_on()
    exchange.revise(key_of("BTCUSD_PERP", SHORT).replace("data/spot", "data/futures/cm"))
    story.run(SHORT, TODAY)

    assert story.load()["revision"].max() == 2
    assert "contracts" in story.load().columns
    story.is_remembered()


def test_only_some_columns_lazily(story: Story) -> None:
    story.run()
    then = story.load()
    story.goes_on()
    story.exchange.revise(key_of("SOLUSDT", SHORT))
    story.run()

    lazy = scan("SOLUSDT", "1m", SHORT, "2025-03-02", columns=["close"], as_of=START, lake=story.lake.root)

    expected = then.filter(pl.col("symbol") == "SOLUSDT", pl.col("open_time").dt.date() == START.date().replace(day=1))
    assert_frame_equal(lazy.collect(), expected.select("close"))


def test_bytes_that_are_gone_are_named(story: Story) -> None:
    story.run(SHORT)
    digest = archive_entry(story.lake, "SOLUSDT", SHORT)["sha256_actual"]
    story.goes_on()
    story.exchange.revise(key_of("SOLUSDT", SHORT))
    story.run(SHORT)
    [old] = Path(story.lake.base, "vision/revisions").rglob("*.zip@*")
    old.unlink()

    with pytest.raises(DamagedFileError, match=f"Revision 1 of SOLUSDT .*{old.name}.*{digest}"):
        story.load(as_of=START)
    assert story.load(as_of=START + timedelta(hours=1)).height == story.load().height


@pytest.mark.parametrize(
    ("choice", "remedy"),
    [({"resampled": True}, "group its rows"), ({"require_complete": True}, "Leave require_complete out")],
    ids=["resampled", "complete"],
)
def test_what_speaks_of_today_alone_cannot_be_asked_of_the_past(
    story: Story, choice: dict[str, bool], remedy: str
) -> None:
    with pytest.raises(ConfigurationError, match=remedy):
        story.load(as_of=START, **choice)


def test_a_moment_that_is_none_is_refused(story: Story) -> None:
    with pytest.raises(ConfigurationError, match=r"as_of: .yesterday at T. is not an ISO time"):
        story.load(as_of="yesterday at T")
