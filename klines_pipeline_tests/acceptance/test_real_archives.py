"""Real Binance archives through `dagster asset materialize`: exactly the rows and sums that their index records."""

import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import polars as pl
import pytest

from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.acceptance.conftest import Workplace, workplace
from klines_pipeline_tests.conftest import archive_entry, certificate, read_day

SYMBOLS = ["BTCUSDT", "ETHUSDT", "ARBUSDT"]
MINUTE_DAYS = [
    ("BTCUSDT", "2017-08-17"),
    ("BTCUSDT", "2020-01-01"),
    ("BTCUSDT", "2020-01-02"),
    ("ETHUSDT", "2022-08-14"),
    ("ARBUSDT", "2023-03-23"),
    ("BTCUSDT", "2023-03-24"),
    ("BTCUSDT", "2024-01-15"),
    ("ETHUSDT", "2024-02-29"),
    ("BTCUSDT", "2025-01-15"),
]


class Recorded(NamedTuple):
    """What the index says of one archive."""

    rows: int
    volume: Decimal
    quote_volume: Decimal
    trades: int


def recorded(root: Path, symbol: str, interval: str, day: str) -> Recorded:
    """Look the archive up in the index beside it."""
    name = f"`spot/daily/klines/{symbol}/{interval}/{symbol}-{interval}-{day}.zip`"
    line = next(line for line in (root / "INDEX.md").read_text("utf-8").splitlines() if line.startswith(f"| {name} |"))
    sums = re.search(r"sum volume ([\d.]+); sum quote ([\d.]+); sum trades (\d+)", line)
    assert sums
    return Recorded(int(line.split("|")[2]), Decimal(sums[1]), Decimal(sums[2]), int(sums[3]))


def stored(lake: Lake, symbol: str, interval: str, day: str) -> Recorded:
    """The same of the table, summed in decimals so that not a digit is lost."""
    rows = read_day(lake, "klines", day, interval=interval).filter(pl.col("symbol") == symbol)

    def total(name: str) -> Decimal:
        return sum((Decimal(repr(value)) for value in rows[name]), Decimal())

    return Recorded(rows.height, total("volume"), total("quote_volume"), int(rows["trades"].sum()))


@pytest.fixture
def place(real_root: Path, tmp_path: Path) -> Iterator[Workplace]:
    with EmbeddedExchange(rate=0, root=real_root) as exchange:
        yield workplace(tmp_path, exchange, SYMBOLS, "1m", "1h")


@pytest.fixture
def real_lake(place: Workplace) -> Lake:
    return Lake(str(place.folder / "lake"))


@pytest.mark.parametrize(("symbol", "day"), MINUTE_DAYS)
def test_a_real_day_has_exactly_the_rows_and_sums_of_the_index(
    place: Workplace, real_lake: Lake, real_root: Path, symbol: str, day: str
) -> None:
    done = place.materialize("--partition", day)

    assert done.returncode == 0, done.stdout[-2000:]
    assert stored(real_lake, symbol, "1m", day) == recorded(real_root, symbol, "1m", day)


def test_the_halt_of_2023_03_24_is_named_with_its_80_missing_minutes(place: Workplace, real_lake: Lake) -> None:
    place.materialize("--partition", "2023-03-24")

    shown = place.run("klines", "certificate", "BTCUSDT", "--dataset", "binance/spot/klines_1m", "--day", "2023-03-24")

    proof = certificate(real_lake, "BTCUSDT", "2023-03-24")
    assert (proof["expected"], proof["present"], proof["missing"]) == (1440, 1360, 80)
    assert proof["reason"] == "exchange_halt"
    assert "12:40:00-14:00:00" in shown.stdout
    assert shown.returncode == 0


def test_a_listing_day_lacks_only_what_lies_before_the_listing(place: Workplace, real_lake: Lake) -> None:
    place.materialize("--partition", "2023-03-23")

    proof = certificate(real_lake, "ARBUSDT", "2023-03-23")
    assert (proof["present"], proof["missing"], proof["reason"]) == (540, 900, "not_listed")


def test_a_real_archive_without_a_checksum_is_recorded_so_and_its_rows_come_from_rest(
    place: Workplace, real_lake: Lake
) -> None:
    place.materialize("--partition", "2024-02-29")

    entry, proof = archive_entry(real_lake, "ETHUSDT", "2024-02-29"), certificate(real_lake, "ETHUSDT", "2024-02-29")
    assert entry["state"] == "checksum_absent"
    assert (proof["from_vision"], proof["from_rest"]) == (0, 1440)


def test_hours_join_without_a_seam_where_archives_went_from_milliseconds_to_microseconds(
    place: Workplace, real_lake: Lake, real_root: Path
) -> None:
    done = place.materialize("--partition-range", "2024-12-31...2025-01-01", table="klines_1h")

    days = ["2024-12-31", "2025-01-01"]
    rows = pl.concat([read_day(real_lake, "klines", day, interval="1h") for day in days])
    opens = rows.filter(pl.col("symbol") == "BTCUSDT")["open_time"]
    assert done.returncode == 0
    assert opens.len() == 48
    assert opens.diff().drop_nulls().unique().to_list() == [pl.Series([3_600_000_000]).cast(pl.Duration("us"))[0]]
    for day in days:
        assert stored(real_lake, "BTCUSDT", "1h", day) == recorded(real_root, "BTCUSDT", "1h", day)


def test_a_truncated_real_archive_is_reported_short(place: Workplace, real_lake: Lake) -> None:
    place.materialize("--partition", "2023-07-27", table="klines_1h")

    shown = place.run("klines", "certificate", "ARBUSDT", "--dataset", "binance/spot/klines_1h")
    proof = certificate(real_lake, "ARBUSDT", "2023-07-27", interval="1h")
    assert (proof["expected"], proof["present"], proof["missing"]) == (24, 3, 21)
    assert proof["reason"] == "checksum_absent"  # cut short or halted, nobody can tell: not explained
    assert shown.returncode == 1
    assert archive_entry(real_lake, "ARBUSDT", "2023-07-27", interval="1h")["rows"] == 3
