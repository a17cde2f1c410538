"""Files from a host: whole, or an error with a name; the sink never sees the body of an error."""

import errno
import socket
from datetime import UTC, datetime

import pytest

from klines_pipeline.domain.errors import NotPublishedError, TransientError
from klines_pipeline.exchanges.download import download
from klines_pipeline_tests.exchanges.script import Answer, ScriptedServer


def test_a_file_arrives_byte_for_byte_with_what_its_headers_say(server: ScriptedServer) -> None:
    content, body = bytes(range(256)) * 5000, bytearray()
    headers = {"ETag": '"abc-1"', "Last-Modified": "Sun, 02 Mar 2025 01:02:03 GMT"}
    server.script = [Answer(body=content, headers=headers)]

    received = download(f"{server.url}/data/%E5%B8%81.zip", body.extend)

    assert body == content
    assert received.last_modified == datetime(2025, 3, 2, 1, 2, 3, tzinfo=UTC)
    assert received.served_at == datetime(2025, 3, 4, 9, tzinfo=UTC)
    assert server.paths == ["/data/%E5%B8%81.zip"]


def test_headers_that_are_not_sent_are_none(server: ScriptedServer) -> None:
    received = download(server.url, bytearray().extend)

    assert received.last_modified is None


@pytest.mark.parametrize("status", [301, 302, 403, 408, 429, 500, 503])
def test_any_other_status_is_transient_and_its_body_reaches_nobody(server: ScriptedServer, status: int) -> None:
    body = bytearray()
    server.script = [Answer(status, b"<html>sorry</html>", {"Location": f"{server.url}/elsewhere"})]

    with pytest.raises(TransientError, match=f"answered HTTP {status}") as failed:
        download(f"{server.url}/x", body.extend)

    assert failed.value.http_status == status
    assert body == b""
    assert server.paths == ["/x"]


def test_404_says_that_it_is_not_published(server: ScriptedServer) -> None:
    server.script = [Answer(404, b"<Error><Code>NoSuchKey</Code></Error>")]

    with pytest.raises(NotPublishedError, match="/x does not exist"):
        download(f"{server.url}/x", bytearray().extend)


def test_a_body_shorter_than_announced_is_transient(server: ScriptedServer) -> None:
    server.script = [Answer(body=b"half", claims=1000)]

    with pytest.raises(TransientError, match="/x: "):
        download(f"{server.url}/x", bytearray().extend)


def test_after_a_failure_the_next_file_arrives(server: ScriptedServer) -> None:
    server.script = [Answer(body=b"half", claims=1000), Answer(503), Answer(body=b"whole")]
    body = bytearray()
    for _ in range(2):
        with pytest.raises(TransientError):
            download(server.url, bytearray().extend)

    download(server.url, body.extend)

    assert body == b"whole"


def test_a_host_that_is_not_there_is_transient() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]

        with pytest.raises(TransientError, match=f"http://127.0.0.1:{port}/x: "):
            download(f"http://127.0.0.1:{port}/x", bytearray().extend)


def test_a_full_disk_stays_a_full_disk(server: ScriptedServer) -> None:
    def full(_: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left") as failed:
        download(server.url, full)

    assert failed.value.errno == errno.ENOSPC


def test_an_answer_that_takes_too_long_is_transient() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(TransientError, match="timed out"):
        download(f"http://127.0.0.1:{silent.getsockname()[1]}/x", bytearray().extend, seconds=0.05)
