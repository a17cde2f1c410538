"""Bytes that are not the archive they claim to be: never parsed, never visible, fetched again, REST fills the day."""

import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from klines_pipeline.domain.automation import Automation
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.stages.checking.examine import examine_days
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.conftest import archive_entry, certificate, make_dataset
from klines_pipeline_tests.faults.archives import body_of, key_of, member_of, pack
from klines_pipeline_tests.faults.conftest import Recovery, Runner, assert_good

DAY = "2024-03-01"
BTC, ETH = key_of("BTCUSDT", DAY), key_of("ETHUSDT", DAY)
MEMBER = member_of(ETH)
LINE = b"1709251200000,1,1,1,1,1,1709251259999,1,1,1,1,0\n"


def encrypted(whole: bytes) -> bytes:
    """The zip with the "encrypted" flag set in both of its headers."""
    central = whole.index(b"PK\x01\x02")
    flags = struct.pack("<H", 0x1)
    return whole[:6] + flags + whole[8 : central + 8] + flags + whole[central + 10 :]


def squeezed(method: int) -> bytes:
    """A zip packed as no archive is."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as archive:
        archive.writestr(MEMBER, LINE)
    return target.getvalue()


def bomb() -> bytes:
    """64 MB of digits in 64 kB."""
    return pack([(MEMBER, b"1" * 64 * 2**20)])


def modest_bomb() -> bytes:
    """A bomb that claims to hold 48 bytes."""
    whole = bomb()
    claimed, real = struct.pack("<L", 48), struct.pack("<L", 64 * 2**20)
    assert whole.count(real) == 2
    return whole.replace(real, claimed)


BODIES: dict[str, Callable[[bytes], bytes]] = {
    "cut in half": lambda whole: whole[: len(whole) // 2],
    "cut by one byte": lambda whole: whole[:-1],
    "nothing": lambda _: b"",
    "a web page": lambda _: b"<html><body>Just a moment</body></html>",
    "an S3 error": lambda _: b"<Error><Code>AccessDenied</Code></Error>",
    "zeros": lambda whole: bytes(len(whole)),
    "an empty zip": lambda _: pack([]),
    "another member": lambda _: pack([("ETHUSDT-1m-2024-03-02.csv", LINE)]),
    "a path upwards": lambda _: pack([("../../../evil.csv", LINE)]),
    "an absolute path": lambda _: pack([("/tmp/evil.csv", LINE)]),  # noqa: S108 - nothing is written there
    "a folder before the name": lambda _: pack([(f"evil/{MEMBER}", LINE)]),
    "two members": lambda _: pack([(MEMBER, LINE), ("evil.csv", LINE)]),
    "encrypted": encrypted,
    "packed with bzip2": lambda _: squeezed(zipfile.ZIP_BZIP2),
    "packed with lzma": lambda _: squeezed(zipfile.ZIP_LZMA),
    "a bomb": lambda _: bomb(),
    "a bomb that lies": lambda _: modest_bomb(),
}

TEXTS = {
    "prose": b"no klines today\nsorry\n",
    "a column too many": LINE.replace(b",0\n", b",0,0\n"),
    "words among the numbers": LINE.replace(b",1,", b",one,", 1),
    "another column order": 2 * (b"ETHUSDT," + LINE),
}


@pytest.mark.parametrize("spoil", BODIES.values(), ids=BODIES)
def test_what_is_no_archive_is_never_used_and_rest_fills_the_day(
    exchange: EmbeddedExchange,
    run: Runner,
    lake: Lake,
    assert_recovers: Recovery,
    tmp_path: Path,
    spoil: Callable[[bytes], bytes],
) -> None:
    dataset, whole = make_dataset("BTCUSDT", "ETHUSDT"), body_of(exchange, ETH)
    exchange.put_object(ETH, spoil(whole))
    exchange.reset_requests()

    [result] = run(dataset, DAY)

    entry, filled = archive_entry(lake, "ETHUSDT", DAY), certificate(lake, "ETHUSDT", DAY)
    assert_good([result])
    assert (entry["state"], entry["revision"]) == ("corrupt", 0)
    assert entry["error"]
    assert (filled["from_vision"], filled["from_rest"], filled["missing"]) == (0, 1440, 0)
    assert certificate(lake, "BTCUSDT", DAY)["from_vision"] == 1440
    assert exchange.requests()["by_path"][f"/{ETH}"] == 2
    assert not list(Path(lake.base, "vision").rglob("ETHUSDT*"))
    assert not list(tmp_path.rglob("*evil*"))
    findings = {
        finding.rule: [*map(str, finding.worst)]
        for finding in examine_days(lake, dataset, [result.day], Automation().cadence)
    }
    assert findings["archive_matches_checksum"] == [f"{DAY} ETHUSDT: 1"]

    exchange.put_object(ETH, whole)
    assert_recovers(dataset, DAY)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_sound_zip_of_something_else_is_corrupt_too(
    exchange: EmbeddedExchange, run: Runner, lake: Lake, assert_recovers: Recovery, text: bytes
) -> None:
    dataset, whole = make_dataset("BTCUSDT", "ETHUSDT"), body_of(exchange, ETH)
    exchange.put_object(ETH, pack([(MEMBER, text)]))

    assert_good(run(dataset, DAY))

    filled = certificate(lake, "ETHUSDT", DAY)
    assert archive_entry(lake, "ETHUSDT", DAY)["state"] == "corrupt"
    assert "its text is not klines" in archive_entry(lake, "ETHUSDT", DAY)["error"]
    assert (filled["from_vision"], filled["from_rest"], filled["missing"]) == (0, 1440, 0)
    assert certificate(lake, "BTCUSDT", DAY)["from_vision"] == 1440
    assert not list(Path(lake.base, "vision").rglob("ETHUSDT*"))

    exchange.put_object(ETH, whole)
    assert_recovers(dataset, DAY)


@pytest.mark.parametrize(
    "fault",
    [{"kind": "truncate", "declared": False}, {"kind": "corrupt"}, {"kind": "html"}],
    ids=["cut, length matching", "a byte flipped", "a web page with 200"],
)
def test_an_archive_damaged_on_its_way_is_fetched_again(
    exchange: EmbeddedExchange, run: Runner, lake: Lake, assert_recovers: Recovery, fault: dict[str, Any]
) -> None:
    dataset = make_dataset("BTCUSDT", "ETHUSDT")
    exchange.add_fault(**fault, match=f"/{ETH}", times=1)

    assert_good(run(dataset, DAY))

    assert archive_entry(lake, "ETHUSDT", DAY)["state"] == "ok"
    assert exchange.requests()["by_path"][f"/{ETH}"] == 2
    assert exchange.requests()["rest_total"] == 0
    assert_recovers(dataset, DAY)


def test_a_corrupt_archive_is_tried_again_in_every_run(exchange: EmbeddedExchange, run: Runner, lake: Lake) -> None:
    dataset = make_dataset("BTCUSDT", "ETHUSDT")
    exchange.add_fault(kind="corrupt", match=f"/{ETH}")
    run(dataset, DAY)
    exchange.reset_requests()

    assert_good(run(dataset, DAY))

    assert exchange.requests()["by_path"][f"/{ETH}"] == 2
    assert f"/{BTC}" not in exchange.requests()["by_path"]
    assert exchange.requests()["rest_total"] == 0
    assert archive_entry(lake, "ETHUSDT", DAY)["state"] == "corrupt"


def test_without_rest_the_certificate_names_the_archive_or_the_outage(
    exchange: EmbeddedExchange, run: Runner, lake: Lake, assert_recovers: Recovery
) -> None:
    dataset = make_dataset("BTCUSDT", "ETHUSDT")
    exchange.add_fault(kind="corrupt", match=f"/{ETH}")
    exchange.add_fault(kind="status", status=503, group="rest")

    [result] = run(dataset, DAY)

    assert archive_entry(lake, "ETHUSDT", DAY)["state"] == "corrupt"
    assert certificate(lake, "ETHUSDT", DAY)["reason"] == "unavailable"
    assert certificate(lake, "BTCUSDT", DAY)["from_vision"] == 1440
    assert set(result.failures) == {"rest_klines", "klines"}
    assert "ETHUSDT" in result.failures["klines"]
    assert_recovers(dataset, DAY)
