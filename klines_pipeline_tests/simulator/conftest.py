"""A running exchange at a frozen instant, a client for it, and eyes for what the bucket answers."""

import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from xml.etree import ElementTree

import httpx
import pytest

from klines_pipeline.simulator.server import EmbeddedExchange

REAL = Path(__file__).resolve().parents[2].parent / "shared" / "real"
_NAMESPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"
_KLINES = "data/spot/daily/klines/"


@dataclass(frozen=True, slots=True)
class Page:
    """A parsed page of a listing."""

    root: ElementTree.Element

    @property
    def keys(self) -> list[str]:
        return [found.text or "" for found in self.root.iter(f"{_NAMESPACE}Key")]

    @property
    def folders(self) -> list[str]:
        return [found.text or "" for found in self.root.findall(f"{_NAMESPACE}CommonPrefixes/{_NAMESPACE}Prefix")]

    @property
    def contents(self) -> list[dict[str, str]]:
        entries = self.root.findall(f"{_NAMESPACE}Contents")
        return [{part.tag.removeprefix(_NAMESPACE): part.text or "" for part in entry} for entry in entries]

    def text(self, name: str) -> str | None:
        return self.root.findtext(f"{_NAMESPACE}{name}")


class Reader:
    """The bucket as a client sees it."""

    prefix = _KLINES

    def __init__(self, client: httpx.Client) -> None:
        self.client = client

    def page(self, **query: str | int) -> Page:
        """One page; underscores in names stand for hyphens."""
        names = {name.replace("_", "-"): str(value) for name, value in query.items()}
        answer = self.client.get("/data.binance.vision", params=names)
        assert answer.status_code == 200, answer.text
        return Page(ElementTree.fromstring(answer.text))  # noqa: S314 - our own server's XML

    def key(self, symbol: str, day: str, interval: str = "1m") -> str:
        """Key of a daily archive."""
        return f"{_KLINES}{symbol}/{interval}/{symbol}-{interval}-{day}.zip"

    def futures_key(self, market: str, symbol: str, day: str, interval: str = "1m") -> str:
        """Key of a daily archive of `um` or `cm`."""
        return f"data/futures/{market}/daily/klines/{symbol}/{interval}/{symbol}-{interval}-{day}.zip"

    def funding_key(self, market: str, symbol: str, month: str) -> str:
        """Key of a monthly funding archive."""
        return f"data/futures/{market}/monthly/fundingRate/{symbol}/{symbol}-fundingRate-{month}.zip"

    def get(self, key: str, **headers: str) -> httpx.Response:
        """An object; underscores in names of headers stand for hyphens."""
        return self.client.get(f"/{key}", headers={name.replace("_", "-"): value for name, value in headers.items()})

    def rows(self, key: str) -> list[list[str]]:
        """Cells of the only member of an archive."""
        answer = self.get(key)
        assert answer.status_code == 200, answer.text
        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
            assert archive.namelist() == [key.rpartition("/")[2].removesuffix(".zip") + ".csv"]
            return [line.split(",") for line in archive.read(archive.namelist()[0]).decode().splitlines()]

    def rest_rows(self, symbol: str, day: str, interval: str = "1m") -> list[list[str]]:
        """A UTC day from REST, times in the unit of the archives of that day, cells as archives write them."""
        start = int(datetime.fromisoformat(f"{day}T00:00:00+00:00").timestamp() * 1000)
        unit = {"X-MBX-TIME-UNIT": "MICROSECOND"} if day >= "2025" else {}
        query = {"symbol": symbol, "interval": interval, "limit": 1000}
        halves = [(start, start + 43_200_000 - 1), (start + 43_200_000, start + 86_400_000 - 1)]
        rows = []
        for first, last in halves:
            window = {**query, "startTime": first, "endTime": last}
            rows += self.client.get("/api/v3/klines", params=window, headers=unit).json()
        return [[str(cell) for cell in row] for row in rows]


@pytest.fixture(scope="session")
def running() -> Iterator[EmbeddedExchange]:
    """One exchange for all tests that do not change its objects: 2025-03-04T09:00:00Z, standing still."""
    with EmbeddedExchange(rate=0) as exchange:
        yield exchange


@pytest.fixture
def exchange(running: EmbeddedExchange) -> Iterator[EmbeddedExchange]:
    """The shared exchange with faults, counts, limits and clock as at the start."""
    before = running.now()
    running.reset_requests()
    yield running
    running.clear_faults()
    running.set_limits(weight_limit=6000, window_seconds=60, ban_seconds=120)
    for market in ("um", "cm"):
        running.set_limits(market=market, weight_limit=2400, window_seconds=60, ban_seconds=120)
        running.set_limits(market=market, funding=True, weight_limit=500, window_seconds=300, ban_seconds=120)
    running.set_clock(before, rate=0)


@pytest.fixture
def http(exchange: EmbeddedExchange) -> Iterator[httpx.Client]:
    """A keep-alive client of the shared exchange."""
    with httpx.Client(base_url=exchange.url, timeout=30) as client:
        yield client


@pytest.fixture
def bucket(http: httpx.Client) -> Reader:
    """The shared exchange's bucket."""
    return Reader(http)


@pytest.fixture
def private() -> Iterator[EmbeddedExchange]:
    """An exchange of this test's own, to put, revise and withhold objects in."""
    with EmbeddedExchange(rate=0) as exchange:
        yield exchange


@pytest.fixture
def private_http(private: EmbeddedExchange) -> Iterator[httpx.Client]:
    """A client of the test's own exchange."""
    with httpx.Client(base_url=private.url, timeout=30) as client:
        yield client


@pytest.fixture
def private_bucket(private_http: httpx.Client) -> Reader:
    """The bucket of the test's own exchange."""
    return Reader(private_http)


@pytest.fixture(scope="session")
def real(real_folder: Path) -> Iterator[Reader]:
    """The bucket of an exchange over the real archives."""
    with EmbeddedExchange(rate=0, root=real_folder) as exchange, httpx.Client(base_url=exchange.url) as client:
        yield Reader(client)


@pytest.fixture(scope="session")
def real_folder() -> Path:
    """The folder of real archives beside the repository, if it is there."""
    if not (REAL / "spot").is_dir():
        pytest.skip("no folder of real archives beside the repository")
    return REAL
