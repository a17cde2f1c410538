"""The table as it was known at a moment: what `load` returned then is what `load(as_of=...)` returns ever after."""

import shutil
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from klines_pipeline import scan
from klines_pipeline.domain.errors import ConfigurationError, DamagedFileError
from klines_pipeline.domain.states import ChecksumPolicy
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.stages.ingest import Stage
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.layout import DayPaths
from klines_pipeline_tests.conftest import archive_entry, make_dataset
from klines_pipeline_tests.faults.archives import body_of, key_of
from klines_pipeline_tests.query.stories import DAYS, SHORT, START, TODAY, YESTERDAY, Story


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


def test_what_rest_vouched_for_counts_from_the_merge_that_used_it(exchange: EmbeddedExchange, lake: Lake) -> None:
    story = Story(exchange, lake, make_dataset("BTCUSDT", on_checksum_mismatch=ChecksumPolicy.CROSS_CHECK))
    key = key_of("BTCUSDT", SHORT)
    exchange.put_object(key, body_of(exchange, key), checksum="none")
    exchange.add_fault(kind="blocked", group="rest")
    story.run(SHORT)
    assert story.load().is_empty()
    story.goes_on()
    exchange.clear_faults()
    story.run(SHORT)
    assert story.load()["source"].unique().to_list() == ["vision"]
    story.goes_on()
    exchange.revise(key)
    story.run(SHORT)

    assert story.load()["revision"].max() == 2
    story.is_remembered()


@pytest.mark.parametrize("policy", list(ChecksumPolicy))
def test_another_policy_counts_from_the_merge_that_obeyed_it(
    exchange: EmbeddedExchange, lake: Lake, policy: ChecksumPolicy
) -> None:
    story = Story(exchange, lake, make_dataset("BTCUSDT", on_checksum_mismatch=policy))
    exchange.put_object(story.key(), body_of(exchange, story.key()), checksum="none")
    for kind in (policy, *(other for other in ChecksumPolicy if other is not policy), policy):
        story.dataset = replace(story.dataset, on_checksum_mismatch=kind)
        story.run(SHORT)
        story.goes_on()

    sources = [set(frame["source"]) for frame, _ in story.loaded.values()]
    assert sources[0] == sources[2] != sources[1]
    story.is_remembered()


@pytest.mark.parametrize("stage", [Stage.VISION, Stage.REST])
def test_what_was_taken_in_and_not_merged_was_not_known(story: Story, stage: Stage) -> None:
    story.run()
    story.goes_on()
    story.exchange.revise(story.key("SOLUSDT"))
    story.run(*DAYS, stages=[stage])
    story.goes_on()
    story.run()

    frames = [frame for frame, _ in story.loaded.values()]
    assert frames[0].equals(frames[1])
    assert not frames[1].equals(frames[2])
    story.is_remembered()


def test_a_run_killed_before_its_table_was_published_is_no_merge(story: Story) -> None:
    story.run(SHORT)
    table = Path(story.lake.base, DayPaths.of(story.dataset, date(2025, 3, 1)).klines)
    proof = Path(story.lake.base, DayPaths.of(story.dataset, date(2025, 3, 1)).certificates)
    before = table.read_bytes(), proof.read_bytes()
    story.goes_on()
    story.exchange.revise(story.key("SOLUSDT"))
    story.run(SHORT)
    table.write_bytes(before[0])
    proof.write_bytes(before[1])
    story.remember()
    story.goes_on()
    story.run(SHORT)

    assert story.load()["revision"].max() == 2
    story.is_remembered()


@pytest.mark.parametrize("lost", [["klines"], ["klines", "certificates"]])
def test_a_lost_table_made_anew_has_its_past(story: Story, lost: list[str]) -> None:
    story.run()
    story.goes_on()
    story.exchange.revise(story.key("SOLUSDT"))
    story.run()
    story.goes_on()
    for name in lost:
        Path(story.lake.base, getattr(DayPaths.of(story.dataset, date(2025, 3, 1)), name)).unlink()
    story.run()

    story.is_remembered()


def test_a_lazy_frame_is_of_its_moment_whenever_it_is_collected(story: Story) -> None:
    story.run()
    then, lazy = story.loaded[START]
    assert_frame_equal(lazy.collect(), then)
    for _ in range(2):
        story.goes_on()
        story.exchange.revise(story.key("SOLUSDT"))
        story.run()

        assert_frame_equal(lazy.collect(), then)
    some = lazy.filter(pl.col("close") > 90, pl.col("symbol") == "SOLUSDT").select("open_time", "close")
    expected = then.filter(pl.col("close") > 90, pl.col("symbol") == "SOLUSDT").select("open_time", "close")
    assert_frame_equal(some.collect(), expected)
    assert_frame_equal(some.head(3).collect(), expected.head(3))
    assert lazy.select(pl.len()).collect().item() == then.height


def test_days_merged_before_their_merges_were_listed_count_a_version_from_when_it_was_verified(story: Story) -> None:
    story.run()
    ledgers = Path(story.lake.base, "ledger/merges")
    shutil.rmtree(ledgers)
    for _ in range(2):
        story.goes_on()
        story.exchange.revise(story.key("SOLUSDT"))
        story.run()

    assert ledgers.is_dir()
    story.is_remembered()
    shutil.rmtree(ledgers)
    story.is_remembered()


@pytest.mark.parametrize("merges", ["listed", "gone"])
@pytest.mark.parametrize("damage", ["gone", "damaged", "shortened"])
def test_a_past_that_the_ledgers_no_longer_tell_is_said_to_be_lost(story: Story, merges: str, damage: str) -> None:
    story.run(SHORT)
    story.goes_on()
    story.exchange.revise(story.key("SOLUSDT"))
    story.run(SHORT)
    ledger = Path(story.lake.base, DayPaths.of(story.dataset, date(2025, 3, 1)).revisions)
    if merges == "gone":
        shutil.rmtree(Path(story.lake.base, "ledger/merges"))
    if damage == "gone":
        ledger.unlink()
    elif damage == "damaged":
        ledger.write_bytes(b"PAR1")
    else:
        pl.read_parquet(ledger, hive_partitioning=False).filter(pl.col("revision") > 1).write_parquet(ledger)

    with pytest.raises(DamagedFileError, match=r"ledger/revisions/.*date=2025-03-01/.* Restore it from a backup"):
        story.load(as_of=START)
    if damage != "damaged":
        assert story.load(as_of=START + timedelta(hours=1)).equals(story.load())


@pytest.mark.parametrize(
    "moment",
    [
        datetime.max.replace(tzinfo=timezone(timedelta(hours=-5))),
        datetime.min.replace(tzinfo=timezone(timedelta(hours=5))),
        "9999-12-31T23:59:59-05:00",
    ],
)
def test_a_moment_past_the_calendar_is_refused_in_words(story: Story, moment: str | datetime) -> None:
    with pytest.raises(ConfigurationError, match=r"not within the years 1 to 9999\. Give a moment that is"):
        story.load(as_of=moment)


@pytest.mark.parametrize("moment", ["2025-W10-2", "2025-W10-2T09:00", "20250304", "20250304T090000"])
def test_only_calendar_dates_with_hyphens_are_moments(story: Story, moment: str) -> None:
    with pytest.raises(ConfigurationError, match=f"as_of: '{moment}' is not"):
        story.load(as_of=moment)


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
