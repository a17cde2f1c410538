"""The demo shows what it promises, and the README says only what is so."""

import ast
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import polars as pl
import pytest
import yaml

from klines_pipeline import load
from klines_pipeline.domain.states import Reason
from klines_pipeline.exchanges.registry import url_variables
from klines_pipeline.klines.agreement import RESAMPLED_EQUALS, REST_AGREES
from klines_pipeline.klines.quality import RULES
from klines_pipeline.klines.schema import CONTRACT_COLUMNS, KLINE_COLUMNS
from klines_pipeline.settings import read_config
from klines_pipeline.stages.funding.rules import FUNDING_RULES
from klines_pipeline_tests.acceptance.conftest import PROJECT

README = (PROJECT / "README.md").read_text("utf-8")


class Demo(NamedTuple):
    """One run of the demo."""

    folder: Path
    output: str
    exit_code: int


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    folder = tmp_path_factory.mktemp("newcomer")
    done = subprocess.run(
        [sys.executable, "-m", "klines_pipeline.demo"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return Demo(folder / "demo", done.stdout + done.stderr, done.returncode)


@pytest.mark.parametrize(
    "sight",
    [
        "a halt, absent from the archive and from REST alike: BTCUSDT on 2025-03-02 10:17 to 11:05",
        "a gap of the archive, filled from REST: SOLUSDT on 2025-03-01",
        "a day not yet published, served from REST alone: BTCUSDT on 2025-03-03",
        "a symbol not listed yet: NOVAUSDT on 2025-02-28 all day",
        "futures print flat bars instead, and they are counted: BTCUSDT on 2025-03-02",
        "a filter that meant BTCUSDT alone until NOVAUSDT was listed: NOVAUSDT on 2025-03-03 00:00 to 12:00",
        "a market without archives, from REST alone: BTC-USDT-SWAP on 2025-02-28",
        "funding from a monthly archive: BTCUSDT at 2025-02-28 00:00:00.008",
        "funding of a month without one, from REST: BTCUSDT at 2025-03-01 00:00:00.001",
        "OKX's realized rate: BTC-USDT-SWAP at 2025-02-28 00:00:00.000",
    ],
)
def test_the_demo_names_what_it_exists_to_show(demo: Demo, sight: str) -> None:
    assert demo.exit_code == 0, demo.output
    assert sight in demo.output


def test_the_demo_prints_a_certificate_for_every_symbol_day(demo: Demo) -> None:
    lines = re.findall(r"^(binance|okx)/(\w+) +2025-0\d-\d\d +\S+ +1440", demo.output, re.MULTILINE)

    spot, um, cm, okx = 4 * 5, 4 + 1, 4, 4
    assert Counter(lines) == {
        ("binance", "spot"): spot,
        ("binance", "um"): um,
        ("binance", "cm"): cm,
        ("okx", "spot"): okx,
        ("okx", "swap"): okx,
    }


def test_the_demo_puts_five_markets_side_by_side(demo: Demo) -> None:
    minute = demo.output.partition("One minute of bitcoin")[2].partition("Funding")[0]

    assert re.findall(r"│ (\w+/\w+) +┆ (BTC\S*)", minute) == [
        ("binance/spot", "BTCUSDT"),
        ("binance/um", "BTCUSDT"),
        ("binance/cm", "BTCUSD_PERP"),
        ("okx/spot", "BTC-USDT"),
        ("okx/swap", "BTC-USDT-SWAP"),
    ]


def test_the_demo_leaves_a_candlestick_picture(demo: Demo) -> None:
    [picture] = demo.folder.glob("*.png")

    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size > 10_000


def test_the_query_of_the_readme_prints_the_rows_of_the_readme(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    code, printed = re.findall(r"```python\n(.*?)```\n```\n(.*?)```", README, re.DOTALL)[0]
    call = ast.unparse(ast.parse(code).body[-1])
    monkeypatch.chdir(demo.folder.parent)

    frame = eval(call, {"load": load})  # noqa: S307 - the README's own line

    with pl.Config(tbl_hide_dataframe_shape=True):
        assert str(frame).strip() == printed.strip()


def test_every_variable_is_in_the_readme_and_every_one_in_the_readme_is_read() -> None:
    named = set(re.findall(r"KLINES_[A-Z_]+", README))
    known = {"KLINES_LAKE", "KLINES_CONFIG", "KLINES_LOG_LEVEL", "KLINES_ALERT_URL", "KLINES_STATE", *url_variables()}

    assert named == known


def test_the_column_table_of_the_readme_is_the_schema() -> None:
    table = README.partition("<!-- columns -->")[2].partition("<!-- /columns -->")[0]
    rows = [tuple(cell.strip() for cell in line.strip("|").split(" | ")) for line in table.strip().splitlines()[2:]]
    types = {"Datetime(time_unit='us', time_zone='UTC')": "Datetime(µs, UTC)"}

    expected = [
        (f"`{column.name}`", types.get(str(column.dtype), str(column.dtype)), column.meaning)
        for column in (*KLINE_COLUMNS, *CONTRACT_COLUMNS)
    ]
    assert rows == expected


def test_the_checks_of_the_readme_are_the_rules() -> None:
    named = set(re.findall(r"^\| `(\w+)` \| (ERROR|WARN) \|", README, re.MULTILINE))

    rules = [rule.truth for rule in (*RULES.values(), *FUNDING_RULES.values())]
    assert named == {(truth.name, truth.severity.value) for truth in (*rules, REST_AGREES, RESAMPLED_EQUALS)}


def test_every_reason_is_explained_in_the_readme() -> None:
    assert [reason for reason in Reason if f"`{reason}`" not in README] == []


def test_the_configuration_of_the_readme_is_accepted() -> None:
    [text] = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)

    config = read_config(text, "README.md")

    assert config.lake == "./lake"
    assert set(yaml.safe_load(text)["datasets"][0]) <= set(type(config.datasets[0]).model_fields)


def test_every_make_target_of_the_readme_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text("utf-8"), re.MULTILINE))

    assert set(re.findall(r"^\$ make ([a-z-]+)", README, re.MULTILINE)) <= targets


def test_ci_runs_the_readmes_test_command() -> None:
    command = (PROJECT / ".ci" / "run").read_text("utf-8").splitlines()[-1]

    assert f"$ {command} " in README
