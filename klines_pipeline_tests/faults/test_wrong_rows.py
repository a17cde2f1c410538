"""Rows that no sieve takes out and no kline can be: in the table they keep their day red, with names and a remedy.

The sieve rejects what cannot be read as a kline; an open above the high, or a price of zero, gets through it.
"""

from collections.abc import Callable

import pytest

from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.conftest import archive_entry, make_dataset, read_day
from klines_pipeline_tests.faults.archives import Lines, key_of, lines_of, rewrite, with_cell
from klines_pipeline_tests.faults.conftest import Runner, asked, assert_good

DAY = "2024-03-01"
ETH = key_of("ETHUSDT", DAY)
BOTH = make_dataset("BTCUSDT", "ETHUSDT")


def with_open(text: str, *, low: str | None = None) -> Callable[[Lines], Lines]:
    """Row 700 opens at another price."""
    return lambda lines: [
        *lines[:700],
        with_cell(with_cell(lines[700], 1, text), 3, low or lines[700].split(",")[3]),
        *lines[701:],
    ]


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (with_open("999999"), "high_and_low_bound_open_and_close"),
        (with_open("0.00000001"), "high_and_low_bound_open_and_close"),
        (with_open("0", low="0"), "prices_are_finite_and_positive"),
    ],
    ids=["open above high", "open below low", "price of zero"],
)
def test_a_wrong_row_that_passes_the_sieve_keeps_its_day_red_and_no_other(
    exchange: EmbeddedExchange, run: Runner, lake: Lake, change: Callable[[Lines], Lines], rule: str
) -> None:
    rewrite(exchange, ETH, change)

    bad, good = run(BOTH, DAY, "2024-03-02")

    assert list(bad.failures) == ["klines"]
    assert f"{rule} does not hold for ETHUSDT (1 rows). Remedy: compare the day's archive" in bad.failures["klines"]
    assert archive_entry(lake, "ETHUSDT", DAY)["rows"] == 1440
    assert read_day(lake, "klines", DAY).height == 2880
    assert_good([good])


def test_a_red_day_stays_red_until_the_archive_is_published_anew(exchange: EmbeddedExchange, run: Runner) -> None:
    right = lines_of(exchange, ETH)
    rewrite(exchange, ETH, with_open("999999"))
    [first] = run(BOTH, DAY)
    exchange.reset_requests()

    [again] = run(BOTH, DAY)

    assert again.failures == first.failures
    assert again.merged is not None
    assert not again.merged.changed
    assert asked(exchange) == {"archives": 0, "checksums": 0, "rest": 0}

    rewrite(exchange, ETH, lambda _: right)
    assert_good(run(BOTH, DAY))
