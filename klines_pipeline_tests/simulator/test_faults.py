"""Faults on real connections."""

import hashlib
import time
from typing import Any

import httpx
import pytest

from klines_pipeline.simulator.server import EmbeddedExchange


@pytest.fixture
def key(bucket: Any) -> str:
    return bucket.key("BTCUSDT", "2025-03-03", "1h")


def test_a_status_lasts_as_long_as_it_should(exchange: EmbeddedExchange, bucket: Any, key: str) -> None:
    exchange.add_fault(kind="status", match="/data/*.zip", status=503, times=2, headers={"Retry-After": "7"})
    answers = [bucket.get(key) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [503, 503, 200]
    assert answers[0].headers["Retry-After"] == "7"
    assert "<Code>SlowDown</Code>" in answers[0].text


def test_times_can_count_for_each_path(exchange: EmbeddedExchange, bucket: Any, key: str) -> None:
    other = bucket.key("ETHUSDT", "2025-03-03", "1h")
    exchange.add_fault(kind="status", match="*.zip", times=1, per_key=True)

    assert [bucket.get(name).status_code for name in (key, other, key, other)] == [503, 503, 200, 200]


def test_both_paths_of_a_key_are_one(exchange: EmbeddedExchange, http: httpx.Client, key: str) -> None:
    exchange.add_fault(kind="status", match=f"/{key}", status=500)

    assert http.get(f"/data.binance.vision/{key}").status_code == 500


def test_probability_is_the_same_dice_each_time(exchange: EmbeddedExchange, bucket: Any, key: str) -> None:
    rolls = []
    for _ in range(2):
        exchange.clear_faults()
        exchange.add_fault(kind="status", match="*.zip", probability=0.5)
        rolls.append([bucket.get(key).status_code for _ in range(20)])

    assert rolls[0] == rolls[1]
    assert set(rolls[0]) == {200, 503}


@pytest.mark.parametrize(
    ("path", "status", "content_type", "words"),
    [
        ("/data.binance.vision", 403, "application/xml", "<Code>AccessDenied</Code>"),
        ("/api/v3/ping", 403, "text/html", "Forbidden"),
        ("/api/v3/ping", 451, "application/json", "restricted location"),
        ("/api/v3/ping", 503, "application/json", '{"code":-1001'),
        ("/api/v3/ping", 429, "application/json", '{"code":-1003'),
    ],
)
def test_a_status_speaks_as_the_real_service_does(
    exchange: EmbeddedExchange, http: httpx.Client, path: str, status: int, content_type: str, words: str
) -> None:
    exchange.add_fault(kind="status", status=status)
    answer = http.get(path)

    assert answer.status_code == status
    assert answer.headers["Content-Type"].startswith(content_type)
    assert words in answer.text


def test_blocked_is_451_on_rest_and_403_on_the_bucket(exchange: EmbeddedExchange, http: httpx.Client, key: str) -> None:
    exchange.add_fault(kind="blocked")

    assert http.get("/api/v3/time").status_code == 451
    assert http.get(f"/{key}").status_code == 403


def test_a_body_of_ones_own(exchange: EmbeddedExchange, http: httpx.Client) -> None:
    exchange.add_fault(kind="status", status=418, body="{}", headers={"Content-Type": "application/json"}, group="rest")

    assert (http.get("/api/v3/ping").status_code, http.get("/api/v3/ping").json()) == (418, {})
    assert http.get("/data.binance.vision").status_code == 200


def test_delay_holds_the_answer_back(exchange: EmbeddedExchange, http: httpx.Client) -> None:
    exchange.add_fault(kind="delay", match="/api/v3/time", seconds=0.3)
    began = time.monotonic()

    assert http.get("/api/v3/time").status_code == 200
    assert time.monotonic() - began >= 0.3


@pytest.mark.parametrize("when", ["headers", "body"])
def test_reset_breaks_the_connection(exchange: EmbeddedExchange, bucket: Any, key: str, when: str) -> None:
    exchange.add_fault(kind="reset", match="*.zip", when=when, times=1)

    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        bucket.get(key)
    assert bucket.get(key).status_code == 200
    assert exchange.requests()["by_status"]["reset"] == 1


def test_truncate_can_betray_the_length(exchange: EmbeddedExchange, bucket: Any, key: str) -> None:
    exchange.add_fault(kind="truncate", match="*.zip", times=1)

    with pytest.raises(httpx.RemoteProtocolError):
        bucket.get(key)
    assert bucket.get(key).status_code == 200


def test_truncate_can_be_consistent(exchange: EmbeddedExchange, bucket: Any, key: str) -> None:
    whole = bucket.get(key).content
    exchange.add_fault(kind="truncate", match="*.zip", declared=False)

    assert bucket.get(key).content == whole[: len(whole) // 2]


def test_corrupt_flips_one_byte(exchange: EmbeddedExchange, bucket: Any, key: str) -> None:
    whole = bucket.get(key).content
    exchange.add_fault(kind="corrupt", match="*.zip")
    broken = bucket.get(key).content

    assert sum(left != right for left, right in zip(whole, broken, strict=True)) == 1


def test_a_wrong_checksum(exchange: EmbeddedExchange, bucket: Any, key: str) -> None:
    exchange.add_fault(kind="checksum", match=f"/{key}")
    text = bucket.get(f"{key}.CHECKSUM").text

    assert text[64:] == f"  {key.rpartition('/')[2]}"
    assert text[:64] != hashlib.sha256(bucket.get(key).content).hexdigest()
    assert set(text[:64]) <= set("0123456789abcdef")


def test_a_dropped_checksum_is_unlisted_too(exchange: EmbeddedExchange, bucket: Any, key: str) -> None:
    exchange.add_fault(kind="drop_checksum", match=f"/{key}")

    assert bucket.get(f"{key}.CHECKSUM").status_code == 404
    assert bucket.page(prefix=key).keys == [key]
    assert bucket.get(key).status_code == 200


def test_html_with_status_200(exchange: EmbeddedExchange, bucket: Any, key: str) -> None:
    exchange.add_fault(kind="html", match="re:BTCUSDT-1h-.*zip$")
    answer = bucket.get(key)

    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert bucket.get(f"{key}.CHECKSUM").headers["Content-Type"] == "binary/octet-stream"


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "nonsense"}, {}, {"kind": "status", "status": 99}, {"kind": "status", "match": "re:("},
        {"kind": "delay", "seconds": -1}, {"kind": "status", "colour": "red"}, {"kind": "html", "group": "all"},
        {"kind": "status", "probability": 2}, {"kind": "reset", "when": "never"},
    ],
)  # fmt: skip
def test_impossible_faults_are_refused(exchange: EmbeddedExchange, fault: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\.$"):
        exchange.add_fault(**fault)
