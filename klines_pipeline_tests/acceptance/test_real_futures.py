"""Real USD-M and COIN-M files: exactly the rows and sums that their index records, contracts and base volume apart."""

import json
import re
import zipfile
from datetime import date, timedelta
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import polars as pl
import pytest

from klines_pipeline.domain.interval import Interval
from klines_pipeline.exchanges.binance.wire import parse_rows, parse_texts
from klines_pipeline.exchanges.registry import connect
from klines_pipeline.klines.grid import TimeRange, missing_ranges, present_slots
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.stages.ingest import Ingest
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.conftest import certificate, endpoints_of, make_dataset, read_day

UM_DAYS = [
    ("BTCUSDT", "1m", "2022-09-05", "zip"),
    ("BTCUSDT", "1m", "2023-03-24", "csv"),
    ("ETHUSDT", "1h", "2022-08-24", "zip"),
    ("ETHUSDT", "1m", "2022-01-02", "csv"),
    ("ETHUSDT", "1m", "2022-01-03", "csv"),
]
UM_MONTHS = [("BTCUSDT", "5m", "2025-01"), ("FILUSDT", "1m", "2024-11")]


class Recorded(NamedTuple):
    """What the index says of one file."""

    rows: int
    volume: Decimal
    quote_volume: Decimal
    trades: int


def recorded(root: Path, name: str) -> Recorded:
    """Look the file up in the index beside it."""
    line = next(
        line for line in (root / "INDEX.md").read_text("utf-8").splitlines() if line.startswith(f"| `{name}` |")
    )
    sums = re.search(r"sum volume ([\d.]+); sum quote ([\d.]+); sum trades (\d+)", line)
    assert sums
    return Recorded(int(line.split("|")[2]), Decimal(sums[1]), Decimal(sums[2]), int(sums[3]))


def total(rows: pl.DataFrame, name: str) -> Decimal:
    """A sum in decimals, so that not a digit is lost."""
    return sum((Decimal(repr(value)) for value in rows[name]), Decimal())


def summed(rows: pl.DataFrame, volume: str = "volume", quote: str = "quote_volume") -> Recorded:
    return Recorded(rows.height, total(rows, volume), total(rows, quote), int(rows["trades"].sum()))


def zipped(name: str, text: bytes) -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, text)
    return buffer.getvalue()


@pytest.mark.parametrize(("symbol", "interval", "day", "kind"), UM_DAYS)
def test_a_real_um_day_comes_through_the_stages_whole(
    real_root: Path, tmp_path: Path, symbol: str, interval: str, day: str, kind: str
) -> None:
    """With a header line (2022-01-02) and without (2022-01-03, the day after, same series)."""
    stem = f"futures/um/daily/klines/{symbol}/{interval}/{symbol}-{interval}-{day}"
    lake = Lake(str(tmp_path / "lake"))
    with EmbeddedExchange(rate=0, root=real_root) as exchange:
        content = (real_root / f"{stem}.{kind}").read_bytes()
        whole = content if kind == "zip" else zipped(f"{symbol}-{interval}-{day}.csv", content)
        exchange.put_object(f"data/{stem}.zip", whole)  # with a checksum, which the folder has not
        dataset = make_dataset(symbol, interval=interval, market="um")
        [result] = Ingest(lake, connect("binance", "um", endpoints_of(exchange)), dataset).days(
            [date.fromisoformat(day)]
        )

    assert not result.failures
    rows = read_day(lake, "klines", day, interval=interval, venue="binance/um")
    assert summed(rows) == recorded(real_root, f"{stem}.{kind}")
    proof = certificate(lake, symbol, day, interval=interval, venue="binance/um")
    assert (proof["missing"], proof["from_rest"]) == (0, 0)


@pytest.mark.parametrize(("symbol", "interval", "month"), UM_MONTHS)
def test_a_real_um_month_is_parsed_to_the_last_digit(real_root: Path, symbol: str, interval: str, month: str) -> None:
    name = f"futures/um/monthly/klines/{symbol}/{interval}/{symbol}-{interval}-{month}.csv"

    parsed = parse_texts({symbol: (real_root / name).read_bytes()})

    assert not parsed.corrupt
    assert summed(parsed.frame) == recorded(real_root, name)
    first, last = parsed.frame["open_time"][0], parsed.frame["open_time"][-1]
    bar = Interval.parse(interval)
    slots = present_slots(parsed.frame, bar)[symbol]
    assert missing_ranges(slots, TimeRange(first, last + bar.duration), bar) == []


def test_the_real_cm_day_tells_contracts_from_base_volume(real_root: Path, tmp_path: Path) -> None:
    """Each contract is 100 USD: contracts x 100 / base volume lies between low and high, give or take its rounding."""
    day, lake = "2022-10-24", Lake(str(tmp_path / "lake"))
    name = f"futures/cm/daily/klines/BTCUSD_PERP/1m/BTCUSD_PERP-1m-{day}.zip"
    with EmbeddedExchange(rate=0, root=real_root) as exchange:
        [result] = Ingest(
            lake, connect("binance", "cm", endpoints_of(exchange)), make_dataset("BTCUSD_PERP", market="cm")
        ).days([date.fromisoformat(day)])

    assert not result.failures
    rows = read_day(lake, "klines", day, venue="binance/cm")
    assert summed(rows, "contracts", "volume") == recorded(real_root, name)
    traded = rows.filter(pl.col("contracts") > 0)
    average = pl.col("contracts") * 100 / pl.col("volume")
    assert traded.height == 1439
    assert traded.filter((average < pl.col("low") * (1 - 1e-5)) | (average > pl.col("high") * (1 + 1e-5))).is_empty()
    assert rows["quote_volume"].to_list() == [contracts * 100.0 for contracts in rows["contracts"]]
    assert certificate(lake, "BTCUSD_PERP", day, venue="binance/cm")["flat"] == 1


@pytest.mark.parametrize(
    ("symbol", "rows", "volume"), [("BTCUSDT", 13, "1977777.685"), ("SAHARAUSDT", 3, "20915172936")]
)
def test_real_um_rest_answers_are_parsed_to_the_last_digit(
    real_root: Path, symbol: str, rows: int, volume: str
) -> None:
    """The open kline at the end is in the answer: whether it is closed, the server's time tells, not the wire."""
    frame = parse_rows(symbol, json.loads((real_root / f"rest/um/klines/{symbol}.json").read_text("utf-8")))

    assert (frame.height, total(frame, "volume")) == (rows, Decimal(volume))
    assert frame["open_time"].diff().drop_nulls().unique().to_list() == [timedelta(days=1)]
