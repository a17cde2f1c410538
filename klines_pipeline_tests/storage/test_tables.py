"""Parquet files: the same bytes for the same rows, whole symbols in a row group, the same rows in every reader."""

from datetime import date, timedelta
from functools import partial
from io import BytesIO
from pathlib import Path

import duckdb
import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from klines_pipeline.domain.errors import DamagedFileError
from klines_pipeline.klines.ledgers import CERTIFICATE_SCHEMA, REVISION_SCHEMA, RevisionEntry, to_frame
from klines_pipeline.klines.schema import KLINE_SCHEMA, REST
from klines_pipeline.settings import lake_options
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.layout import DayPaths
from klines_pipeline.storage.s3_readers import credentials_found
from klines_pipeline.storage.tables import (
    klines_to_parquet,
    read_columns,
    read_legible,
    read_many,
    read_metadata,
    read_names,
    read_table,
    to_parquet,
)
from klines_pipeline_tests.conftest import make_dataset
from klines_pipeline_tests.klines.frames import DAY, at, klines
from klines_pipeline_tests.storage.front import Front
from klines_pipeline_tests.storage.s3 import endpoint

PATHS = DayPaths.of(make_dataset("BTCUSDT"), DAY.date())
LARGEST_GROUP = 28_800


def many(*counts: int) -> pl.DataFrame:
    """So many rows of a first, second, ... symbol."""
    template = klines("S", range(max(counts)))
    parts = [
        template.head(count).with_columns(pl.lit(f"S{number:04d}").alias("symbol"))
        for number, count in enumerate(counts)
    ]
    return pl.concat(parts)


def groups(content: bytes) -> list[list[str]]:
    """Symbols of each row group, in order."""
    file = pq.ParquetFile(BytesIO(content))
    return [
        pl.from_arrow(file.read_row_group(number, columns=["symbol"]))["symbol"].unique(maintain_order=True).to_list()
        for number in range(file.num_row_groups)
    ]


def test_the_same_rows_are_the_same_bytes_however_they_lie_in_memory() -> None:
    rows = many(1440, 1440, 100)
    pieces = pl.concat([rows.slice(start, 700) for start in range(0, rows.height, 700)], rechunk=False)

    assert klines_to_parquet(pieces, PATHS.identity) == klines_to_parquet(rows.rechunk(), PATHS.identity)
    assert to_parquet(pieces) == to_parquet(rows.rechunk())


@settings(max_examples=15, deadline=None)
@given(st.lists(st.sampled_from([1, 60, 1440, 9000, 28_799, 28_800, 28_801, 40_000]), min_size=1, max_size=8))
def test_row_groups_hold_whole_symbols_and_are_not_too_large(counts: list[int]) -> None:
    content = klines_to_parquet(many(*counts), PATHS.identity)

    found = groups(content)
    assert [symbol for group in found for symbol in group] == [f"S{number:04d}" for number in range(len(counts))]
    file = pq.ParquetFile(BytesIO(content))
    sizes = [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)]
    assert sum(sizes) == sum(counts)
    for symbols, size in zip(found, sizes, strict=True):
        assert size <= LARGEST_GROUP or len(symbols) == 1


def test_five_hundred_symbols_of_minutes_lie_twenty_to_a_group() -> None:
    assert {len(group) for group in groups(klines_to_parquet(many(*[1440] * 60), {}))} == {20}


def test_columns_are_zstd_and_keep_types_order_and_statistics() -> None:
    metadata = pq.ParquetFile(BytesIO(klines_to_parquet(many(10, 10), PATHS.identity))).metadata
    columns = [metadata.row_group(0).column(number) for number in range(metadata.num_columns)]

    assert {column.compression for column in columns} == {"ZSTD"}
    assert [column.path_in_schema for column in columns] == KLINE_SCHEMA.names()
    symbol = columns[0].statistics
    assert (symbol.min, symbol.max) == ("S0000", "S0001")


def test_a_file_taken_out_of_its_folders_still_says_what_it_is(any_lake: Lake) -> None:
    any_lake.publish(PATHS.klines, klines_to_parquet(many(3), {**PATHS.identity, "note": "币安"}))

    metadata = read_metadata(any_lake, PATHS.klines)

    assert metadata.items() >= {"exchange": "binance", "market": "spot", "interval": "1m", "date": "2024-03-01"}.items()
    assert metadata["note"] == "币安"
    assert read_metadata(any_lake, PATHS.slices) == {}


@pytest.mark.parametrize("rows", [many(5, 5), many(3).clear()], ids=["rows", "no rows"])
def test_a_table_is_read_back_as_it_was_written(any_lake: Lake, rows: pl.DataFrame) -> None:
    any_lake.publish(PATHS.klines, klines_to_parquet(rows, PATHS.identity))

    assert_frame_equal(read_table(any_lake, PATHS.klines, KLINE_SCHEMA), rows)


def test_a_table_that_is_not_there_has_no_rows(any_lake: Lake) -> None:
    assert read_table(any_lake, PATHS.certificates, CERTIFICATE_SCHEMA).equals(CERTIFICATE_SCHEMA.to_frame())


def test_a_column_that_a_ledger_got_later_is_null_in_older_files(any_lake: Lake) -> None:
    row = pl.DataFrame([{"symbol": "BTCUSDT", "missing": 3}], schema=CERTIFICATE_SCHEMA)
    any_lake.publish(PATHS.certificates, to_parquet(row.drop("confirmed")))

    assert_frame_equal(read_table(any_lake, PATHS.certificates, CERTIFICATE_SCHEMA), row)
    any_lake.publish(PATHS.certificates, to_parquet(row.drop("missing")))
    with pytest.raises(DamagedFileError, match="is damaged"):
        read_table(any_lake, PATHS.certificates, CERTIFICATE_SCHEMA)


def test_extreme_and_absent_values_survive() -> None:
    rows = pl.concat(
        [
            klines("A", [1], volume=5e-324, quote_volume=1.7976931348623157e308, trades=2**63 - 1, close=0.1 + 0.2),
            klines(
                "币安人生USDT", [1.000001], trades=None, taker_buy_volume=None, taker_buy_quote_volume=None, source=REST
            ),
        ]
    )

    assert_frame_equal(pl.read_parquet(klines_to_parquet(rows, {})), rows, check_exact=True)


def in_duckdb(files: str) -> pl.DataFrame:
    """Every row below a glob, with the folders' columns."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        found = connection.sql("SELECT * FROM read_parquet($1, hive_partitioning = true)", params=[files])
        return pl.from_arrow(found.to_arrow_table())


def test_polars_pyarrow_and_duckdb_read_the_same_rows(lake: Lake) -> None:
    rows = many(1440, 1440, 7)
    lake.publish(PATHS.klines, klines_to_parquet(rows, PATHS.identity))
    file = f"{lake.base}/{PATHS.klines}"

    assert_frame_equal(pl.read_parquet(file, hive_partitioning=False), rows)
    assert_frame_equal(pl.from_arrow(pq.read_table(file, partitioning=None)), rows)
    found = in_duckdb(f"{lake.base}/klines/**/*.parquet")
    assert_frame_equal(found.sort("symbol", "open_time").select(KLINE_SCHEMA.names()), rows)
    folders = found.select("exchange", "market", "interval", "date").unique()
    assert folders.rows() == [("binance", "spot", "1m", date(2024, 3, 1))]


def test_a_ledger_with_a_date_column_in_a_date_folder_is_read_by_all(lake: Lake) -> None:
    entry = RevisionEntry(
        symbol="BTCUSDT",
        date=DAY.date(),
        key="k",
        revision=2,
        sha256="ab",
        etag="e",
        last_modified=at(0),
        seen_at=at(1),
        rows_added=1,
        rows_removed=0,
        rows_changed=4,
    )
    lake.publish(PATHS.revisions, to_parquet(to_frame([entry], REVISION_SCHEMA)))
    files = f"{lake.base}/ledger/revisions/**/*.parquet"

    assert in_duckdb(files).select("date", "rows_changed").rows() == [(DAY.date(), 4)]
    scanned = pl.scan_parquet(files, hive_partitioning=True).filter(date=DAY.date())
    assert scanned.select("date", "rows_changed").collect().rows() == [(DAY.date(), 4)]
    assert read_table(lake, PATHS.revisions, REVISION_SCHEMA)["date"].to_list() == [DAY.date()]


def test_some_columns_of_one_symbol_are_read_without_the_others(lake: Lake) -> None:
    rows, wanted = many(3, 5, 20_000, 20_000), pl.Schema({name: KLINE_SCHEMA[name] for name in ("symbol", "close")})
    lake.publish(PATHS.klines, klines_to_parquet(rows, {}))

    assert_frame_equal(read_columns(lake, PATHS.klines, wanted), rows.select("symbol", "close"))
    assert_frame_equal(
        read_columns(lake, PATHS.klines, KLINE_SCHEMA, symbol="S0001"), rows.filter(pl.col("symbol") == "S0001")
    )
    assert read_columns(lake, PATHS.klines, KLINE_SCHEMA, symbol="S0009").is_empty()


def test_no_file_has_no_rows_and_a_damaged_one_is_named(lake: Lake) -> None:
    assert read_columns(lake, PATHS.klines, KLINE_SCHEMA).schema == KLINE_SCHEMA
    content = klines_to_parquet(many(5), {})
    for damaged in (content[:-20], b"PAR1" + bytes(200) + b"PAR1", b"", content[:40] + bytes(40) + content[80:]):
        lake.publish(PATHS.klines, damaged)
        with pytest.raises(DamagedFileError, match=r"part\.parquet is damaged .* Delete it"):
            read_columns(lake, PATHS.klines, KLINE_SCHEMA)


def test_whatever_bit_of_a_file_is_flipped_it_is_read_or_said_to_be_damaged(lake: Lake) -> None:
    """Every 11th byte; Polars panics at some of them, Arrow raises errors of five kinds."""
    path, whole = PATHS.klines, klines_to_parquet(klines("A", range(200)), {"k": "v"})
    keys, damaged = pl.Schema({name: KLINE_SCHEMA[name] for name in ("symbol", "open_time")}), 0
    for place in range(0, len(whole), 11):
        lake.publish(path, whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :])
        read_names(lake, path)
        read_metadata(lake, path)
        for read in (partial(read_table, schema=KLINE_SCHEMA), partial(read_columns, schema=keys)):
            try:
                read(lake, path)
            except DamagedFileError:
                damaged += 1

    assert damaged


def ledgers(lake: Lake, count: int) -> list[str]:
    """So many days' certificates, a row each."""
    paths = [DayPaths.of(make_dataset("BTCUSDT"), DAY.date() + timedelta(days=offset)) for offset in range(count)]
    for place, path in enumerate(paths):
        rows = pl.DataFrame([{"symbol": "BTCUSDT", "missing": place}], schema=CERTIFICATE_SCHEMA)
        lake.publish(path.certificates, to_parquet(rows))
    return [path.certificates for path in paths]


MISSING = pl.Schema({"missing": pl.Int64()})


def test_many_days_are_read_with_their_dates_and_one_that_is_gone_has_no_rows(any_lake: Lake) -> None:
    paths = ledgers(any_lake, 4)
    any_lake.fs.rm_file(f"{any_lake.base}/{paths[1]}")

    rows = read_many(any_lake, paths, MISSING)

    assert rows.rows() == [(DAY.date() + timedelta(days=place), place) for place in (0, 2, 3)]
    assert read_many(any_lake, [], MISSING).schema == rows.schema
    assert read_many(any_lake, paths[1:2], MISSING).is_empty()


def test_of_many_days_the_damaged_ones_are_named_and_the_others_read(any_lake: Lake) -> None:
    paths = ledgers(any_lake, 4)
    any_lake.publish(paths[2], b"damaged")

    rows, damaged = read_legible(any_lake, paths, MISSING)

    assert rows["missing"].to_list() == [0, 1, 3]
    assert {day: str(error).split(" (")[0] for day, error in damaged.items()} == {
        date(2024, 3, 3): f"{any_lake.uri(paths[2])} is damaged"
    }
    with pytest.raises(DamagedFileError, match="date=2024-03-03"):
        read_many(any_lake, paths, MISSING)


@pytest.mark.parametrize("spoiled", [False, True])
def test_files_of_a_bucket_are_read_many_at_a_time_and_no_more_often_than_needed(s3_root: str, spoiled: bool) -> None:  # noqa: FBT001
    near = Lake(s3_root, lake_options(s3_root))
    paths = ledgers(near, 24)
    if spoiled:
        near.publish(paths[5], b"damaged")
    with Front(endpoint(), seconds_away=0.1) as front:
        rows, damaged = read_legible(Lake(s3_root, {"endpoint_url": front.url}), paths, MISSING)

        assert rows.height + len(damaged) == 24
        assert 4 <= front.most_at_once <= 64
        assert front.requests.total() <= (24 * 3 if spoiled else 24 * 2)


def test_polars_reads_with_the_profile_that_s3fs_writes_with(
    s3_root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    credentials = tmp_path / "credentials"
    credentials.write_text("[quants]\naws_access_key_id = anybody\naws_secret_access_key = secret\n", "utf-8")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(credentials))
    monkeypatch.setenv("AWS_PROFILE", "quants")
    credentials_found.cache_clear()
    try:
        lake = Lake(s3_root, {**lake_options(s3_root), "skip_instance_cache": True})
        paths = ledgers(lake, 1)

        assert lake.reader_options()["aws_access_key_id"] == "anybody"
        assert read_many(lake, paths, MISSING)["missing"].to_list() == [0]
    finally:
        credentials_found.cache_clear()


def test_polars_is_told_the_token_and_the_region_that_s3fs_was_given(s3_root: str) -> None:
    given = {"key": "k", "secret": "s", "token": "t", "client_kwargs": {"region_name": "eu-west-1"}}

    assert Lake(s3_root, given).reader_options() == {
        "aws_access_key_id": "k",
        "aws_secret_access_key": "s",
        "aws_session_token": "t",
        "aws_region": "eu-west-1",
    }
    assert Lake(s3_root, {"key": "k"}).reader_options()["aws_access_key_id"] != "k"
