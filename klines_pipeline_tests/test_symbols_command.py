"""`klines symbols`: lists and filters, as of a day, in pipes and terminals, and says what it leaves out."""

import io
import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import polars as pl
import pytest

from klines_pipeline import cli
from klines_pipeline.simulator.server import EmbeddedExchange

PERPETUALS = [
    "1000SHIBUSDT", "BTCUSDC", "BTCUSDT", "CVCUSDTSETTLED", "ETHBTC", "ETHUSDT", "FTTUSDT", "ICPUSDT_SETTLED",
    "JUPUSDT", "NOVAUSDT", "RAYUSDT", "SOLUSDT", "SYRUPUSDT", "TLMUSDT", "USDCUSDT", "币安人生USDT",
]  # fmt: skip
"""Those with archives on USD-M, by name."""


class Said(NamedTuple):
    """Exit code and what was printed where."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """Of standard output."""
        return self.out.splitlines()


Command = Callable[..., Said]


@pytest.fixture
def klines(
    exchange: EmbeddedExchange, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """`klines("--market", "um", stdin="A B")`: `klines symbols` on the embedded exchange, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    for name, value in exchange.environment().items():
        monkeypatch.setenv(name, value)

    def run(*words: str, stdin: str = "") -> Said:
        monkeypatch.setattr(sys, "argv", ["klines", "symbols", *words])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return Said(int(ended.value.code or 0), said.out, said.err)

    return run


@pytest.fixture
def um(klines: Command) -> Command:
    """`klines symbols --market um ...` over a table that is there."""
    assert klines("--market", "um", "--refresh").code == 0

    def run(*words: str, stdin: str = "") -> Said:
        return klines("--market", "um", *words, stdin=stdin)

    return run


def test_without_a_table_it_says_how_to_make_one(klines: Command) -> None:
    said = klines("--market", "cm")

    assert said.code == 2
    assert said.err.count("\n") == 1
    assert "klines symbols --exchange binance --market cm --refresh" in said.err
    assert "Materialize binance/cm/symbols" in said.err


def test_a_refresh_prints_what_it_took_apart_from_the_names(klines: Command) -> None:
    said = klines("--market", "cm", "--refresh")

    assert said.lines == [
        "BTCUSD_241227", "BTCUSD_250328", "BTCUSD_PERP", "ETHUSD_250328", "ETHUSD_PERP", "XMRUSD_PERP",
    ]  # fmt: skip
    assert "binance/cm/symbols: 6 symbols, " in said.err


def test_filters_are_joined_by_and(um: Command) -> None:
    assert [name for name in um("--contract", "perpetual").lines if name != "AURAUSDT"] == PERPETUALS
    assert um("--contract", "delivery").lines == ["BTCUSDT_241227", "BTCUSDT_250328", "BTCUSDT_250627"]
    assert um("--quote", "USDC", "--quote", "BTC").lines == ["BTCUSDC", "ETHBTC"]
    assert um("--match", "^USDC", "--exclude", "stablecoins").lines == []
    assert "CVCUSDTSETTLED" not in um("--exclude", "settled", "--exclude", "stablecoins").lines
    assert um("--match", "人").lines == ["币安人生USDT"]


@pytest.mark.parametrize(
    ("day", "there", "not_there"),
    [
        ("2019-10-01", {"BTCUSDT"}, {"ETHUSDT"}),
        ("2022-06-01", {"RAYUSDT", "TLMUSDT", "FTTUSDT"}, {"JUPUSDT", "BTCUSDT_250328", "AURAUSDT"}),
        ("2022-12-01", {"FTTUSDT", "BTCUSDT"}, {"RAYUSDT", "TLMUSDT"}),
        ("2025-03-04", {"NOVAUSDT", "TLMUSDT", "BTCUSDT_250328"}, {"RAYUSDT", "FTTUSDT", "BTCUSDT_241227", "AURAUSDT"}),
    ],
)
def test_as_of_a_day_it_is_what_was_traded_then(um: Command, day: str, there: set[str], not_there: set[str]) -> None:
    names = set(um("--on", day).lines)

    assert there <= names
    assert not names & not_there


def test_what_trades_today_and_what_does_not_are_all_there_is(um: Command) -> None:
    listed, delisted = um("--listed").lines, um("--delisted").lines

    assert sorted(listed + delisted) == um().lines
    assert delisted == ["AURAUSDT", "BTCUSDT_241227", "CVCUSDTSETTLED", "FTTUSDT", "ICPUSDT_SETTLED", "RAYUSDT"]


def test_names_from_a_pipe_keep_their_order(um: Command) -> None:
    names = um("--contract", "perpetual", "-", stdin="SOLUSDT\nBTCUSDT_250328\nBTCUSDT\n币安人生USDT\n")

    assert names.lines == ["SOLUSDT", "BTCUSDT", "币安人生USDT"]
    assert um("ETHUSDT", "-", "BTCUSDT", stdin="SOLUSDT ETHUSDT").lines == ["ETHUSDT", "SOLUSDT", "BTCUSDT"]
    assert um("-", stdin="").lines == []


def test_json_is_one_object_a_line_with_every_column(um: Command) -> None:
    [row] = [json.loads(line) for line in um("TLMUSDT", "--json").lines]

    assert row["holes"] == [{"start": "2022-06-11", "end": "2023-03-27"}]
    assert (row["first_day"], row["reused"], row["contract"]) == ("2021-05-11", True, "perpetual")
    assert row["checked_at"] == "2025-03-04T09:00:00+00:00"


def test_an_unknown_quote_is_told_on_stderr_and_never_dropped_in_silence(
    um: Command, exchange: EmbeddedExchange
) -> None:
    exchange.put_object("data/futures/um/daily/klines/ODDCOIN/1d/ODDCOIN-1d-2024-01-01.zip", b"x")
    assert um("--refresh").code == 0

    filtered = um("--quote", "USDC")

    assert filtered.lines == ["BTCUSDC"]
    assert filtered.err == "Left out, for nobody knows the quote asset: ODDCOIN\n"
    assert "ODDCOIN" in um().lines


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--market", "umm"], "unknown market of binance 'umm'. The nearest valid one is 'um'"),
        (["--exclude", "stable"], "unknown exclusion 'stable'. The nearest valid one is 'stablecoins'"),
        (["--contract", "perp"], "unknown contract 'perp'. The nearest valid one is 'perpetual'"),
        (["--match", "["], "'[' is not a regular expression"),
        (["--match", "a{99999999999}"], "'a{99999999999}' is not a regular expression"),
        (["--on", "yesterday"], "'yesterday' is not a date"),
    ],
)
def test_a_mistake_is_a_sentence_and_exit_code_2(klines: Command, words: list[str], sentence: str) -> None:
    said = klines(*words)

    assert (said.code, said.out) == (2, "")
    assert sentence in said.err


def test_a_name_or_quote_that_the_market_never_had_is_refused_with_the_nearest(um: Command) -> None:
    name, quote = um("BTCUSD", "ETHUSDT"), um("--quote", "USDTT")

    assert (name.code, name.out, quote.code) == (2, "", 2)
    assert "unknown symbol 'BTCUSD'" in name.err
    assert "unknown quote 'USDTT'. The nearest valid one is 'USDT'" in quote.err


def test_what_a_refresh_cannot_have_is_told_and_the_exit_code_is_1(klines: Command, exchange: EmbeddedExchange) -> None:
    exchange.add_fault(kind="blocked", group="rest")
    blocked = klines("--market", "cm", "--refresh")
    exchange.clear_faults()
    exchange.add_fault(kind="status", group="rest", status=418, headers={"Retry-After": "120"})
    banned = klines("--market", "um", "--refresh")

    assert (blocked.code, banned.code) == (0, 1)
    assert "Could not be had: exchangeInfo" in banned.err
    assert "RAYUSDT" in banned.lines
    assert "does not serve this address" in blocked.err
    assert "XMRUSD_PERP" in blocked.lines


def test_in_a_terminal_it_is_a_table_and_pipes_compose(um: Command, tmp_path: Path) -> None:
    command = str(Path(sys.executable).with_name("klines"))
    primary, secondary = pty.openpty()
    environment = {**os.environ, "COLUMNS": "200"}
    subprocess.run([command, "symbols", "--market", "um", "TLMUSDT"], stdout=secondary, env=environment, check=True)
    os.close(secondary)
    table = os.read(primary, 65_536).decode()
    os.close(primary)
    pipe = f"{command} symbols --market um | {command} symbols --market um --contract delivery -"
    piped = subprocess.run(["/bin/sh", "-c", pipe], capture_output=True, text=True, check=True)

    assert "first_day" in table
    assert "2022-06-11 to 2023-03-27" in table
    assert piped.stdout.split() == ["BTCUSDT_241227", "BTCUSDT_250328", "BTCUSDT_250627"]
    assert pl.read_parquet(tmp_path / "lake/ledger/symbols/**/*.parquet").height == len(um().lines)
