"""Funding rates as they were known at a moment, and what rewritten monthly archives changed: as klines have both."""

import json
import sys
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from klines_pipeline import cli, load_funding
from klines_pipeline.domain.errors import ConfigurationError, DamagedFileError
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.stages.funding.ingest import FundingStage
from klines_pipeline.storage.funding_layout import FundingPaths
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.query.stories import FIRST, LAST, START, FundingStory

CHANGED = date(2025, 2, 27)
PATHS = FundingPaths("binance", "um", CHANGED)


@pytest.fixture
def story(exchange: EmbeddedExchange, lake: Lake) -> FundingStory:
    """February's archives and March's answers of REST; two hours later February is rewritten, in two values."""
    told = FundingStory(exchange, lake)
    told.run()
    told.goes_on(2)
    told.put(rate="0.00777000", without="2025-02-28")
    told.run()
    return told


def test_a_moment_before_a_revision_reads_as_it_did_then(story: FundingStory) -> None:
    then, now = story.loaded.values()

    assert (then["revision"].max(), now["revision"].max()) == (1, 2)
    assert not then.equals(now)
    story.is_remembered()
    assert_frame_equal(story.load(as_of="2025-03-04T10:59"), then)
    assert story.load(as_of=START - timedelta(seconds=1)).is_empty()


def test_a_day_counts_from_its_own_merge_and_not_from_the_months_download(story: FundingStory) -> None:
    story.goes_on()
    story.put(rate="0.00333000")
    story.run(FIRST, FIRST, stages=[FundingStage.VISION])
    story.goes_on()
    story.run(LAST, LAST)
    story.goes_on()
    story.run()

    assert story.load()["revision"].max() == 3
    story.is_remembered()


def test_a_version_whose_checksum_came_later_counts_from_the_merge_after_it(
    exchange: EmbeddedExchange, lake: Lake
) -> None:
    story = FundingStory(exchange, lake)
    story.put("none")
    story.run()
    story.goes_on()
    story.put()
    story.run()

    first, last = story.loaded.values()
    assert set(first.filter(symbol="BTCUSDT")["source"]) == {"rest"}
    assert "vision" in set(last.filter(symbol="BTCUSDT")["source"])
    story.is_remembered()


def test_bytes_or_a_ledger_that_are_gone_are_named_with_the_remedy(story: FundingStory) -> None:
    [old] = Path(story.lake.base, "vision/revisions").rglob("*.zip@*")
    content = old.read_bytes()
    old.unlink()
    with pytest.raises(DamagedFileError, match=f"Revision 1 of BTCUSDT .*{old.name}.* from a backup"):
        story.load(as_of=START)
    old.write_bytes(content)
    Path(story.lake.base, PATHS.revisions).unlink()

    with pytest.raises(DamagedFileError, match=r"funding_revisions/.*date=2025-02-01/.* Restore it from a backup"):
        story.load(as_of=START)
    assert_frame_equal(story.load(as_of=START + timedelta(hours=2)), story.load())


def test_what_rest_alone_has_reads_without_any_archive(exchange: EmbeddedExchange, lake: Lake) -> None:
    story = FundingStory(exchange, lake)
    story.run(date(2025, 3, 4), date(2025, 3, 4))
    story.goes_on(9)
    story.run(date(2025, 3, 4), date(2025, 3, 4))

    heights = [frame.height for frame in story.loaded.values()]
    assert heights[0] < heights[1]
    story.is_remembered()


def test_a_moment_that_is_none_is_refused(story: FundingStory) -> None:
    with pytest.raises(ConfigurationError, match="as_of: 'W10' is not a date"):
        load_funding("BTCUSDT", FIRST, LAST, as_of="W10", lake=story.lake.root)


# ---- klines revisions


def revisions(
    story: FundingStory, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str
) -> tuple[list[dict[str, object]], str]:
    """`klines revisions --dataset binance/um/funding`: its JSON lines, and what it says besides."""
    config = Path(story.lake.base).with_name("klines.yaml")
    paragraph = "{market: um, interval: 1h, start: 2025-02-01, symbols: [BTCUSDT, SOLUSDT], funding: true}"
    config.write_text(f"datasets: [{paragraph}]\n", "utf-8")
    monkeypatch.setenv("KLINES_CONFIG", str(config))
    monkeypatch.setenv("KLINES_LAKE", story.lake.root)
    monkeypatch.setattr(sys, "argv", ["klines", "revisions", "--dataset", "binance/um/funding", "--json", *words])
    with pytest.raises(SystemExit):
        cli.main()
    said = capsys.readouterr()
    return [json.loads(line) for line in said.out.splitlines()], said.err


def test_a_rewritten_month_is_one_line_that_says_when_and_how_much(
    story: FundingStory, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    [row], _ = revisions(story, monkeypatch, capsys)

    ledger = pl.read_parquet(Path(story.lake.base, PATHS.revisions), hive_partitioning=False)
    digest = ledger.filter(symbol="BTCUSDT", revision=2)["sha256"].item()
    assert (row["symbol"], row["date"], row["revision"], row["sha12"]) == ("BTCUSDT", "2025-02-01", 2, digest[:12])
    assert row["seen_at"] == row["verified_at"] == "2025-03-04T11:00:00+00:00"
    assert (row["rows_added"], row["rows_removed"], row["rows_changed"]) == (0, 1, 1)


def test_what_changed_in_a_month_is_a_line_a_value(
    story: FundingStory, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    then = next(iter(story.loaded.values())).filter(symbol="BTCUSDT")
    rates = dict(then.select("funding_time", "funding_rate").iter_rows())

    rows, _ = revisions(story, monkeypatch, capsys, "BTCUSDT", "--rows", "--day", "2025-02-27")

    told = [(row["funding_time"], row["change"], row["column"], row["before"], row["after"]) for row in rows]
    times = {name: next(time for time in rates if f"{time:%m-%d %H}" == name) for name in ("02-27 00", "02-28 00")}
    changed, removed = times["02-27 00"], times["02-28 00"]
    assert told[0] == (changed.isoformat(), "changed", "funding_rate", rates[changed], 0.00777)
    assert {row[:2] for row in told[1:]} == {(removed.isoformat(), "removed")}
    assert {row[2]: row[3] for row in told[1:]} == {
        "calc_time": then.filter(funding_time=removed)["calc_time"].dt.epoch("ms").item(),
        "interval_hours": 8,
        "funding_rate": rates[removed],
    }


def test_a_version_in_quarantine_has_not_been_verified(
    exchange: EmbeddedExchange, lake: Lake, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    story = FundingStory(exchange, lake)
    story.put("none")
    story.run()
    [first, other], _ = revisions(story, monkeypatch, capsys, "--all")
    assert (first["symbol"], first["verified_at"], other["verified_at"]) == ("BTCUSDT", None, other["seen_at"])
    story.goes_on()
    story.put()
    story.run()

    [row], _ = revisions(story, monkeypatch, capsys, "--all", "BTCUSDT")
    assert (row["revision"], row["seen_at"], row["verified_at"]) == (
        1, "2025-03-04T09:00:00+00:00", "2025-03-04T10:00:00+00:00",
    )  # fmt: skip


def test_where_no_month_was_rewritten_or_seen_it_says_so(
    story: FundingStory, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert revisions(story, monkeypatch, capsys, "SOLUSDT") == (
        [],
        "binance/um/funding: no archive seen was rewritten.\n",
    )
    rows, said = revisions(story, monkeypatch, capsys, "--start", "2025-03-01")
    assert (rows, "has seen no archive of binance/um/funding for these days: it has 2025-02-01" in said) == ([], True)
