"""`klines revisions`: which archives were rewritten, when that was seen, and what changed in them, value by value."""

import json
import shutil
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import NamedTuple

import pytest

from klines_pipeline import cli
from klines_pipeline.domain.utc_day import from_microseconds
from klines_pipeline.exchanges.registry import connect
from klines_pipeline.simulator.revisions import Revision
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.stages.ingest import Ingest
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.conftest import endpoints_of, make_dataset
from klines_pipeline_tests.faults.archives import key_of

DAY, NEXT = "2024-03-01", "2024-03-02"
LATER = datetime(2025, 3, 5, 9, tzinfo=UTC)
ETH = key_of("ETHUSDT", DAY)
DATASET = make_dataset("BTCUSDT", "ETHUSDT")


class Said(NamedTuple):
    """Exit code and what was printed where."""

    code: int
    out: str
    err: str

    @property
    def objects(self) -> list[dict[str, object]]:
        """JSON lines of standard output."""
        return [json.loads(line) for line in self.out.splitlines()]


Command = Callable[..., Said]


class Past(NamedTuple):
    """A lake, and how one of its archives was rewritten after it had it."""

    lake: Lake
    revision: Revision


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Past:
    """Two days of two symbols; then ETHUSDT's first day is rewritten. Only to be read."""
    lake = Lake(str(tmp_path_factory.mktemp("past") / "lake"))
    with EmbeddedExchange(rate=0) as exchange:

        def run(*days: str) -> None:
            market = connect("binance", "spot", endpoints_of(exchange))
            list(Ingest(lake, market, DATASET, log=lambda _: None).days([date.fromisoformat(day) for day in days]))

        run(DAY, NEXT)
        exchange.set_clock(LATER)
        revision = exchange.revise(ETH)
        run(DAY)
    return Past(lake, revision)


@pytest.fixture
def klines(past: Past, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """`klines("ETHUSDT", "--rows")`: `klines revisions` in a folder with a klines.yaml of one dataset."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KLINES_LAKE", past.lake.root)
    paragraph = "{interval: 1m, start: 2024-01-01, symbols: [BTCUSDT, ETHUSDT]}"
    (tmp_path / "klines.yaml").write_text(f"datasets: [{paragraph}]\n", "utf-8")

    def run(*words: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["klines", "revisions", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return Said(int(ended.value.code or 0), said.out, said.err)

    return run


def test_a_rewritten_archive_is_one_line_that_says_when_and_how_much(klines: Command, past: Past) -> None:
    [row] = klines("--json").objects

    assert row == {
        "symbol": "ETHUSDT",
        "date": DAY,
        "revision": 2,
        "seen_at": "2025-03-05T09:00:00+00:00",
        "verified_at": "2025-03-05T09:00:00+00:00",
        "last_modified": "2025-03-05T09:00:00+00:00",
        "rows_added": 0,
        "rows_removed": len(past.revision.removed),
        "rows_changed": len(past.revision.changed),
        "sha12": past.revision.sha256[:12],
    }
    table = klines().out
    assert "2025-03-05 09:00:00" in table
    assert past.revision.sha256[:12] in table


def test_what_changed_is_a_line_a_value_with_both_values(klines: Command, past: Past) -> None:
    values = klines("ETHUSDT", "--rows", "--json").objects

    times = {kind: {row["open_time"] for row in values if row["change"] == kind} for kind in ("changed", "removed")}
    assert times["changed"] == {from_microseconds(moment).isoformat() for moment in past.revision.changed}
    assert times["removed"] == {from_microseconds(moment).isoformat() for moment in past.revision.removed}
    doubled = [row for row in values if row["change"] == "changed" and row["column"] == "volume"]
    assert len(doubled) == len(past.revision.changed)
    assert all(row["after"] == pytest.approx(2 * row["before"]) for row in doubled)  # type: ignore[operator]
    assert {(row["symbol"], row["date"], row["revision"]) for row in values} == {("ETHUSDT", DAY, 2)}


def test_people_see_counts_without_decimals_and_prices_with_all_of_theirs(klines: Command, past: Past) -> None:
    lines = [line.split() for line in klines("--rows").out.splitlines()]

    trades = [line for line in lines if "trades" in line and "changed" in line]
    assert len(trades) == len(past.revision.changed)
    assert all(int(line[-1]) == int(line[-2]) + 1 for line in trades)


def test_first_versions_are_listed_when_all_are_asked_for(klines: Command) -> None:
    rows = klines("--all", "--json").objects

    assert [(row["symbol"], row["date"], row["revision"]) for row in rows] == [
        ("BTCUSDT", DAY, 1), ("ETHUSDT", DAY, 1), ("ETHUSDT", DAY, 2), ("BTCUSDT", NEXT, 1), ("ETHUSDT", NEXT, 1),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "words", [("BTCUSDT",), ("--day", "2024-03-02"), ("--start", "2024-03-02"), ("--rows", "BTCUSDT")]
)
def test_where_nothing_was_rewritten_it_says_so(klines: Command, words: tuple[str, ...]) -> None:
    said = klines(*words)

    assert (said.code, said.out) == (0, "")
    assert said.err == "binance/spot/klines_1m: no archive seen was rewritten.\n"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("ETHUSD",), "unknown symbol 'ETHUSD'. The nearest valid one is 'ETHUSDT'"),
        (("--end", "2024-03-01"), "has seen no archive of binance/spot/klines_1m for these days: it has 2024-03-01"),
        (("--dataset", "binance/spot/klines_1"), "unknown dataset"),
        (("--start", "2024-03-02", "--end", "2024-03-01"), "is not before"),
    ],
)
def test_mistakes_are_sentences(klines: Command, words: tuple[str, ...], sentence: str) -> None:
    said = klines(*words)

    assert (said.code, said.out) == (2, "")
    assert sentence in said.err


def test_bytes_that_are_gone_are_named(
    klines: Command, past: Past, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "lake"
    shutil.copytree(past.lake.base, copy)
    monkeypatch.setenv("KLINES_LAKE", str(copy))
    [old] = (copy / "vision/revisions").rglob("*.zip@*")
    old.unlink()

    said = klines("--rows")

    assert said.code == 2
    assert old.name in said.err
