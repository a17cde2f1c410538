"""The `klines` command: tables for people, JSON for programs, one sentence and exit code 2 for mistakes."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import NamedTuple

import httpx
import polars as pl
import pytest

from klines_pipeline import cli
from klines_pipeline.exchanges.registry import connect
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.stages.funding.dataset import funding_datasets
from klines_pipeline.stages.funding.ingest import FundingIngest
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.layout import DayPaths
from klines_pipeline_tests.conftest import Run, endpoints_of, make_dataset

PARAGRAPH = "  - {{interval: {interval}, start: 2025-03-01, symbols: [BTCUSDT, 币安人生USDT]}}\n"
DATASET = make_dataset("BTCUSDT", "币安人生USDT", interval="1h", start="2025-03-01")


class Said(NamedTuple):
    """Exit code and what was printed where."""

    code: int
    out: str
    err: str


Command = Callable[..., Said]


@pytest.fixture
def klines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """`klines("status", "--json")`, run in a folder with a klines.yaml of one dataset."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "klines.yaml").write_text("lake: ./lake\ndatasets:\n" + PARAGRAPH.format(interval="1h"), "utf-8")

    def run(*words: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["klines", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return Said(int(ended.value.code or 0), said.out, said.err)

    return run


@pytest.fixture
def filled(ingest: Run, exchange: EmbeddedExchange) -> None:
    """2025-03-01 whole, 03-02 with the venue's halt, which hides no whole hour; 03-04 so far, without REST."""
    ingest(DATASET, "2025-03-01", "2025-03-02")
    exchange.add_fault(kind="blocked", group="rest")
    ingest(DATASET, "2025-03-04")


@pytest.mark.usefixtures("filled")
def test_status_shows_what_the_lake_holds(klines: Command) -> None:
    said = klines("status")

    assert said.code == 0
    assert "binance/spot/klines_1h" in said.out
    assert "blocked: 2" in said.out


@pytest.mark.usefixtures("filled")
def test_status_is_one_json_object_a_dataset(klines: Command) -> None:
    [row] = [json.loads(line) for line in klines("status", "--json").out.splitlines()]

    assert (row["dataset"], row["days"], row["first"], row["last"]) == (DATASET.name, 3, "2025-03-01", "2025-03-04")
    assert (row["klines"], row["missing_days"]) == (2 * 48, "2025-03-03")


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(
    ("words", "code", "rows"),
    [
        (["--day", "2025-03-01"], 0, 2),
        (["--end", "2025-03-03"], 0, 4),
        ([], 1, 6),
        (["BTCUSDT", "--start", "2025-03-04"], 1, 1),
        (["币安人生USDT", "--day", "2025-03-02"], 0, 1),
        (["--dataset", "binance/spot/klines_1h", "--day", "2025-03-01"], 0, 2),
    ],
)
def test_certificates_end_with_1_if_something_is_missing_without_evidence(
    klines: Command, words: list[str], code: int, rows: int
) -> None:
    said = klines("certificate", *words, "--json")

    assert (said.code, len(said.out.splitlines())) == (code, rows)


@pytest.mark.usefixtures("filled")
def test_a_certificate_shows_gap_reason_and_symbols_beyond_ascii(klines: Command) -> None:
    table = klines("certificate", "--day", "2025-03-04").out
    last = json.loads(klines("certificate", "--day", "2025-03-04", "--json").out.splitlines()[-1])

    assert "币安人生USDT" in table
    assert "00:00:00-09:00:00" in table
    assert (last["symbol"], last["missing"], last["reason"]) == ("币安人生USDT", 9, "blocked")


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["certificate", "BTCUSD"], "unknown symbol 'BTCUSD'. The nearest valid one is 'BTCUSDT'"),
        (["certificate", "--dataset", "binance/spot/klines_1m"], "The nearest valid one is 'binance/spot/klines_1h'"),
        (["certificate", "BTCUSDT", "BTCUSDD"], "unknown symbol 'BTCUSDD'. The nearest valid one is 'BTCUSDT'"),
        (["certificate", "--day", "2025-03-01", "--start", "2025-03-01"], "give one or the other"),
        (["revisions", "--day", "2025-03-01", "--end", "2025-03-04"], "give one or the other"),
        (["revisions", "--rows", "--all"], "a first version changed nothing: leave --all"),
        (["certificate", "--day", "2024-01-01"], "it has 2025-03-01 to 2025-03-04"),
        (["certificate", "--day", "1 March"], "'1 March' is not a date. Write it as YYYY-MM-DD"),
        (["statsu"], "No such command 'statsu'"),
    ],
)
def test_a_mistake_is_a_sentence_on_stderr_and_exit_code_2(klines: Command, words: list[str], sentence: str) -> None:
    said = klines(*words)

    assert (said.code, said.out) == (2, "")
    assert sentence in said.err
    assert "Traceback" not in said.err


@pytest.mark.parametrize("command", ["status", "certificate"])
@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "No dataset is configured. Write a klines.yaml here"),
        ("datasets: [{interval: 1M}]", "unknown interval '1M'"),
    ],
)
def test_a_missing_or_wrong_configuration_is_a_sentence(
    klines: Command, command: str, text: str, sentence: str
) -> None:
    Path("klines.yaml").write_text(text, "utf-8")

    said = klines(command)

    assert said.code == 2
    assert said.err.startswith("Error: ")
    assert sentence in said.err


def test_where_there_are_several_datasets_one_must_be_named(klines: Command) -> None:
    both = PARAGRAPH.format(interval="1h") + PARAGRAPH.format(interval="1m")
    Path("klines.yaml").write_text(f"datasets:\n{both}", "utf-8")

    said = klines("certificate")

    assert (
        said.err == "Error: Say which dataset: --dataset binance/spot/klines_1h or --dataset binance/spot/klines_1m.\n"
    )


@pytest.fixture
def funded(klines: Command, exchange: EmbeddedExchange, lake: Lake) -> Command:
    """A klines.yaml that asks for funding in two markets. One of them is kept: a day of archives, one without REST."""
    um, cm = (
        make_dataset(symbol, market=market, interval="1h", start="2025-02-28", funding=True)
        for market, symbol in (("um", "BTCUSDT"), ("cm", "BTCUSD_PERP"))
    )
    text = "  - {{market: {0}, interval: 1h, start: 2025-02-28, symbols: [{1}], funding: true}}\n"
    paragraphs = "".join(text.format(found.market, found.symbols[0]) for found in (um, cm))
    Path("klines.yaml").write_text(f"lake: ./lake\ndatasets:\n{paragraphs}", "utf-8")
    [kept] = funding_datasets([um])
    exchange.add_fault(kind="blocked", group="rest")
    run = FundingIngest(lake, connect("binance", "um", endpoints_of(exchange)), kept, log=lambda _: None)
    list(run.days([date(2025, 2, 28), date(2025, 3, 1)]))
    return klines


def test_funding_has_a_row_of_its_own_in_the_status(funded: Command) -> None:
    rows = {row["dataset"]: row for row in map(json.loads, funded("status", "--json").out.splitlines())}

    assert list(rows) == [
        "binance/um/klines_1h",
        "binance/cm/klines_1h",
        "binance/cm/funding",
        "binance/um/funding",
    ]
    kept = rows["binance/um/funding"]
    assert (kept["days"], kept["first"], kept["last"], kept["symbols"]) == (2, "2025-02-28", "2025-03-01", 1)
    assert (kept["klines"], kept["completeness_pct"], kept["incomplete"]) == (3, 50.0, "blocked: 1")
    assert (rows["binance/cm/funding"]["days"], rows["binance/cm/funding"]["klines"]) == (0, 0)


@pytest.mark.parametrize(
    ("words", "code", "present"),
    [
        ([], 1, [3, 0]),
        (["--day", "2025-02-28"], 0, [3]),
        (["BTCUSDT", "--start", "2025-03-01"], 1, [0]),
        (["--end", "2025-03-01"], 0, [3]),
    ],
)
def test_certificates_of_funding_are_shown_like_those_of_klines(
    funded: Command, words: list[str], code: int, present: list[int]
) -> None:
    said = funded("certificate", *words, "--dataset", "binance/um/funding", "--json")

    rows = [json.loads(line) for line in said.out.splitlines()]
    assert (said.code, [row["present"] for row in rows]) == (code, present)
    assert {row["symbol"] for row in rows} == {"BTCUSDT"}
    assert "00:00:00-24:00:00" in funded("certificate", "--dataset", "binance/um/funding").out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "--dataset binance/um/klines_1h or --dataset binance/cm/klines_1h or --dataset binance/cm/funding or"),
        (["--dataset", "binance/um/fundin"], "The nearest valid one is 'binance/um/funding'"),
        (["--dataset", "binance/cm/funding"], "no certificate of binance/cm/funding for these days: it has none"),
        (["BTCUSTD", "--dataset", "binance/um/funding"], "binance/um/funding: unknown symbol 'BTCUSTD'. The nearest"),
    ],
)
def test_a_mistake_about_funding_is_a_sentence(funded: Command, words: list[str], sentence: str) -> None:
    said = funded("certificate", *words)

    assert (said.code, said.out) == (2, "")
    assert sentence in said.err


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--start", "2025-03-02", "--end", "2025-03-04"], "2025-03-03 not in the lake. Materialize"),
        (["BTCUSDT", "--start", "2025-02-27", "--end", "2025-03-03"], "2025-02-27 to 2025-02-28 not in the lake."),
        (["--start", "2025-03-02", "--end", "2025-04-01"], "2025-03-03, 2025-03-05 to 2025-03-31 not in the lake."),
        ([], "2025-03-03 not in the lake."),
    ],
)
def test_days_that_nobody_has_looked_at_are_named_and_the_exit_code_is_1(
    klines: Command, words: list[str], said: str
) -> None:
    found = klines("certificate", *words)

    assert found.code == 1
    assert said in found.err
    assert "BTCUSDT" in found.out


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("lost", ["the file", "the row"])
def test_a_certificate_that_was_lost_is_missed(klines: Command, lake: Lake, lost: str) -> None:
    path = Path(lake.base, DayPaths.of(DATASET, date(2025, 3, 1)).certificates)
    rows = pl.read_parquet(path, hive_partitioning=False)
    path.unlink()
    if lost == "the row":
        rows.filter(pl.col("symbol") != "BTCUSDT").write_parquet(path)

    found = klines("certificate", "BTCUSDT", "--start", "2025-03-01", "--end", "2025-03-03")

    text = "2025-03-01 not in the lake" if lost == "the file" else "BTCUSDT has no certificate of 2025-03-01. Material"
    assert found.code == 1
    assert text in found.err


def test_the_module_is_the_command(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "klines_pipeline.cli", "status"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (2, "")
    assert "No dataset is configured." in done.stderr


def test_an_empty_lake_has_a_status_and_no_certificate(klines: Command, lake: Lake) -> None:
    assert klines("status").code == 0
    assert "it has none at all" in klines("certificate").err
    assert not Path(lake.base).exists()


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["status", "-h"], ["certificate", "--help"], ["exchange", "-h"]])
def test_every_command_explains_itself(klines: Command, words: list[str]) -> None:
    said = klines(*words)

    assert said.code == 0
    assert said.out.startswith("Usage: klines")


def test_the_installed_command_serves_an_exchange_until_interrupted() -> None:
    command = Path(sys.executable).with_name("klines")
    words = [str(command), "exchange", "--now", "2025-03-04T09:00:00", "--rate", "0"]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}
    ) as server:
        assert server.stdout is not None
        url = ""
        while not url:
            found = re.search(r"KLINES_BINANCE_SPOT_URL=['\"]?(\S+?)['\"]?$", server.stdout.readline().strip())
            url = found[1] if found else ""
        answer = httpx.get(f"{url}/api/v3/time").json()
        server.send_signal(signal.SIGINT)

        assert server.wait(20) == 0
    assert answer == {"serverTime": 1741078800000}
