"""The server itself: starting, stopping, other people's clients, malformed requests, many connections."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.request import urlopen

import httpx
import pytest

from klines_pipeline.simulator.server import EmbeddedExchange

KEY = "data/spot/daily/klines/币安人生USDT/1h/币安人生USDT-1h-2025-03-02.zip"


def test_environment_points_everything_at_the_exchange(exchange: EmbeddedExchange) -> None:
    url, environment = exchange.url, exchange.environment()
    environment.pop("KLINES_STATE")

    assert environment == {
        "KLINES_VISION_LIST_URL": f"{url}/data.binance.vision",
        "KLINES_VISION_DOWNLOAD_URL": url,
        "KLINES_BINANCE_SPOT_URL": url,
        "KLINES_BINANCE_UM_URL": url,
        "KLINES_BINANCE_CM_URL": url,
        "KLINES_OKX_URL": url,
    }


def test_stopping_is_quick_with_open_connections() -> None:
    exchange = EmbeddedExchange().start()
    with httpx.Client(base_url=exchange.url) as client:
        client.get("/api/v3/ping")
        exchange.add_fault(kind="delay", match="/api/v3/time", seconds=30)
        waiting = threading.Thread(target=_swallow, args=(exchange.url + "/api/v3/time",))
        waiting.start()
        time.sleep(0.1)
        began = time.monotonic()
        exchange.stop()
        took = time.monotonic() - began
        waiting.join()
    exchange.stop()

    assert took < 1


def _swallow(url: str) -> None:
    with pytest.raises(httpx.HTTPError):
        httpx.get(url)


def test_stopping_ends_a_long_listing_too() -> None:
    """A page of a year of seconds takes a minute; its thread would hold the interpreter's exit up."""
    before = set(threading.enumerate())
    exchange = EmbeddedExchange(rate=0).start()
    url = f"{exchange.url}/data.binance.vision?prefix=data/spot/daily/klines/BTCUSDT/1s/"
    waiting = threading.Thread(target=_swallow, args=(url,))
    waiting.start()
    time.sleep(0.3)
    exchange.stop()
    waiting.join()
    time.sleep(1)

    assert set(threading.enumerate()) <= before


def test_it_can_be_started_again_but_not_twice() -> None:
    exchange = EmbeddedExchange()
    with exchange, pytest.raises(RuntimeError, match="already running"):
        exchange.start()
    with exchange:
        assert httpx.get(f"{exchange.url}/api/v3/ping").status_code == 200


def test_a_taken_port_is_told_at_once(exchange: EmbeddedExchange) -> None:
    port = int(exchange.url.rpartition(":")[2])

    with pytest.raises(OSError, match="in use"):
        EmbeddedExchange(port=port).start()


def test_s3fs_lists_reads_and_inspects(exchange: EmbeddedExchange) -> None:
    """In a process of its own: botocore leaves sockets to the collector, and warnings are errors here."""
    script = (
        "import s3fs, sys\n"
        "fs = s3fs.S3FileSystem(anon=True, client_kwargs={'endpoint_url': sys.argv[1]})\n"
        "root = 'data.binance.vision/'\n"
        "print(len(fs.ls(root + 'data/spot/daily/klines/')))\n"
        "print(len(fs.ls(root + sys.argv[2].rpartition('/')[0] + '/')))\n"
        "print(fs.info(root + sys.argv[2])['size'] == len(fs.cat(root + sys.argv[2])))\n"
        "print(fs.exists(root + 'data/none.zip'))\n"
        "print(len(fs.find(root + 'data/spot/daily/klines/LUNAUSDT/1d/')))\n"
    )
    environment = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    command = [sys.executable, "-W", "ignore", "-c", script, exchange.url, KEY]
    result = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)

    assert result.stdout.split() == ["13", "110", "True", "False", "1262"], result.stderr


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl")
def test_curl_downloads_and_resumes(exchange: EmbeddedExchange, bucket: Any) -> None:
    url = str(httpx.URL(f"{exchange.url}/{KEY}"))
    command = ["curl", "--silent", "--show-error", "--fail", "--noproxy", "*"]
    whole = subprocess.run([*command, url], capture_output=True, check=True, timeout=20).stdout
    rest = subprocess.run([*command, "--continue-at", "100", url], capture_output=True, check=True, timeout=20).stdout
    absent = subprocess.run([*command, f"{exchange.url}/data/none.zip"], capture_output=True, check=False, timeout=20)

    assert whole == bucket.get(KEY).content
    assert rest == whole[100:]
    assert absent.returncode == 22


def test_urllib_reads_it_too(exchange: EmbeddedExchange) -> None:
    with urlopen(f"{exchange.url}/api/v3/time", timeout=10) as answer:  # noqa: S310 - loopback
        assert answer.read() == b'{"serverTime":1741078800000}'


@pytest.mark.parametrize(
    "target",
    [
        "/data/%FF%FE.zip",
        "/%00",
        "/data.binance.vision?prefix=%FF",
        "/data.binance.vision?prefix=%00&delimiter=%00",
        "/data.binance.vision?list-type=2&continuation-token=AAAA",
        "/data.binance.vision?list-type=2&continuation-token=%F0",
        "/data.binance.vision?marker=%ED%A0%80",
        "/data.binance.vision?max-keys=99999999999999999999",
        "/data.binance.vision?max-keys=%D9%A3",
        "/data.binance.vision?encoding-type=x",
        "/data.binance.vision?delimiter=zip&prefix=data/spot/daily/klines/LUNAUSDT/1d/",
        "/api/v3/klines?symbol=%FF&interval=1m",
        "/api/v3/klines?symbol=BTCUSDT&interval=1m&startTime=99999999999999999999",
        "/api/v3/klines?symbol=BTCUSDT&interval=1m&endTime=0",
        "/api/v3/klines?symbol=BTCUSDT&interval=1d&endTime=9999999999999999",
        "/api/v3/klines?symbol=BTCUSDT&interval=1m&limit=%D9%A3",
        "/api/v3/exchangeInfo?symbols=[1]",
        "/data//..//x",
        "/api/v3/klines?symbol=BTCUSDT&interval=1m&startTime=%C2%B2",
        "/data/spot/daily/klines/BTCUSDT/1m/BTCUSDT-1m-0001-01-01.zip",
        "/data/spot/daily/klines/BTCUSDT/1m/BTCUSDT-1m-9999-12-31.zip",
        "/data.binance.vision?list-type=2&start-after=data/spot/daily/klines/LUNAUSDT/1d/LUNAUSDT-1d-9999",
    ],
)
def test_odd_requests_get_an_answer_below_500(http: httpx.Client, target: str) -> None:
    assert http.get(target).status_code < 500
    assert http.head(target).status_code < 500


@pytest.mark.parametrize(
    "lines",
    [
        b"\x00\xff\x00\r\n\r\n",
        b"GET\r\n\r\n",
        "GET /data/币.zip HTTP/1.1\r\nHost: x\r\n\r\n".encode(),
        b"GET " + b"a" * 200_000 + b"\r\n\r\n",
    ],
)
def test_raw_nonsense_is_no_server_error_and_no_hang(
    exchange: EmbeddedExchange, http: httpx.Client, lines: bytes
) -> None:
    host, port = exchange.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(lines)
        try:
            reply = connection.recv(4096)
        except ConnectionError:
            reply = b""

    assert b" 500 " not in reply.split(b"\r\n", 1)[0]
    assert http.get("/api/v3/ping").status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_other_methods_are_refused(http: httpx.Client, method: str) -> None:
    assert http.request(method, "/data/none.zip").status_code == 405
    assert http.request(method, "/api/v3/klines").status_code == 405


def test_sixty_four_clients_at_once(exchange: EmbeddedExchange, bucket: Any) -> None:
    days = [f"2024-04-{day:02d}" for day in range(1, 31)]
    expected = {day: bucket.get(bucket.key("BTCUSDT", day, "1h")).content for day in days}
    limits = httpx.Limits(max_connections=64, max_keepalive_connections=64)
    with httpx.Client(base_url=exchange.url, limits=limits, timeout=30) as client, ThreadPoolExecutor(64) as pool:
        found = list(pool.map(lambda day: client.get(f"/{bucket.key('BTCUSDT', day, '1h')}").content, days * 10))

    assert found == [expected[day] for day in days * 10]


def test_many_more_symbols_can_be_had(tmp_path: Any) -> None:
    with (
        EmbeddedExchange(rate=0, extra_symbols=1200) as exchange,
        httpx.Client(base_url=exchange.url, timeout=30) as client,
    ):
        query = {"list-type": 2, "prefix": "data/spot/daily/klines/", "delimiter": "/"}
        page = client.get("/data.binance.vision", params=query).text
        rows = client.get(
            "/api/v3/klines", params={"symbol": "X1200USDT", "interval": "1m", "startTime": 0, "limit": 1}
        ).json()

    assert page.count("<CommonPrefixes>") == 1000
    assert "<IsTruncated>true</IsTruncated>" in page
    assert rows[0][0] == 1_577_836_800_000


def test_serve_prints_where_it_is_and_ends_on_a_signal() -> None:
    script = (
        "from datetime import datetime\n"
        "from klines_pipeline.simulator.serve import serve\n"
        "serve(now=datetime(2024, 5, 1, 12), rate=0)\n"
    )
    with subprocess.Popen([sys.executable, "-W", "error", "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline().strip() for _ in range(9)]
        url = lines[0].removeprefix("embedded exchange on ")
        told = httpx.get(f"{url}/control/clock").json()
        process.send_signal(signal.SIGTERM)
        code = process.wait(timeout=10)

    assert (told, code) == ({"now": "2024-05-01T12:00:00Z", "rate": 0.0}, 0)
    assert f"export KLINES_VISION_LIST_URL={url}/data.binance.vision" in lines
    assert "/control/" in lines[8]
