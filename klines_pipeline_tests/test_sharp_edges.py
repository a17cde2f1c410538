"""Edges found by fuzzing and by hand: odd dates, odd folders, odd answers; each was once a traceback or a wrong yes."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from klines_pipeline import load
from klines_pipeline.domain.errors import (
    ConfigurationError,
    CorruptArchiveError,
    DamagedFileError,
    IncompleteError,
    TransientError,
)
from klines_pipeline.domain.interval import Interval
from klines_pipeline.domain.states import SliceState
from klines_pipeline.domain.utc_day import parse_day
from klines_pipeline.exchanges.binance.listing import ListedObject, archive_days, parse_page
from klines_pipeline.exchanges.download import Received
from klines_pipeline.exchanges.zips import open_single_member
from klines_pipeline.klines.grid import TimeRange
from klines_pipeline.klines.ledgers import SliceEntry
from klines_pipeline.klines.slices import plan_slices, slice_key
from klines_pipeline.settings import read_config
from klines_pipeline.stages.resample import resample_day
from klines_pipeline.storage import layout
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.conftest import make_dataset
from klines_pipeline_tests.exchanges.test_zips import GOOD, LARGEST, NAME, TEXT
from klines_pipeline_tests.klines.frames import DAY, at
from klines_pipeline_tests.query.conftest import HOURS, fill


@settings(deadline=None, database=None)
@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), min_size=1, max_size=4))
def test_damaged_bytes_are_corrupt_or_still_the_same_text(damage: list[tuple[int, int]]) -> None:
    content = bytearray(GOOD)
    for position, value in damage:
        content[position] = value
    try:
        text = open_single_member(bytes(content), NAME, LARGEST)
    except CorruptArchiveError:
        return
    assert text == TEXT


def test_a_zip_whose_directory_offset_is_damaged_is_corrupt_and_no_disk_error() -> None:
    with pytest.raises(CorruptArchiveError):
        open_single_member(GOOD[:-6] + b"\xff" + GOOD[-5:], NAME, LARGEST)


def test_a_day_without_a_certificate_of_the_symbol_is_not_complete(lake: Lake) -> None:
    fill(lake, make_dataset("BTCUSDT", interval="1h"), "2025-03-01")
    fill(lake, make_dataset("BTCUSDT", "ETHUSDT", interval="1h"), "2025-03-02")

    with pytest.raises(IncompleteError, match="2025-03-01 ETHUSDT"):
        load("ETHUSDT", "1h", "2025-03-01", "2025-03-03", lake=lake.root, require_complete=True)


def test_a_day_certified_while_in_progress_is_not_complete_to_its_end(lake: Lake) -> None:
    fill(lake, HOURS, "2025-03-04")
    assert load("BTCUSDT", "1h", "2025-03-04", "2025-03-04T09:00", lake=lake.root, require_complete=True).height == 9

    with pytest.raises(IncompleteError, match="2025-03-04"):
        load("BTCUSDT", "1h", "2025-03-04", "2025-03-05", lake=lake.root, require_complete=True)


@pytest.mark.parametrize("start", ["2024-13-01", "2024-02-30", "2024-01-01T25:00:00"])
def test_a_date_that_yaml_itself_stumbles_over_is_told_with_line_and_field(start: str) -> None:
    text = f"datasets:\n  - interval: 1m\n    start: {start}\n    symbols: [BTCUSDT]\n"

    with pytest.raises(ConfigurationError, match=r"^klines.yaml, line 3: .*is not a date"):
        read_config(text, "klines.yaml")


def test_a_week_date_is_no_day() -> None:
    with pytest.raises(ConfigurationError):
        parse_day("2024-W01-1")


@pytest.mark.parametrize("folder", ["date=20240101", "date=2024-W01-1"])
def test_only_the_folders_own_spelling_is_a_day(folder: str) -> None:
    assert layout.day_of(folder) is None


def test_the_folder_itself_is_no_key() -> None:
    with pytest.raises(ConfigurationError):
        layout.mirror(".")


def test_a_key_with_an_impossible_date_is_junk() -> None:
    junk = ListedObject("f/BTCUSDT-1m-2024-02-30.zip", 1, "e", datetime(2025, 1, 1, tzinfo=UTC))

    assert list(archive_days([junk], "f/BTCUSDT-1m-")) == []


NS = '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'


@pytest.mark.parametrize(
    "body",
    [
        f"{NS}<Contents><Key>x</Key></Contents></ListBucketResult>".encode(),
        f"{NS}<Contents><Key>x</Key><LastModified>soon</LastModified><Size>1</Size></Contents></ListBucketResult>".encode(),
        b'<?xml version="1.0" encoding="nonsense"?><a/>',
        b'<?xml version="1.0" encoding="utf-32"?><a/>',
    ],
)
def test_a_listing_with_impossible_values_is_transient(body: bytes) -> None:
    with pytest.raises(TransientError):
        parse_page(body)


def test_a_date_header_that_is_no_date_is_as_good_as_none() -> None:
    assert Received({"date": "garbage"}).served_at is None


def test_a_request_starts_on_the_grid_whatever_the_microseconds_of_the_answer() -> None:
    interval = Interval.parse("5m")
    asked_at = at(9).replace(microsecond=173)
    key = slice_key("BTCUSDT", interval, DAY, 1000)
    known = SliceEntry(slice_key=key, slice_id="", start=at(0), end=at(5), state=SliceState.OK, requested_at=asked_at)

    [request] = plan_slices(
        "BTCUSDT", [TimeRange(at(0), at(5))], DAY.date(), interval=interval, limit=1000, known={key: known}
    )

    assert request.start == at(0)


@pytest.mark.parametrize("name", ["with [1] brackets", "env=prod/x", "date=2020-01-01/x"])
def test_a_lake_may_lie_in_any_folder(tmp_path: Path, name: str) -> None:
    lake = Lake(str(tmp_path / name))
    fill(lake, HOURS, "2025-03-01")

    assert load("BTCUSDT", "1h", "2025-03-01", "2025-03-02", lake=lake.root).height == 24


def test_resampled_klines_are_read_when_asked_for_and_pointed_out_when_not(lake: Lake) -> None:
    dataset, hour = make_dataset("BTCUSDT"), Interval.parse("1h")
    fill(lake, dataset, "2025-03-02")
    resample_day(lake, dataset, hour, date(2025, 3, 2))

    rows = load("BTCUSDT", "1h", "2025-03-02", "2025-03-03", lake=lake.root, resampled=True)

    assert rows.height == 24
    with pytest.raises(ConfigurationError, match="resampled=True"):
        load("BTCUSDT", "1h", "2025-03-02", "2025-03-03", lake=lake.root)


@pytest.mark.parametrize("table", ["klines", "ledger/certificates"])
def test_a_reader_names_the_file_that_is_damaged(lake: Lake, table: str) -> None:
    fill(lake, make_dataset("BTCUSDT"), "2025-03-02")
    part = Path(lake.base, table, "exchange=binance/market=spot/interval=1m/date=2025-03-02/part.parquet")
    part.write_bytes(part.read_bytes()[:100])

    with pytest.raises(DamagedFileError, match=r"date=2025-03-02/part.parquet is damaged.* Delete it"):
        load("BTCUSDT", "1m", "2025-03-02", "2025-03-03", lake=lake.root)


def test_a_lake_that_is_a_file_is_refused_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")

    with pytest.raises(ConfigurationError, match="KLINES_LAKE"):
        fill(Lake(str(tmp_path / "file")), make_dataset("BTCUSDT"), "2025-03-02")


def test_an_object_store_without_credentials_is_told_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")

    with pytest.raises(ConfigurationError, match="AWS_ACCESS_KEY_ID"):
        Lake("s3://bucket/lake", {"endpoint_url": "http://127.0.0.1:9"}).read("x")
