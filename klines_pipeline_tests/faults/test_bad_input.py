"""What nobody can mean is refused at load or at once, naming field, value, line, and the nearest valid word."""

from pathlib import Path

import pytest

from klines_pipeline.defs.build import build_definitions
from klines_pipeline.domain.errors import ConfigurationError, UnknownNameError
from klines_pipeline.settings import Settings, read_config
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.conftest import make_dataset
from klines_pipeline_tests.faults.conftest import Runner, asked
from klines_pipeline_tests.faults.lakes import all_files

GOOD = """\
lake: ./lake
datasets:
  - exchange: binance
    market: spot
    interval: 1m
    start: 2024-01-01
    symbols: [BTCUSDT, ETHUSDT]
"""


def load(text: str, folder: Path) -> None:
    """Build everything from a klines.yaml, as a code location does."""
    path = folder / "klines.yaml"
    path.write_text(text, "utf-8")
    build_definitions(Settings.from_env({"KLINES_CONFIG": str(path), "KLINES_LAKE": str(folder / "lake")}))


def test_the_file_these_tests_spoil_is_good(tmp_path: Path) -> None:
    load(GOOD, tmp_path)


FIELDS = {
    "unknown interval": ("interval: 1m", "interval: 61m", 5, "interval", ["'61m'", "nearest valid one is '1m'"]),
    "interval in the wrong case": ("interval: 1m", "interval: 1M", 5, "interval", ["'1M'", "'1m'"]),
    "a weekly interval": ("interval: 1m", "interval: 1w", 5, "interval", ["'1w'", "nearest valid one"]),
    "a day in words": ("2024-01-01", "yesterday", 6, "start", ["'yesterday'", "YYYY-MM-DD"]),
    "a day the wrong way round": ("2024-01-01", "01.02.2024", 6, "start", ["'01.02.2024'", "YYYY-MM-DD"]),
    "a day with an hour": ("2024-01-01", "2024-01-01T10:00", 6, "start", ["2024-01-01", "YYYY-MM-DD"]),
    "no symbol at all": ("[BTCUSDT, ETHUSDT]", "[]", 7, "symbols", ["at least 1"]),
    "an empty symbol": ("[BTCUSDT, ETHUSDT]", "[BTCUSDT, '']", 7, "symbols.1", ["''"]),
    "a symbol that climbs": ("[BTCUSDT, ETHUSDT]", "[BTCUSDT, ../../etc]", 7, "symbols.1", ["'../../etc'"]),
    "a misspelt field": ("symbols:", "symbls:", 7, "symbls", ["nearest valid one is 'symbols'"]),
    "a field missing": ("    interval: 1m\n", "", 3, "interval", ["must be given"]),
    "a misspelt first word": ("lake:", "leke:", 1, "leke", ["nearest valid one is 'lake'"]),
    "a policy nobody has": (
        "interval: 1m",
        "interval: 1m\n    on_checksum_mismatch: ignore",
        6,
        "on_checksum_mismatch",
        ["'quarantine'", "'cross_check'", "'ignore'"],
    ),
}


@pytest.mark.parametrize(("old", "new", "line", "field", "words"), FIELDS.values(), ids=FIELDS)
def test_a_bad_field_is_refused_with_its_line(old: str, new: str, line: int, field: str, words: list[str]) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        read_config(GOOD.replace(old, new), "klines.yaml")

    message = str(refusal.value)
    assert f"klines.yaml, line {line}: " in message
    assert field in message
    assert all(word in message for word in words), message


@pytest.mark.parametrize(
    ("text", "line"),
    [("lake: [./lake\n", 2), ("lake: ./lake\n\tdatasets: []\n", 2), ("lake: 'open\n\n", 3), ("a: b: c\n", 1)],
    ids=["an open bracket", "a tab", "an open quote", "two colons"],
)
def test_what_is_not_yaml_is_refused_with_its_line(text: str, line: int) -> None:
    with pytest.raises(ConfigurationError, match=f"^klines.yaml, line {line}: not YAML"):
        read_config(text, "klines.yaml")


@pytest.mark.parametrize("text", ["- a\n- b\n", "just words\n", "datasets: spot\n", "datasets: [spot]\n", "42\n"])
def test_yaml_of_another_shape_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"klines\.yaml, line 1: "):
        read_config(text, "klines.yaml")


def test_every_problem_of_a_file_is_named_at_once() -> None:
    with pytest.raises(ConfigurationError) as refusal:
        read_config(GOOD.replace("1m", "7x").replace("2024-01-01", "soon"), "klines.yaml")

    assert [line.partition(": ")[0] for line in str(refusal.value).splitlines()] == [
        "klines.yaml, line 5",
        "klines.yaml, line 6",
    ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("exchange: binance", "exchange: binanse", "unknown exchange 'binanse'. The nearest valid one is 'binance'."),
        ("market: spot", "market: sopt", "unknown market of binance 'sopt'. The nearest valid one is 'spot'."),
    ],
)
def test_an_unknown_exchange_or_market_is_refused_at_load(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(UnknownNameError, match=message):
        load(GOOD.replace(old, new), tmp_path)


def test_one_dataset_in_two_paragraphs_is_refused(tmp_path: Path) -> None:
    _, _, paragraph = GOOD.partition("datasets:\n")

    with pytest.raises(ConfigurationError, match=r"datasets\.1: binance/spot/klines_1m stands in datasets\.0 already"):
        load(GOOD + paragraph, tmp_path)


def test_a_configuration_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"KLINES_CONFIG: there is no file '.*nowhere\.yaml'"):
        Settings.from_env({"KLINES_CONFIG": str(tmp_path / "nowhere.yaml")})


def test_a_lake_that_cannot_be_opened_is_named() -> None:
    with pytest.raises(ConfigurationError, match="lake: 'nosuch://bucket/prefix' cannot be opened"):
        Lake("nosuch://bucket/prefix")


@pytest.mark.parametrize(
    ("symbol", "nearest"),
    [("BTCUSTD", "BTCUSDT"), ("btcusdt", "BTCUSDT"), ("ETHUSD", "ETHUSDT"), ("BTC-USDT", "BTCUSDT")],
)
def test_an_unknown_symbol_is_refused_at_once_with_the_nearest_valid_one(
    exchange: EmbeddedExchange, run: Runner, lake: Lake, symbol: str, nearest: str
) -> None:
    dataset = make_dataset("SOLUSDT", symbol)

    with pytest.raises(UnknownNameError) as refusal:
        run(dataset, "2024-03-01")

    expected = f"binance/spot/klines_1m, symbols: unknown symbol {symbol!r}. The nearest valid one is {nearest!r}."
    assert str(refusal.value) == expected
    assert all_files(lake) == {}
    assert asked(exchange) == {"archives": 0, "checksums": 0, "rest": 2}  # is it named, has it klines


def test_a_symbol_that_exists_but_has_no_archive_yet_is_accepted(
    exchange: EmbeddedExchange, run: Runner, lake: Lake
) -> None:
    [result] = run(make_dataset("BTCUSDT", "NOVAUSDT"), "2025-03-01")

    assert not result.failures
    assert exchange.requests()["rest"].get("exchangeInfo", 0) <= 1
