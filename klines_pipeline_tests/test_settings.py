"""Settings: what klines.yaml and the environment say, and errors that name line, field and the nearest valid word."""

from datetime import date
from pathlib import Path

import pytest

from klines_pipeline.domain.errors import ConfigurationError
from klines_pipeline.domain.states import ChecksumPolicy
from klines_pipeline.domain.universe import Contract, Excluded, SymbolFilter
from klines_pipeline.settings import Settings, lake_options, read_config

ONE = """\
lake: ./lake
datasets:
  - market: spot
    interval: 1m
    start: 2024-01-01
    symbols: [ETHUSDT, BTCUSDT, ETHUSDT]
"""


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(text: str, path: str = "klines.yaml") -> Path:
    """A configuration file below the working folder."""
    file = Path.cwd() / path
    file.parent.mkdir(exist_ok=True)
    file.write_text(text, "utf-8")
    return file


def test_a_paragraph_becomes_a_dataset_with_the_documented_defaults() -> None:
    write(ONE)

    [dataset] = Settings.from_env({}).datasets

    assert dataset.name == "binance/spot/klines_1m"
    assert dataset.symbols == ("BTCUSDT", "ETHUSDT")
    assert dataset.start == date(2024, 1, 1)
    assert dataset.resample == ()
    assert dataset.on_checksum_mismatch is ChecksumPolicy.QUARANTINE


def test_every_field_of_a_paragraph_is_taken() -> None:
    write(
        "datasets:\n"
        "  - {exchange: okx, market: swap, interval: 1h, start: '2020-01-01', symbols: [BTC-USDT-SWAP, 币安人生USDT],\n"
        "     resample: [1d, 4h, 4h], on_checksum_mismatch: cross_check}\n"
    )

    [dataset] = Settings.from_env({}).datasets

    assert (dataset.exchange, dataset.market, str(dataset.interval)) == ("okx", "swap", "1h")
    assert dataset.symbols == ("BTC-USDT-SWAP", "币安人生USDT")
    assert [str(interval) for interval in dataset.resample] == ["4h", "1d"]
    assert dataset.on_checksum_mismatch is ChecksumPolicy.CROSS_CHECK


def test_intervals_above_a_day_are_computed_from_days_and_stand_in_order_of_length() -> None:
    write(paragraph(interval="1d", resample="[1M, 3d, 1w, 1w]"))

    [dataset] = Settings.from_env({}).datasets

    assert [str(interval) for interval in dataset.resample] == ["3d", "1w", "1M"]


@pytest.mark.parametrize("text", [None, "", "# nothing yet\n", "datasets: []\n"])
def test_without_datasets_there_is_still_a_lake(text: str | None) -> None:
    if text is not None:
        write(text)

    settings = Settings.from_env({})

    assert settings.datasets == ()
    assert settings.lake == str(Path.cwd() / "lake")
    assert settings.log_level == "INFO"
    assert settings.endpoints == {}


@pytest.mark.parametrize(
    ("lake", "environment", "found"),
    [
        ("./lake", {}, "{here}/conf/lake"),
        ("data/klines", {}, "{here}/conf/data/klines"),
        ("/var/lake", {}, "/var/lake"),
        ("s3://bucket/prefix", {}, "s3://bucket/prefix"),
        ("./lake", {"KLINES_LAKE": "/elsewhere"}, "/elsewhere"),
        ("./lake", {"KLINES_LAKE": ""}, "{here}/conf/lake"),
        ("s3://bucket", {"KLINES_LAKE": "s3://other/x"}, "s3://other/x"),
    ],
)
def test_a_relative_lake_lies_beside_the_file_and_the_environment_wins(
    lake: str, environment: dict[str, str], found: str
) -> None:
    file = write(f"lake: {lake}\n", "conf/klines.yaml")

    settings = Settings.from_env({"KLINES_CONFIG": str(file), **environment})

    assert Path(settings.lake) == Path(found.format(here=Path.cwd()))


def test_a_file_named_by_the_environment_must_be_there() -> None:
    with pytest.raises(ConfigurationError, match=r"KLINES_CONFIG: there is no file 'nowhere\.yaml'"):
        Settings.from_env({"KLINES_CONFIG": "nowhere.yaml"})


def test_endpoints_and_log_level_come_from_the_environment() -> None:
    urls = {
        f"KLINES_{name}_URL": f"http://127.0.0.1/{name.lower()}"
        for name in ("VISION_LIST", "VISION_DOWNLOAD", "BINANCE_SPOT", "BINANCE_UM", "BINANCE_CM", "OKX")
    }

    settings = Settings.from_env({**urls, "KLINES_LOG_LEVEL": "debug", "SOMETHING_URL": "x"})

    assert dict(settings.endpoints) == {name.removeprefix("KLINES_").lower(): url for name, url in urls.items()}
    assert settings.log_level == "DEBUG"


@pytest.mark.parametrize(
    ("lake", "environment", "options"),
    [
        ("s3://bucket", {"AWS_ENDPOINT_URL": "http://localhost:9000"}, {"endpoint_url": "http://localhost:9000"}),
        (
            "s3://bucket",
            {"AWS_ENDPOINT_URL_S3": "http://a", "AWS_ENDPOINT_URL": "http://b"},
            {"endpoint_url": "http://a"},
        ),
        ("s3://bucket", {}, {}),
        ("./lake", {"AWS_ENDPOINT_URL": "http://localhost:9000"}, {}),
    ],
)
def test_an_s3_compatible_lake_is_told_its_endpoint(
    lake: str, environment: dict[str, str], options: dict[str, str]
) -> None:
    assert lake_options(lake, environment) == options
    assert Settings.from_env({"KLINES_LAKE": lake, **environment}).lake_options == options


def paragraph(**fields: str) -> str:
    """ONE with fields replaced or added, on lines of their own from line 3."""
    known = {"market": "spot", "interval": "1m", "start": "2024-01-01", "symbols": "[BTCUSDT]"} | fields
    lines = [f"{name}: {value}" for name, value in known.items() if value]
    return "lake: ./lake\ndatasets:\n  - " + "\n    ".join(lines) + "\n"


FILTERED = [
    ("{quote: [USDT, USDC]}", SymbolFilter(quote=("USDT", "USDC"))),
    ("{exclude: [settled]}", SymbolFilter(exclude=frozenset({Excluded.SETTLED}))),
    ("{contract: delivery}", SymbolFilter(contract=Contract.DELIVERY)),
    (
        '{quote: [USDT], exclude: [stablecoins, leveraged], contract: perpetual, match: "^BTC"}',
        SymbolFilter(
            quote=("USDT",),
            exclude=frozenset({Excluded.STABLECOINS, Excluded.LEVERAGED}),
            contract=Contract.PERPETUAL,
            match="^BTC",
        ),
    ),
]


@pytest.mark.parametrize(("text", "chosen"), FILTERED)
def test_symbols_may_be_a_filter(text: str, chosen: SymbolFilter) -> None:
    write(paragraph(symbols=text))

    [dataset] = Settings.from_env({}).datasets

    assert (dataset.symbols, dataset.chosen) == ((), chosen)


WRONG = [
    (paragraph(symbols="{}"), 6, "symbols: an empty filter would mean every symbol there is"),
    (paragraph(symbols="{quote: []}"), 6, "symbols: an empty filter"),
    (paragraph(symbols="{match: '^(BTC'}"), 6, r"symbols.match: '\^\(BTC' is not a regular expression"),
    (
        paragraph(symbols="{match: 'a{99999999999}'}"),
        6,
        r"symbols.match: 'a\{99999999999\}' is not a regular expression",
    ),
    (
        paragraph(symbols="{exclude: [settled, stablecoin]}"),
        6,
        r"symbols.exclude.1: unknown exclusion 'stablecoin'\. The nearest valid one is 'stablecoins'",
    ),
    (paragraph(symbols="{contract: perp}"), 6, "symbols.contract: .*The nearest valid one is 'perpetual'"),
    (paragraph(symbols="{contract: [perpetual]}"), 6, "symbols.contract: .* is not text"),
    (paragraph(symbols="{quote: USDT}"), 6, r"symbols.quote: .*\(given: 'USDT'\)"),
    (paragraph(symbols="{quotes: [USDT]}"), 6, "symbols.quotes: no such field; the nearest valid one is 'quote'"),
    (
        paragraph(symbols="\n      quote: [USDT]\n      match: '['"),
        8,
        r"symbols.match: '\[' is not a regular expression",
    ),
    (paragraph(interval="1M"), 4, "interval: unknown interval '1M'. The nearest valid one is '1m'"),
    (paragraph(interval="60"), 4, "interval: unknown interval '60'"),
    (paragraph(start="'2024-13-01'"), 5, "start: '2024-13-01' is not a date. Write it as YYYY-MM-DD"),
    (paragraph(start="yesterday"), 5, "start: 'yesterday' is not a date"),
    (paragraph(start="2024-01-01T12:00:00"), 5, "is not a date"),
    (paragraph(symbols="[BTCUSDT, ../x]"), 6, r"symbols.1: '../x' cannot be a symbol"),
    (paragraph(symbols="[]"), 6, "symbols: "),
    (paragraph(symbols="BTCUSDT"), 6, r"symbols: .*\(given: 'BTCUSDT'\)"),
    (paragraph(symbls="[BTCUSDT]"), 7, "symbls: no such field; the nearest valid one is 'symbols'"),
    (paragraph(start=""), 3, "start: this field must be given"),
    (paragraph(on_checksum_mismatch="ignore"), 7, "on_checksum_mismatch: "),
    (paragraph(funding="perhaps"), 7, r"funding: .*\(given: 'perhaps'\)"),
    (paragraph(resample="[5m, 7m]"), 7, "resample.1: unknown interval '7m'"),
    (paragraph(resample="[1h, 1w]"), 3, "1w is computed from 1d: name it in a dataset of interval 1d"),
    (paragraph(interval="1d", resample="[1w, 4h]"), 3, "4h cannot be resampled from 1d"),
    (paragraph(resample="[1mo]"), 7, "resample.0: unknown interval '1mo'"),
    ("lake: ./lake\ndataset: []\n", 2, "dataset: no such field; the nearest valid one is 'datasets'"),
    ("lake: [1]\n", 1, "lake: "),
    (
        "automation:\n  freshness_minutes: 7\n",
        2,
        "automation.freshness_minutes: 7 minutes do not divide an hour or a day evenly. Use one of 1, 2, .* 480, 720",
    ),
    ("automation:\n  freshness_minutes: 90\n", 2, "automation.freshness_minutes: 90 minutes do not divide an hour"),
    ("automation:\n  freshness_minutes: often\n", 2, "automation.freshness_minutes: 'often' minutes"),
    (
        "lake: ./lake\nowners: [team:quants, quants]\n",
        2,
        "owners.1: 'quants' is no owner. Write team:NAME, or an e-mail",
    ),
    ("owners: ['team: ', ann@example]\n", 1, "owners.0: 'team: ' is no owner"),
    ("- just\n- a list\n", 1, "the file: "),
    ("lake: ./lake\ndatasets: [\n", 3, "not YAML"),
    ("lake: './lake\n", 2, "not YAML"),
]


@pytest.mark.parametrize(("text", "line", "sentence"), WRONG)
def test_what_is_wrong_is_told_with_line_and_field(text: str, line: int, sentence: str) -> None:
    write(text)

    with pytest.raises(ConfigurationError, match=f"^klines.yaml, line {line}: .*{sentence}"):
        Settings.from_env({})


@pytest.mark.parametrize(
    ("minutes", "cron"), [(1, "*/1 * * * *"), (30, "*/30 * * * *"), (60, "0 */1 * * *"), (720, "0 */12 * * *")]
)
def test_minutes_between_ticks_become_a_cron_schedule(minutes: int, cron: str) -> None:
    config = read_config(f"automation: {{freshness_minutes: {minutes}}}", "klines.yaml")

    assert config.automation.automation().freshness_cron == cron


def test_owners_are_teams_and_addresses_and_nobody_by_default() -> None:
    write("owners: [team:quants, ann@example.com]\n")

    assert Settings.from_env({}).owners == ("team:quants", "ann@example.com")
    write("lake: ./lake\n")
    assert Settings.from_env({}).owners == ()


def test_several_mistakes_are_told_at_once() -> None:
    with pytest.raises(ConfigurationError) as refused:
        read_config(paragraph(interval="2m", start="soon", colour="red"), "klines.yaml")

    assert [line.split(": ")[1].rpartition(".")[2] for line in str(refused.value).splitlines()] == [
        "interval",
        "start",
        "colour",
    ]


def test_a_dataset_that_stands_twice_is_refused() -> None:
    write(ONE + ONE.partition("datasets:\n")[2])

    with pytest.raises(ConfigurationError, match=r"datasets\.1: binance/spot/klines_1m stands in datasets\.0 already"):
        Settings.from_env({})
