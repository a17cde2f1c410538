"""Loading: half-open UTC ranges of whole truth, or a sentence that says why not."""

import os
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from klines_pipeline import load, scan
from klines_pipeline.domain.errors import ConfigurationError, IncompleteError, UnknownNameError
from klines_pipeline.klines.schema import KLINE_SCHEMA
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.conftest import read_day
from klines_pipeline_tests.query.conftest import HOURS, fill

FIRST, SECOND = "2025-03-01", "2025-03-02"
NOON = datetime(2025, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _elsewhere(kept: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test stands in a folder that has nothing to do with the lake."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KLINES_LAKE", kept.root)


def test_a_day_is_loaded_as_it_lies_in_the_lake(kept: Lake) -> None:
    rows = load("BTCUSDT", "1m", FIRST, SECOND)

    assert rows.schema == KLINE_SCHEMA
    assert_frame_equal(rows, read_day(kept, "klines", FIRST).filter(symbol="BTCUSDT"))
    assert rows.height == 1440


def test_several_symbols_and_days_come_sorted_by_symbol_and_time() -> None:
    rows = load(["币安人生USDT", "BTCUSDT"], "1m", FIRST, "2025-03-03")

    assert rows.height == 2 * (1440 + 1440 - 48)
    assert rows.select("symbol", "open_time").equals(rows.select("symbol", "open_time").sort("symbol", "open_time"))
    assert rows["symbol"].unique().to_list() in (["BTCUSDT", "币安人生USDT"], ["币安人生USDT", "BTCUSDT"])


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2025-03-01T12:00", "2025-03-01T13:00"),
        ("2025-03-01 12:00:00", "2025-03-01T13:00Z"),
        ("2025-03-01T14:00+02:00", "2025-03-01T13:00+00:00"),
        (NOON, NOON + timedelta(hours=1)),
        (NOON.replace(tzinfo=None), (NOON + timedelta(hours=1)).replace(tzinfo=None)),
        (NOON.astimezone(timezone(timedelta(hours=-5))), "2025-03-01T13:00"),
        (NOON - timedelta(seconds=59), NOON + timedelta(minutes=59, microseconds=1)),
    ],
    ids=["text", "space and Z", "offset", "aware", "naive is UTC", "another zone", "between the minutes"],
)
def test_every_way_to_say_an_hour_gives_the_sixty_minutes_from_start_to_before_end(
    start: str | datetime, end: str | datetime
) -> None:
    times = load("BTCUSDT", "1m", start, end)["open_time"]

    assert (times.len(), times.min(), times.max()) == (60, NOON, NOON + timedelta(minutes=59))


@pytest.mark.parametrize(("start", "end"), [(date(2025, 3, 1), date(2025, 3, 2)), (FIRST, SECOND), (FIRST, NOON)])
def test_a_date_is_its_midnight(start: date | str, end: date | str | datetime) -> None:
    times = load("BTCUSDT", "1m", start, end)["open_time"]

    assert times.min() == datetime(2025, 3, 1, tzinfo=UTC)
    assert times.len() == (720 if end == NOON else 1440)


def test_columns_are_given_in_the_order_asked() -> None:
    rows = load("BTCUSDT", "1m", FIRST, SECOND, columns=["close", "open_time"])

    assert (rows.columns, rows.height) == (["close", "open_time"], 1440)


def test_a_scan_is_lazy_and_collects_to_what_load_gives() -> None:
    lazy = scan("BTCUSDT", "1m", FIRST, SECOND)

    assert isinstance(lazy, pl.LazyFrame)
    assert_frame_equal(lazy.collect(), load("BTCUSDT", "1m", FIRST, SECOND))
    assert lazy.select(pl.len()).collect().item() == 1440


def test_only_the_files_of_the_days_asked_are_opened(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"))
    fill(lake, HOURS, FIRST, SECOND)
    whole = load("BTCUSDT", "1h", FIRST, SECOND, lake=lake.root)

    lake.publish(f"klines/exchange=binance/market=spot/interval=1h/date={SECOND}/part.parquet", b"not Parquet")

    assert_frame_equal(load("BTCUSDT", "1h", FIRST, SECOND, lake=lake.root), whole)


def test_a_symbol_that_did_not_trade_has_no_rows_and_that_is_no_error() -> None:
    rows = load("LUNAUSDT", "1m", FIRST, SECOND)

    assert (rows.height, rows.schema) == (0, KLINE_SCHEMA)


REFUSED = [
    (("BTCUSD", "1m", FIRST, SECOND), {}, "unknown symbol 'BTCUSD'. The nearest valid one is 'BTCUSDT'"),
    (("../BTCUSDT", "1m", FIRST, SECOND), {}, "'../BTCUSDT' cannot be a symbol"),
    (("BTCUSDT", "1M", FIRST, SECOND), {}, "unknown interval '1M'. The nearest valid one is '1m'"),
    (("BTCUSDT", "1h", FIRST, SECOND), {}, "has no day of binance/spot/klines_1h .*: it has no such table"),
    (("BTCUSDT", "1m", FIRST, SECOND), {"market": "um"}, "has no day of binance/um/klines_1m"),
    (("BTCUSDT", "1m", "2024-01-01", "2024-02-01"), {}, "it has 2025-03-01 to 2025-03-04. Materialize"),
    (("BTCUSDT", "1m", "2025-03-03", "2025-03-04"), {}, "has no day of .* from 2025-03-03 to 2025-03-03"),
    (("BTCUSDT", "1m", SECOND, FIRST), {}, "start 2025-03-02 .* is not before end 2025-03-01"),
    (("BTCUSDT", "1m", FIRST, FIRST), {}, "the range is"),
    (("BTCUSDT", "1m", "yesterday", SECOND), {}, "start: 'yesterday' is not a date. Write it as YYYY-MM-DD"),
    (("BTCUSDT", "1m", FIRST, "2025-03-02T25:00"), {}, "end: '2025-03-02T25:00' is not an ISO time"),
    (
        ("BTCUSDT", "1m", FIRST, SECOND),
        {"columns": ["Close"]},
        "unknown column 'Close'. The nearest valid one is 'close'",
    ),
]


@pytest.mark.parametrize(("asked", "options", "sentence"), REFUSED)
def test_what_cannot_be_loaded_is_refused_with_the_remedy(
    asked: tuple[str, str, str, str], options: dict[str, object], sentence: str
) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        load(*asked, **options)


def test_one_unknown_symbol_among_known_ones_is_named() -> None:
    with pytest.raises(UnknownNameError) as refused:
        load(["BTCUSDT", "ETHUSDT"], "1m", FIRST, SECOND)

    assert refused.value.name == "ETHUSDT"


@pytest.mark.parametrize(
    ("symbols", "start", "end"),
    [("BTCUSDT", FIRST, SECOND), ("BTCUSDT", SECOND, "2025-03-03"), (["BTCUSDT", "LUNAUSDT"], FIRST, "2025-03-03")],
    ids=["whole", "halted", "delisted"],
)
def test_whole_and_explained_days_are_complete(symbols: str | list[str], start: str, end: str) -> None:
    rows = load(symbols, "1m", start, end, require_complete=True)

    assert_frame_equal(rows, load(symbols, "1m", start, end))


@pytest.mark.parametrize(
    ("start", "end", "sentence"),
    [
        (SECOND, "2025-03-04", "Not complete: 2025-03-03: not in the lake. Materialize"),
        ("2025-02-20", SECOND, r"2025-02-20: not in the lake; .* and 4 more"),
        ("2025-03-04", "2025-03-05", r"2025-03-04 BTCUSDT: 540 missing \(blocked\)"),
        ("2025-03-04", "2025-03-04T09:00", r"2025-03-04 BTCUSDT: 540 missing \(blocked\)"),
    ],
    ids=["a day absent", "many days absent", "REST blocked", "part of a day"],
)
def test_incomplete_days_are_refused_by_name_when_completeness_is_required(start: str, end: str, sentence: str) -> None:
    with pytest.raises(IncompleteError, match=sentence):
        load("BTCUSDT", "1m", start, end, require_complete=True)

    if start != "2025-03-04":
        assert load("BTCUSDT", "1m", start, end).height


@pytest.mark.parametrize("how", ["argument", "KLINES_LAKE", "KLINES_CONFIG", "klines.yaml here"])
def test_the_lake_is_found_every_documented_way(
    kept: Lake, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KLINES_LAKE")
    folder = tmp_path / "elsewhere" if how == "KLINES_CONFIG" else tmp_path
    folder.mkdir(exist_ok=True)
    if how == "KLINES_LAKE":
        monkeypatch.setenv("KLINES_LAKE", kept.root)
    elif how != "argument":
        (folder / "klines.yaml").write_text(f"lake: {os.path.relpath(kept.root, folder)}\n", "utf-8")
    if how == "KLINES_CONFIG":
        monkeypatch.setenv("KLINES_CONFIG", str(folder / "klines.yaml"))

    rows = load("BTCUSDT", "1m", FIRST, SECOND, lake=kept.root if how == "argument" else None)

    assert rows.height == 1440


def test_a_lake_in_an_object_store_is_loaded_like_any_other(s3_lake: Lake, tmp_path: Path) -> None:
    local = Lake(str(tmp_path / "lake"))
    fill(local, HOURS, FIRST)

    remote = load(["BTCUSDT", "币安人生USDT"], "1h", FIRST, SECOND, lake=s3_lake.root, require_complete=True)

    assert remote.height == 48
    assert_frame_equal(remote, load(["BTCUSDT", "币安人生USDT"], "1h", FIRST, SECOND, lake=local.root))


def test_readers_need_neither_dagster_nor_an_http_client(kept: Lake) -> None:
    script = (
        "import sys, klines_pipeline as k\n"
        f"assert k.load('BTCUSDT', '1m', '{FIRST}', '{SECOND}').height == 1440\n"
        "sys.exit(', '.join({'dagster', 'httpx', 'pycurl', 'aiohttp', 'matplotlib'} & {*sys.modules}))\n"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert done.stderr.strip() == ""
