"""Steering the exchange over HTTP and in-process: the same meaning."""

import base64
import hashlib
from datetime import UTC, date, datetime
from typing import Any

import httpx
import pytest

from klines_pipeline.simulator.server import EmbeddedExchange


def test_the_clock_can_be_set_and_read(exchange: EmbeddedExchange, http: httpx.Client) -> None:
    told = http.post("/control/clock", json={"now": "2024-05-01T12:00:00Z", "rate": 0}).json()

    assert told == http.get("/control/clock").json() == {"now": "2024-05-01T12:00:00Z", "rate": 0.0}
    assert exchange.now() == datetime(2024, 5, 1, 12, tzinfo=UTC)
    assert http.get("/api/v3/ping").headers["Date"] == "Wed, 01 May 2024 12:00:00 GMT"


def test_the_clock_can_run_faster_and_stand_still(exchange: EmbeddedExchange) -> None:
    first = exchange.now()
    assert exchange.now() == first
    exchange.set_clock(rate=100_000)
    while exchange.now() == first:
        pass
    exchange.set_clock(rate=0)

    assert exchange.now() > first
    assert exchange.now() == exchange.now()


def test_faults_come_and_go(http: httpx.Client) -> None:
    added = http.post("/control/faults", json={"match": "/api/v3/*", "kind": "status", "status": 500, "times": None})
    during = http.get("/api/v3/ping").status_code
    listed = http.get("/control/faults").json()["faults"]
    http.delete("/control/faults")

    assert added.status_code == 200
    assert during == 500
    assert [fault["fired"] for fault in listed] == [1]
    assert http.get("/api/v3/ping").status_code == 200


def test_limits_can_be_set_over_http(http: httpx.Client) -> None:
    told = http.post("/control/limits", json={"weight_limit": 1, "window_seconds": 30}).json()

    assert told == {"weight_limit": 1, "window_seconds": 30, "ban_seconds": 120}
    assert [http.get("/api/v3/ping").status_code for _ in range(2)] == [200, 429]


def test_requests_are_counted_and_control_is_not(exchange: EmbeddedExchange, http: httpx.Client, bucket: Any) -> None:
    key = bucket.key("BTCUSDT", "2025-03-03", "1h")
    for _ in range(2):
        bucket.get(key)
    http.get(f"/data.binance.vision/{key}.CHECKSUM")
    bucket.page(prefix=key)
    http.get("/api/v3/ping")
    http.get("/api/v3/klines")
    counts = http.get("/control/requests").json()

    assert (counts["listing"], counts["archives"], counts["checksums"]) == (1, 2, 1)
    assert counts["rest"] == {"ping": 1, "klines": 1}
    assert (counts["rest_total"], counts["total"]) == (2, 6)
    assert counts["by_status"] == {"200": 5, "400": 1}
    assert counts["by_path"][f"/{key}"] == 2
    assert counts["duplicate_downloads"] == {f"/{key}": 2}
    assert counts == exchange.requests()
    assert http.delete("/control/requests").json()["total"] == 0


def test_objects_can_be_put_with_every_kind_of_checksum(private: EmbeddedExchange, private_bucket: Any) -> None:
    bucket, client = private_bucket, private_bucket.client
    key = bucket.key("BTCUSDT", "2025-03-03")
    old = bucket.get(f"{key}.CHECKSUM").text
    payload = {"key": key, "base64": base64.b64encode(b"not a zip").decode()}
    seen = {}
    for choice in ("stale", True, False):
        assert client.post("/control/objects", json={**payload, "checksum": choice}).status_code == 200
        answer = bucket.get(f"{key}.CHECKSUM")
        seen[choice] = answer.text if answer.status_code == 200 else answer.status_code

    assert seen == {
        "stale": old,
        True: f"{hashlib.sha256(b'not a zip').hexdigest()}  BTCUSDT-1m-2025-03-03.zip",
        False: 404,
    }
    assert bucket.get(key).content == b"not a zip"
    assert bucket.get(key).headers["Last-Modified"] == "Tue, 04 Mar 2025 09:00:00 GMT"
    (entry,) = bucket.page(prefix=key).contents
    assert (entry["Size"], entry["LastModified"]) == ("9", "2025-03-04T09:00:00.000Z")
    private.put_object(key, b"again")
    assert bucket.page(prefix=key).contents[0]["Size"] == "5"


def test_new_keys_take_their_place_in_the_listing_and_can_go(private: EmbeddedExchange, private_bucket: Any) -> None:
    key = private_bucket.key("NEWUSDT", "2025-03-01")
    private.put_object(key, b"x", checksum="none")
    with_it = private_bucket.page(prefix=private_bucket.prefix, delimiter="/").folders
    private.remove_object(key)

    assert with_it.index(f"{private_bucket.prefix}NEWUSDT/") == with_it.index(f"{private_bucket.prefix}LUNAUSDT/") + 1
    assert private_bucket.get(key).status_code == 404
    assert (
        f"{private_bucket.prefix}NEWUSDT/"
        not in private_bucket.page(prefix=private_bucket.prefix, delimiter="/").folders
    )


@pytest.mark.parametrize("checksum", ["rewritten", "kept"])
def test_a_revision_rewrites_the_archive_and_rest_agrees(
    private: EmbeddedExchange, private_bucket: Any, checksum: str
) -> None:
    bucket = private_bucket
    key = bucket.key("ETHUSDT", "2025-03-02")
    before, old_tag, old_sum = bucket.rows(key), bucket.get(key).headers["ETag"], bucket.get(f"{key}.CHECKSUM").text
    told = bucket.client.post("/control/revise", json={"key": key, "with_checksum": checksum == "rewritten"}).json()
    after = bucket.rows(key)
    times_before, times_after = {row[0] for row in before}, {row[0] for row in after}
    same_times = {row[0]: row for row in before}

    assert after == bucket.rest_rows("ETHUSDT", "2025-03-02")
    assert len(times_before - times_after) <= 1
    assert len(times_after - times_before) in {19, 20}
    assert 1 <= sum(row != same_times[row[0]] for row in after if row[0] in same_times) <= 3
    assert bucket.get(key).headers["ETag"] != old_tag
    assert bucket.get(key).headers["ETag"] == f'"{told["md5"]}"'
    assert (bucket.get(f"{key}.CHECKSUM").text == old_sum) is (checksum == "kept")
    assert bucket.page(prefix=key).contents[0]["LastModified"] == "2025-03-04T09:00:00.000Z"


def test_revisions_are_the_same_for_the_same_seed(private: EmbeddedExchange) -> None:
    key = "data/spot/daily/klines/BTCUSDT/1h/BTCUSDT-1h-2024-02-01.zip"
    with EmbeddedExchange(rate=0) as other:
        digests = {exchange.revise(key).sha256 for exchange in (private, other)}

    assert len(digests) == 1
    assert private.revise(key).sha256 not in digests


def test_publication_can_be_held_back(private: EmbeddedExchange, private_bucket: Any) -> None:
    bucket, client = private_bucket, private_bucket.client
    key = bucket.key("BTCUSDT", "2025-03-03")
    held = client.post("/control/publication", json={"symbol": "BTCUSDT", "day": "2025-03-03", "hours": 10}).json()
    during, listed = bucket.get(key).status_code, bucket.page(prefix=key).keys
    private.set_clock(datetime(2025, 3, 4, 10, tzinfo=UTC))
    after = bucket.get(key).status_code
    client.post("/control/publication", json={"symbol": "BTCUSDT", "day": "2025-03-03", "never": True})
    private.set_clock(datetime(2025, 6, 1, tzinfo=UTC))

    assert held["until"] == "2025-03-04T10:00:00+00:00"
    assert (during, listed, after) == (404, [], 200)
    assert bucket.get(key).status_code == 404
    private.hold_publication("BTCUSDT", date(2025, 3, 3), until=datetime(2025, 3, 5, tzinfo=UTC))
    assert bucket.get(key).headers["Last-Modified"] == "Wed, 05 Mar 2025 00:00:00 GMT"


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "faults", b"{", 400),
        ("POST", "faults", b"[]", 400),
        ("POST", "faults", b'{"kind": "none"}', 400),
        ("POST", "clock", b'{"now": "yesterday"}', 400),
        ("POST", "clock", b'{"rate": -1}', 400),
        ("POST", "clock", b'{"rate": "x"}', 400),
        ("POST", "clock", b'{"now": 5}', 400),
        ("POST", "revise", b"{}", 400),
        ("POST", "revise", b'{"key": "data/none.zip"}', 400),
        ("POST", "revise", b'{"key": 1}', 400),
        ("POST", "objects", b'{"key": "data/x.zip", "base64": "?"}', 400),
        ("POST", "objects", b'{"key": "../x", "base64": ""}', 400),
        ("POST", "objects", b'{"key": "data/x.zip", "base64": "", "checksum": []}', 400),
        ("POST", "publication", b'{"symbol": "BTCUSDT", "day": "2025-3-1"}', 400),
        ("POST", "publication", b'{"symbol": "BTCUSDT", "day": "2025-03-01"}', 400),
        ("POST", "publication", b'{"symbol": "BTCUSDT", "day": "2025-03-01", "hours": 1e30}', 400),
        ("POST", "limits", b'{"weight_limit": 0}', 400),
        ("POST", "limits", b'{"weight": 5}', 400),
        ("POST", "limits", b'{"weight_limit": "x"}', 400),
        ("POST", "faults", b'{"kind": "status", "status": "x"}', 400),
        ("POST", "faults", b'{"kind": "status", "match": 5}', 400),
        ("POST", "faults", b'{"kind": "status", "headers": 5}', 400),
        ("POST", "faults", b'{"kind": "status", "met": 5}', 400),
        ("GET", "nothing", b"", 404),
        ("PUT", "clock", b"", 404),
    ],
)
def test_wrong_control_requests_get_a_sentence(
    http: httpx.Client, method: str, path: str, body: bytes, status: int
) -> None:
    answer = http.request(method, f"/control/{path}", content=body)

    assert answer.status_code == status
    assert answer.json()["error"]


def test_symbols_are_told(http: httpx.Client) -> None:
    assert http.get("/control/symbols").json()["symbols"]["ARBUSDT"] == [
        {"start": "2023-03-23T15:00:00+00:00", "end": None}
    ]
