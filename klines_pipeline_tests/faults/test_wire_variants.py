"""One set of rows in every form the exchange has written it: read alike."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.conftest import archive_entry, certificate, make_dataset
from klines_pipeline_tests.faults.archives import Lines, key_of, lines_of, member_of, pack
from klines_pipeline_tests.faults.conftest import Runner, assert_good

HEADER = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore"
)


def in_microseconds(line: str) -> str:
    """A line of either unit, in µs: a day's last microsecond ends in 999."""
    cells = in_milliseconds(line).split(",")
    return ",".join([f"{cells[0]}000", *cells[1:6], f"{cells[6]}999", *cells[7:]])


def in_milliseconds(line: str) -> str:
    """A line of either unit, in ms."""
    cells = line.split(",")
    return ",".join([cells[0][:13], *cells[1:6], cells[6][:13], *cells[7:]])


def half_and_half(lines: Lines) -> Lines:
    """Milliseconds until noon, microseconds after."""
    return [*map(in_milliseconds, lines[:720]), *map(in_microseconds, lines[720:])]


FORMS: dict[str, Callable[[Lines], str]] = {
    "milliseconds": lambda lines: "\n".join([*map(in_milliseconds, lines), ""]),
    "microseconds": lambda lines: "\n".join([*map(in_microseconds, lines), ""]),
    "both units in one file": lambda lines: "\n".join([*half_and_half(lines), ""]),
    "a header": lambda lines: "\n".join([HEADER, *lines, ""]),
    "a header and microseconds": lambda lines: "\n".join([HEADER, *map(in_microseconds, lines), ""]),
    "no last newline": "\n".join,
    "a header and no last newline": lambda lines: "\n".join([HEADER, *lines]),
    "line ends of Windows": lambda lines: "\r\n".join([*lines, ""]),
    "a header and line ends of Windows": lambda lines: "\r\n".join([HEADER, *lines, ""]),
    "no needless zeros": lambda lines: "\n".join([*(re.sub(r"(\.\d*?)0+,", r"\g<1>,", line) for line in lines), ""]),
}


@pytest.mark.parametrize("write", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("day", ["2024-03-01", "2025-02-01"], ids=["published in ms", "published in us"])
def test_the_form_of_an_archive_does_not_change_its_rows(
    exchange: EmbeddedExchange, run: Runner, lake: Lake, tmp_path: Path, day: str, write: Callable[[Lines], str]
) -> None:
    dataset, key = make_dataset("BTCUSDT"), key_of("BTCUSDT", day)
    usual = Lake(str(tmp_path / "usual"))
    run(dataset, day, into=usual)
    exchange.put_object(key, pack([(member_of(key), write(lines_of(exchange, key)).encode())]))
    exchange.reset_requests()

    assert_good(run(dataset, day))

    assert archive_entry(lake, "BTCUSDT", day)["state"] == "ok"
    assert certificate(lake, "BTCUSDT", day)["from_vision"] == 1440
    assert certificate(lake, "BTCUSDT", day)["fingerprint"] == certificate(usual, "BTCUSDT", day)["fingerprint"]
    assert exchange.requests()["rest_total"] == 0


def test_files_of_different_forms_meet_in_one_day(
    exchange: EmbeddedExchange, run: Runner, lake: Lake, tmp_path: Path
) -> None:
    dataset, day = make_dataset("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT"), "2024-03-01"
    usual = Lake(str(tmp_path / "usual"))
    run(dataset, day, into=usual)
    forms = [FORMS["a header"], FORMS["microseconds"], FORMS["no last newline"], FORMS["both units in one file"]]
    for symbol, write in zip(dataset.symbols, forms, strict=True):
        key = key_of(symbol, day)
        exchange.put_object(key, pack([(member_of(key), write(lines_of(exchange, key)).encode())]))

    assert_good(run(dataset, day))

    for symbol in dataset.symbols:
        assert certificate(lake, symbol, day)["from_vision"] == 1440
        assert certificate(lake, symbol, day)["fingerprint"] == certificate(usual, symbol, day)["fingerprint"]
