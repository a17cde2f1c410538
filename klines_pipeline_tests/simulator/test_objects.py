"""Objects of the bucket: bytes, headers, ranges, conditions, publication."""

import hashlib
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import pytest

from klines_pipeline.simulator.server import EmbeddedExchange


def test_an_archive_matches_its_checksum(bucket: Any) -> None:
    key = bucket.key("BTCUSDT", "2025-03-03")
    body = bucket.get(key).content

    assert bucket.get(f"{key}.CHECKSUM").text == f"{hashlib.sha256(body).hexdigest()}  BTCUSDT-1m-2025-03-03.zip"


def test_headers_are_those_of_the_real_bucket(bucket: Any) -> None:
    answer = bucket.get(bucket.key("BTCUSDT", "2025-03-03"))

    assert answer.headers["Content-Type"] == "application/zip"
    assert answer.headers["ETag"] == f'"{hashlib.md5(answer.content, usedforsecurity=False).hexdigest()}"'
    assert answer.headers["Content-Length"] == str(len(answer.content))
    assert answer.headers["Date"] == "Tue, 04 Mar 2025 09:00:00 GMT"


@pytest.mark.parametrize(("day", "digits", "end"), [("2024-12-31", 13, "999"), ("2025-01-01", 16, "999999")])
def test_times_are_microseconds_from_2025_on(bucket: Any, day: str, digits: int, end: str) -> None:
    rows = bucket.rows(bucket.key("BTCUSDT", day))

    assert len(rows) == 1440
    assert {len(row) for row in rows} == {12}
    assert {len(row[0]) for row in rows} == {digits}
    assert all(row[6].endswith(end) and row[11] == "0" for row in rows)
    assert {len(cell.partition(".")[2]) for row in rows for cell in (row[1], row[5], row[7], row[10])} == {8}


@pytest.mark.parametrize("interval", ["3m", "15m", "1h", "8h", "1d"])
@pytest.mark.parametrize("day", ["2024-12-30", "2025-03-02", "2023-03-24"])
def test_archive_and_rest_agree_in_every_field(bucket: Any, interval: str, day: str) -> None:
    assert bucket.rows(bucket.key("BTCUSDT", day, interval)) == bucket.rest_rows("BTCUSDT", day, interval)


@pytest.mark.parametrize("symbol", ["BTCUSDT", "VITEUSDT", "币安人生USDT"])
def test_minutes_agree_too(bucket: Any, symbol: str) -> None:
    assert bucket.rows(bucket.key(symbol, "2025-03-02")) == bucket.rest_rows(symbol, "2025-03-02")


def test_rest_fills_what_archives_lack(bucket: Any) -> None:
    truncated = bucket.rows(bucket.key("SOLUSDT", "2025-03-01"))
    holed = bucket.rows(bucket.key("ETHUSDT", "2025-03-02"))

    assert len(truncated) == 18 * 60 + 50
    assert len(bucket.rest_rows("SOLUSDT", "2025-03-01")) == 1440
    assert len(bucket.rest_rows("ETHUSDT", "2025-03-02")) - len(holed) == 20
    assert bucket.get(bucket.key("XRPUSDT", "2025-03-01")).status_code == 404
    assert len(bucket.rest_rows("XRPUSDT", "2025-03-01")) == 1440


def test_seconds_have_archives(bucket: Any) -> None:
    assert len(bucket.rows(bucket.key("LUNAUSDT", "2022-05-13", "1s"))) == 2400


@pytest.mark.parametrize("prefix", ["/", "/data.binance.vision/"])
def test_keys_can_be_had_on_both_paths(http: httpx.Client, bucket: Any, prefix: str) -> None:
    key = bucket.key("币安人生USDT", "2025-03-03", "1h")

    assert http.get(prefix + key).status_code == 200
    assert http.head(prefix + key).headers["Content-Length"] == str(len(http.get(prefix + key).content))


@pytest.mark.parametrize(
    "key",
    [
        "data/spot/daily/klines/NOPEUSDT/1m/NOPEUSDT-1m-2025-03-01.zip",
        "data/spot/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2025-03-04.zip",
        "data/spot/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2025-3-1.zip",
        "data/spot/daily/klines/BTCUSDT/1m/BTCUSDT-1h-2025-03-01.zip",
        "data/spot/daily/klines/BTCUSDT/1w/BTCUSDT-1w-2025-02-24.zip",
        "data/spot/daily/klines/BTCUSDT/1m/",
        "data/spot/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2017-08-16.zip",
        "data/",
    ],
)
def test_what_does_not_exist_is_404_in_s3_words(bucket: Any, key: str) -> None:
    answer = bucket.get(key)

    assert answer.status_code == 404
    assert "<Code>NoSuchKey</Code>" in answer.text


@pytest.mark.parametrize(
    ("asked", "part"),
    [
        ("bytes=0-9", slice(0, 10)),
        ("bytes=100-", slice(100, None)),
        ("bytes=-16", slice(-16, None)),
        ("bytes=5-99999999", slice(5, None)),
    ],
)
def test_ranges_are_partial_content(bucket: Any, asked: str, part: slice) -> None:
    key = bucket.key("BTCUSDT", "2025-03-03", "1h")
    whole, answer = bucket.get(key).content, bucket.get(key, Range=asked)

    assert answer.status_code == 206
    assert answer.content == whole[part]
    assert answer.headers["Content-Range"].endswith(f"/{len(whole)}")


@pytest.mark.parametrize(
    ("asked", "status"),
    [("bytes=9999999-", 416), ("bytes=-0", 416), ("bytes=9-1", 200), ("bytes=a-b", 200), ("lines=1-2", 200)],
)
def test_ranges_out_of_reach_are_416_and_unreadable_ones_ignored(bucket: Any, asked: str, status: int) -> None:
    assert bucket.get(bucket.key("BTCUSDT", "2025-03-03", "1h"), Range=asked).status_code == status


def test_conditions_are_heeded(bucket: Any) -> None:
    key = bucket.key("BTCUSDT", "2025-03-03", "1h")
    tag = bucket.get(key).headers["ETag"]

    assert bucket.get(key, If_None_Match=tag).status_code == 304
    assert bucket.get(key, If_None_Match='"other"').status_code == 200
    assert bucket.get(key, If_Match='"other"').status_code == 412


def test_archives_appear_in_the_early_hours_of_the_next_day(exchange: EmbeddedExchange, bucket: Any) -> None:
    key = bucket.key("BTCUSDT", "2025-03-03")
    times = [exchange.publication_time("BTCUSDT", date(2024, month, 5)) for month in range(1, 13)]
    published = exchange.publication_time("BTCUSDT", date(2025, 3, 3))
    exchange.set_clock(published - timedelta(seconds=1))
    before, listed_before = bucket.get(key).status_code, bucket.page(prefix=key).keys
    exchange.set_clock(published)

    assert all("02:10" <= f"{time:%H:%M}" <= "04:30" for time in times)
    assert (before, listed_before) == (404, [])
    assert bucket.get(key).status_code == 200
    assert bucket.page(prefix=key).keys == [key, f"{key}.CHECKSUM"]


def test_a_symbol_not_yet_listed_has_no_folder(exchange: EmbeddedExchange, bucket: Any) -> None:
    exchange.set_clock(datetime(2025, 3, 4, 2, tzinfo=UTC))

    assert f"{bucket.prefix}NOVAUSDT/" not in bucket.page(prefix=bucket.prefix, delimiter="/").folders


def test_the_browsing_page_is_no_listing(http: httpx.Client) -> None:
    assert http.get("/", params={"prefix": "data/"}).headers["Content-Type"].startswith("text/html")
