"""Damage that hides: in a zip's directory, in a member's name, in how a checksum was served, in a row too many."""

from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from klines_pipeline.domain.errors import ConfigurationError
from klines_pipeline.settings import read_config
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.conftest import archive_entry, certificate, make_dataset, read_day
from klines_pipeline_tests.faults.archives import body_of, key_of, member_of, pack, rewrite, with_cell
from klines_pipeline_tests.faults.conftest import Recovery, Runner, assert_good

DAY = "2024-03-01"
ETH = key_of("ETHUSDT", DAY)
ROW = 700
LINE = b"1709251200000,1,1,1,1,1,1709251259999,1,1,1,1,0\n"


def shifted(line: str, milliseconds: int) -> str:
    """The line with another open_time."""
    return with_cell(line, 0, str(int(line.partition(",")[0]) + milliseconds))


@pytest.mark.parametrize(
    ("fault", "state"),
    [
        ({"kind": "drop_checksum"}, "checksum_absent"),
        ({"kind": "html", "group": "checksums"}, "checksum_mismatch"),
    ],
    ids=["hidden", "a web page"],
)
def test_a_checksum_that_was_only_badly_served_is_looked_at_again(
    exchange: EmbeddedExchange,
    run: Runner,
    lake: Lake,
    assert_recovers: Recovery,
    fault: dict[str, str],
    state: str,
) -> None:
    dataset = make_dataset("BTCUSDT", "ETHUSDT")
    exchange.add_fault(**fault, match=f"/{ETH}*")

    assert_good(run(dataset, DAY))

    assert archive_entry(lake, "ETHUSDT", DAY)["state"] == state
    assert certificate(lake, "ETHUSDT", DAY)["from_rest"] == 1440
    assert_recovers(dataset, DAY)


def test_an_extra_row_off_the_grid_does_not_hide_a_missing_one(
    exchange: EmbeddedExchange, run: Runner, lake: Lake
) -> None:
    dataset = make_dataset("ETHUSDT")
    rewrite(exchange, ETH, lambda lines: [*lines[:ROW], *lines[ROW + 1 :], shifted(lines[5], 20_799)])

    assert_good(run(dataset, DAY))

    filled = certificate(lake, "ETHUSDT", DAY)
    assert (filled["present"], filled["from_rest"], filled["missing"], filled["reason"]) == (1440, 1, 0, None)


def test_no_damaged_byte_reaches_the_table(exchange: EmbeddedExchange, run: Runner, lake: Lake, tmp_path: Path) -> None:
    dataset, first = make_dataset("BTCUSDT", interval="1d"), date(2023, 5, 1)
    size = len(body_of(exchange, key_of("BTCUSDT", str(first), "1d")))
    places = {str(first + timedelta(days=number)): place for number, place in enumerate(range(0, size, 5))}
    sound = Lake(str(tmp_path / "sound"))
    run(dataset, *places, into=sound)
    for number, (day, place) in enumerate(places.items()):
        key = key_of("BTCUSDT", day, "1d")
        body = bytearray(body_of(exchange, key))
        body[place % len(body)] ^= (0x01, 0xFF)[number % 2]
        exchange.put_object(key, bytes(body), checksum="stale")

    assert_good(run(dataset, *places))

    for day in places:
        market_columns = pl.exclude("source", "revision", "ingested_at")
        assert archive_entry(lake, "BTCUSDT", day, interval="1d")["state"] in {"corrupt", "checksum_mismatch"}
        assert certificate(lake, "BTCUSDT", day, interval="1d")["from_rest"] == 1
        damaged, right = (
            read_day(place, "klines", day, interval="1d").select(market_columns) for place in (lake, sound)
        )
        assert damaged.equals(right)


def test_a_member_name_that_is_not_utf8_makes_the_archive_corrupt(
    exchange: EmbeddedExchange, run: Runner, lake: Lake
) -> None:
    dataset, whole = make_dataset("BTCUSDT", "ETHUSDT"), bytearray(pack([(member_of(ETH), LINE)]))
    central = whole.index(b"PK\x01\x02")
    whole[7] |= 0x08
    whole[central + 9] |= 0x08
    exchange.put_object(ETH, bytes(whole).replace(b"ETH", b"\xff\xfe\xfd"))

    assert_good(run(dataset, DAY))

    assert archive_entry(lake, "ETHUSDT", DAY)["state"] == "corrupt"
    assert certificate(lake, "ETHUSDT", DAY)["from_rest"] == 1440
    assert certificate(lake, "BTCUSDT", DAY)["from_vision"] == 1440


def test_a_day_that_no_calendar_has_is_refused_with_its_line() -> None:
    text = "datasets:\n  - interval: 1m\n    start: 2024-02-30\n    symbols: [BTCUSDT]\n"

    with pytest.raises(ConfigurationError, match=r"klines\.yaml, line 3: .*2024-02-30"):
        read_config(text, "klines.yaml")
