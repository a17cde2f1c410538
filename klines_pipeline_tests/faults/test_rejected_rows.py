"""Rows that cannot be klines of the day are taken out, counted and kept aside; odd but real ones stay."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.conftest import archive_entry, certificate, make_dataset, read_day
from klines_pipeline_tests.faults.archives import Lines, key_of, rewrite, with_cell
from klines_pipeline_tests.faults.conftest import Runner, asked, asked_klines, assert_good

DAY = "2024-03-01"
ETH = key_of("ETHUSDT", DAY)
ROW = 700
DAY_IN_MS = 86_400_000


def with_line(number: int, column: int, text: str) -> Callable[[Lines], Lines]:
    """Another text in one cell of one line."""
    return lambda lines: [*lines[:number], with_cell(lines[number], column, text), *lines[number + 1 :]]


def shifted(line: str, milliseconds: int) -> str:
    """The line with another open_time."""
    return with_cell(line, 0, str(int(line.partition(",")[0]) + milliseconds))


IMPOSSIBLE = {
    "NaN price": (with_line(ROW, 1, "NaN"), "non_finite"),
    "infinite high": (with_line(ROW, 2, "inf"), "non_finite"),
    "minus infinity": (with_line(ROW, 3, "-inf"), "non_finite"),
    "infinite volume": (with_line(ROW, 5, "Infinity"), "non_finite"),
    "negative close": (with_line(ROW, 4, "-1.0"), "negative"),
    "negative volume": (with_line(ROW, 5, "-0.5"), "negative"),
    "negative trades": (with_line(ROW, 8, "-3"), "negative"),
    "negative taker volume": (with_line(ROW, 10, "-7"), "negative"),
    "high below low": (with_line(ROW, 2, "0.01"), "high_below_low"),
    "no price": (with_line(ROW, 1, ""), "malformed"),
    "a line cut short": (lambda lines: [*lines[:ROW], lines[ROW][:40], *lines[ROW + 1 :]], "malformed"),
    "the day before": (lambda lines: [*lines[:ROW], shifted(lines[ROW], -DAY_IN_MS), *lines[ROW + 1 :]], "outside_day"),
    "the day after": (lambda lines: [*lines[:ROW], shifted(lines[ROW], DAY_IN_MS), *lines[ROW + 1 :]], "outside_day"),
}


@pytest.mark.parametrize(("change", "reason"), IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_an_impossible_row_is_kept_aside_and_rest_gives_the_right_one(
    exchange: EmbeddedExchange, run: Runner, lake: Lake, change: Callable[[Lines], Lines], reason: str
) -> None:
    dataset = make_dataset("BTCUSDT", "ETHUSDT")
    rewrite(exchange, ETH, change)

    [result] = run(dataset, DAY)

    assert_good([result])
    assert archive_entry(lake, "ETHUSDT", DAY)["state"] == "ok"
    assert archive_entry(lake, "ETHUSDT", DAY)["rows"] == 1439
    rejected = read_day(lake, "ledger/rejected", DAY)
    assert rejected.select("symbol", "source", "reason").rows() == [("ETHUSDT", "vision", reason)]
    assert result.archived is not None
    assert result.archived.rejected == 1
    filled = certificate(lake, "ETHUSDT", DAY)
    assert (filled["from_vision"], filled["from_rest"], filled["missing"], filled["reason"]) == (1439, 1, 0, None)
    assert certificate(lake, "BTCUSDT", DAY)["from_vision"] == 1440
    assert asked_klines(exchange) == 1


def test_a_row_of_another_day_beside_a_whole_day_costs_no_request(
    exchange: EmbeddedExchange, run: Runner, lake: Lake
) -> None:
    dataset = make_dataset("ETHUSDT")
    rewrite(exchange, ETH, lambda lines: [shifted(lines[0], -DAY_IN_MS), *lines, shifted(lines[0], DAY_IN_MS)])
    exchange.reset_requests()

    assert_good(run(dataset, DAY))

    assert read_day(lake, "ledger/rejected", DAY)["reason"].to_list() == ["outside_day", "outside_day"]
    assert certificate(lake, "ETHUSDT", DAY)["from_vision"] == 1440
    assert exchange.requests()["rest_total"] == 0


def test_rejected_rows_are_listed_once_however_often_the_day_is_run(
    exchange: EmbeddedExchange, run: Runner, lake: Lake
) -> None:
    dataset = make_dataset("BTCUSDT", "ETHUSDT")
    rewrite(exchange, ETH, with_line(ROW, 1, "NaN"))
    run(dataset, DAY)
    before = read_day(lake, "ledger/rejected", DAY)
    exchange.reset_requests()

    assert_good(run(dataset, DAY))

    assert read_day(lake, "ledger/rejected", DAY).equals(before)
    assert asked(exchange) == {"archives": 0, "checksums": 0, "rest": 0}


@pytest.mark.parametrize(
    ("change", "duplicates"),
    [
        (lambda lines: lines[::-1], 0),
        (lambda lines: [*lines[900:], *lines[:900]], 0),
        (lambda lines: [*lines, lines[0], lines[ROW]], 2),
        (lambda lines: [line for line in lines for _ in range(3)], 2880),
    ],
    ids=["backwards", "rotated", "two rows twice", "every row thrice"],
)
def test_unsorted_and_repeated_rows_make_the_same_table(
    exchange: EmbeddedExchange,
    run: Runner,
    lake: Lake,
    change: Callable[[Lines], Lines],
    duplicates: int,
    tmp_path: Path,
) -> None:
    dataset = make_dataset("BTCUSDT", "ETHUSDT")
    usual = Lake(str(tmp_path / "usual"))
    run(dataset, DAY, into=usual)
    rewrite(exchange, ETH, change)
    exchange.reset_requests()

    [result] = run(dataset, DAY)

    assert_good([result])
    assert result.archived is not None
    assert result.archived.duplicates == duplicates
    assert read_day(lake, "klines", DAY).equals(read_day(usual, "klines", DAY))
    assert certificate(lake, "ETHUSDT", DAY)["from_vision"] == 1440
    assert exchange.requests()["rest_total"] == 0


def test_open_times_off_the_grid_are_kept_and_reported(exchange: EmbeddedExchange, run: Runner, lake: Lake) -> None:
    dataset = make_dataset("BTCUSDT", "ETHUSDT")
    rewrite(exchange, ETH, lambda lines: [*lines[:360], *(shifted(line, 20_799) for line in lines[360:])])
    exchange.reset_requests()

    [result] = run(dataset, DAY)

    assert_good([result])
    assert result.merged is not None
    assert result.merged.off_grid == 1080
    odd = certificate(lake, "ETHUSDT", DAY)
    assert (odd["present"], odd["from_vision"], odd["missing"]) == (1440, 1440, 0)
    seconds = read_day(lake, "klines", DAY).filter(symbol="ETHUSDT")["open_time"].dt.epoch("ms") % 60_000
    assert seconds.unique().sort().to_list() == [0, 20_799]
    assert exchange.requests()["rest_total"] == 0


def test_impossible_rows_from_rest_are_kept_aside_too(exchange: EmbeddedExchange, run: Runner, lake: Lake) -> None:
    dataset = make_dataset("XRPUSDT", interval="1h")
    start = 1_740_787_200_000
    good = [
        [start + 3_600_000 * hour, *"11111", start + 3_600_000 * (hour + 1) - 1, "1", 1, "1", "1", "0"]
        for hour in range(24)
    ]
    bad = [*good[:7], [good[7][0], "1", "1", "2", *good[7][4:]], *good[8:]]
    exchange.add_fault(kind="status", status=200, body=json.dumps(bad), match="/api/v3/klines")

    assert_good(run(dataset, "2025-03-01"))

    rejected = read_day(lake, "ledger/rejected", "2025-03-01", interval="1h")
    assert rejected.select("symbol", "source", "reason").rows() == [("XRPUSDT", "rest", "high_below_low")]
    assert certificate(lake, "XRPUSDT", "2025-03-01", interval="1h")["missing"] == 1
