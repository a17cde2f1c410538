"""The bucket's listing."""

from datetime import UTC, date, datetime
from urllib.parse import parse_qs

import pytest

from klines_pipeline.domain.errors import TransientError
from klines_pipeline.exchanges.binance.listing import (
    ListedObject,
    archive_days,
    listing_query,
    parse_page,
)

FOLDER = "data/spot/daily/klines/BTCUSDT/1m/"
NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


def page(*objects: tuple[str, int, str, str], truncated: str = "false") -> bytes:
    contents = "".join(
        f"<Contents><Key>{key}</Key><LastModified>{modified}</LastModified><ETag>&quot;{etag}&quot;</ETag>"
        f"<Size>{size}</Size></Contents>"
        for key, size, etag, modified in objects
    )
    head = f'<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="{NAMESPACE}">'
    return f"{head}<IsTruncated>{truncated}</IsTruncated>{contents}</ListBucketResult>".encode()


def test_a_page_is_read_with_sizes_tags_and_utc_times() -> None:
    body = page((f"{FOLDER}币&amp;.zip", 70, "abc-2", "2025-03-02T01:02:03.000Z"), truncated="true")

    read = parse_page(body)

    assert read.truncated is True
    assert read.objects == [ListedObject(f"{FOLDER}币&.zip", 70, "abc-2", datetime(2025, 3, 2, 1, 2, 3, tzinfo=UTC))]
    assert parse_page(page()).truncated is False


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "not XML"),
        (b"<html><head><title>Just a moment</head>", "not XML"),
        (b"<html></html>", "answered html instead of a listing"),
        (b"<Error><Code>SlowDown</Code></Error>", "answered SlowDown instead of a listing"),
        (page()[:-5], "not XML"),
        (b"\xff\xfe\x00binary", "not XML"),
    ],
)
def test_what_is_not_a_listing_is_transient(body: bytes, sentence: str) -> None:
    with pytest.raises(TransientError, match=sentence):
        parse_page(body)


def listed(name: str) -> ListedObject:
    return ListedObject(f"{FOLDER}{name}", 1, "e", datetime(2025, 3, 2, tzinfo=UTC))


def test_archives_and_checksums_are_told_apart_and_junk_is_passed_over() -> None:
    names = [
        "BTCUSDT-1m-2025-03-01.zip",
        "BTCUSDT-1m-2025-03-01.zip.CHECKSUM",
        "BTCUSDT-1m-2025-03.zip",
        "BTCUSDT-1m-2025-03-01.zip.tmp",
        "BTCUSDT-1m-2025-03-01.csv",
        "XBTCUSDT-1m-2025-03-01.zip",
        "old/BTCUSDT-1m-2025-03-01.zip",
        "",
    ]

    found = [(day, suffix) for day, suffix, _ in archive_days(list(map(listed, names)), f"{FOLDER}BTCUSDT-1m-")]

    assert found == [(date(2025, 3, 1), ""), (date(2025, 3, 1), ".CHECKSUM")]


@pytest.mark.parametrize("start_after", ["", f"{FOLDER}BTCUSDT-1m-2025-03-01.zip.CHECKSUM"])
def test_a_query_survives_the_way_through_a_url(start_after: str) -> None:
    query = parse_qs(listing_query("data/币安人生USDT/1m/", start_after=start_after, max_keys=10))

    expected = {"list-type": ["2"], "prefix": ["data/币安人生USDT/1m/"], "max-keys": ["10"]}
    assert query == expected | ({"start-after": [start_after]} if start_after else {})
