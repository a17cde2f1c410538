"""ListObjects, both versions, over the wire."""

from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

import httpx
import pytest

from klines_pipeline.simulator.server import EmbeddedExchange

BTC_1M = "data/spot/daily/klines/BTCUSDT/1h/"


def test_a_page_is_in_byte_order_with_checksums_between(bucket: Any) -> None:
    page = bucket.page(prefix=BTC_1M, max_keys=6)

    assert page.keys[:2] == [
        bucket.key("BTCUSDT", "2017-08-17", "1h"),
        bucket.key("BTCUSDT", "2017-08-17", "1h") + ".CHECKSUM",
    ]
    assert page.keys == sorted(page.keys, key=str.encode)
    assert page.text("IsTruncated") == "true"


def test_an_entry_tells_what_a_download_finds(bucket: Any, http: httpx.Client) -> None:
    for entry in bucket.page(prefix=bucket.key("ETHUSDT", "2025-03-02")).contents:
        head = http.head(f"/{entry['Key']}")
        assert entry["ETag"] == head.headers["ETag"]
        assert entry["Size"] == head.headers["Content-Length"]
        assert entry["StorageClass"] == "STANDARD"
        assert entry["LastModified"] == "2025-03-03T02:11:59.000Z"
        assert head.headers["Last-Modified"] == "Mon, 03 Mar 2025 02:11:59 GMT"


def test_version_1_pages_by_the_last_key_and_never_gives_a_token(bucket: Any) -> None:
    first = bucket.page(prefix=BTC_1M)
    second = bucket.page(prefix=BTC_1M, marker=first.keys[-1])

    assert len(first.keys) == 1000
    assert first.text("NextMarker") is None
    assert first.text("NextContinuationToken") is None
    assert second.keys[0] > first.keys[-1]
    assert first.text("Marker") == ""


def test_version_1_gives_a_next_marker_with_a_delimiter_only(bucket: Any) -> None:
    page = bucket.page(prefix=bucket.prefix, delimiter="/", max_keys=2)
    rest = bucket.page(prefix=bucket.prefix, delimiter="/", marker=page.text("NextMarker"))

    assert page.folders == [f"{bucket.prefix}ADAUSDT/", f"{bucket.prefix}ARBUSDT/"]
    assert page.text("NextMarker") == f"{bucket.prefix}ARBUSDT/"
    assert rest.folders[0] == f"{bucket.prefix}BNBUSDT/"
    assert rest.text("NextMarker") is None


def test_version_2_pages_by_token_without_loss_or_repetition(bucket: Any) -> None:
    whole = bucket.page(list_type=2, prefix=f"{bucket.prefix}币安人生USDT/1h/")
    keys: list[str] = []
    token: dict[str, str] = {}
    while True:
        page = bucket.page(list_type=2, prefix=f"{bucket.prefix}币安人生USDT/1h/", max_keys=7, **token)
        keys += page.keys
        assert page.text("KeyCount") == str(len(page.keys))
        if page.text("IsTruncated") == "false":
            break
        token = {"continuation_token": page.text("NextContinuationToken")}

    assert keys == whole.keys
    assert len(keys) == 2 * 55


def test_folders_page_by_token_too(bucket: Any) -> None:
    first = bucket.page(list_type=2, prefix=bucket.prefix, delimiter="/", max_keys=5)
    second = bucket.page(
        list_type=2, prefix=bucket.prefix, delimiter="/", continuation_token=first.text("NextContinuationToken")
    )

    assert first.folders + second.folders == bucket.page(list_type=2, prefix=bucket.prefix, delimiter="/").folders
    assert second.folders[-1] == f"{bucket.prefix}币安人生USDT/"


def test_intervals_are_folders_in_byte_order(bucket: Any) -> None:
    folders = bucket.page(prefix=f"{bucket.prefix}BTCUSDT/", delimiter="/").folders

    assert [folder.split("/")[-2] for folder in folders] == [
        "12h", "15m", "1d", "1h", "1m", "1s", "2h", "30m", "3m", "4h", "5m", "6h", "8h",
    ]  # fmt: skip


def test_start_after_finds_the_newest_days_at_once(bucket: Any) -> None:
    after = bucket.key("BTCUSDT", "2025-03-01") + ".CHECKSUM"
    page = bucket.page(list_type=2, prefix=f"{bucket.prefix}BTCUSDT/1m/", start_after=after, max_keys=4)

    assert [key.rpartition("/")[2] for key in page.keys] == [
        f"BTCUSDT-1m-2025-03-0{day}.zip{suffix}" for day in (2, 3) for suffix in ("", ".CHECKSUM")
    ]
    assert page.text("StartAfter") == after


def test_start_after_is_refused_in_version_1(http: httpx.Client) -> None:
    answer = http.get("/data.binance.vision", params={"start-after": "data/"})

    assert answer.status_code == 400
    assert ElementTree.fromstring(answer.text).findtext("Code") == "InvalidArgument"  # noqa: S314 - our own XML


@pytest.mark.parametrize(
    "query", [{"max-keys": "-1"}, {"max-keys": "x"}, {"list-type": "2", "continuation-token": "?"}]
)
def test_senseless_arguments_are_refused(http: httpx.Client, query: dict[str, str]) -> None:
    assert http.get("/data.binance.vision", params=query).status_code == 400


def test_an_empty_prefix_is_an_ordinary_answer(bucket: Any) -> None:
    page = bucket.page(prefix="data/futures/um/daily/fundingRate/")

    assert page.keys == []
    assert page.text("IsTruncated") == "false"
    assert page.text("MaxKeys") == "1000"


def test_url_encoding_is_done_when_asked_for(bucket: Any) -> None:
    page = bucket.page(list_type=2, prefix=f"{bucket.prefix}币", encoding_type="url", max_keys=1)

    assert page.text("EncodingType") == "url"
    assert page.keys[0].isascii()
    assert unquote(page.keys[0]) == bucket.key("币安人生USDT", "2025-01-08", "12h")
    assert unquote(page.text("Prefix")) == f"{bucket.prefix}币"


def test_junk_keys_lie_among_the_archives(bucket: Any) -> None:
    after = bucket.key("BTCUSDT", "2025-03-03") + ".CHECKSUM"
    page = bucket.page(list_type=2, prefix=f"{bucket.prefix}BTCUSDT/1m/", start_after=after)

    assert page.keys == [f"{bucket.prefix}BTCUSDT/1m/part-00000-7c1f0d5e-c000.zip"]


def test_the_top_of_the_bucket_can_be_walked(bucket: Any) -> None:
    assert bucket.page(delimiter="/").folders == ["data/"]
    assert bucket.page(prefix="data/spot/", delimiter="/").folders == ["data/spot/daily/", "data/spot/monthly/"]
    assert bucket.page(prefix="data/spot/daily/klines", delimiter="/").folders == [bucket.prefix]


def test_the_bucket_answers_with_and_without_a_slash(http: httpx.Client) -> None:
    texts = {
        http.get(path, params={"delimiter": "/"}).text for path in ("/data.binance.vision", "/data.binance.vision/")
    }

    assert len(texts) == 1


def test_a_short_page_generates_only_what_it_lists(exchange: EmbeddedExchange, bucket: Any) -> None:
    made: list[str] = []
    generate = exchange._venue.bucket._generate
    exchange._venue.bucket._generate = lambda key: (made.append(key), generate(key))[1]
    try:
        bucket.page(
            list_type=2,
            prefix=f"{bucket.prefix}ADAUSDT/1m/",
            start_after=bucket.key("ADAUSDT", "2021-06-01"),
            max_keys=4,
        )
    finally:
        exchange._venue.bucket._generate = generate

    assert {key.removesuffix(".CHECKSUM")[-14:-4] for key in made} == {"2021-06-01", "2021-06-02", "2021-06-03"}
