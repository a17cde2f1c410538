"""Archives as a test wants them: read one from the bucket, change its lines, pack it again, well or badly."""

import io
import zipfile
from collections.abc import Callable, Sequence

import httpx

from klines_pipeline.simulator.server import EmbeddedExchange

Lines = list[str]


def key_of(symbol: str, day: str, interval: str = "1m") -> str:
    """The key of a daily archive."""
    return f"data/spot/daily/klines/{symbol}/{interval}/{symbol}-{interval}-{day}.zip"


def member_of(key: str) -> str:
    """The name its only member must have."""
    return key.rpartition("/")[2].removesuffix(".zip") + ".csv"


def body_of(exchange: EmbeddedExchange, key: str) -> bytes:
    """The archive's bytes as the bucket sends them now."""
    answer = httpx.get(f"{exchange.url}/{key}")
    assert answer.status_code == 200, answer.text
    return answer.content


def lines_of(exchange: EmbeddedExchange, key: str) -> Lines:
    """The lines of its member."""
    with zipfile.ZipFile(io.BytesIO(body_of(exchange, key))) as archive:
        return archive.read(member_of(key)).decode().splitlines()


def pack(members: Sequence[tuple[str, bytes]]) -> bytes:
    """A zip with these members."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return target.getvalue()


def rewrite(exchange: EmbeddedExchange, key: str, change: Callable[[Lines], Lines]) -> None:
    """Replace a published archive by one whose lines are changed, with a valid checksum. REST stays as it was."""
    text = "".join(f"{line}\n" for line in change(lines_of(exchange, key)))
    exchange.put_object(key, pack([(member_of(key), text.encode())]))


def with_cell(line: str, column: int, text: str) -> str:
    """The line with another text in one column (0 = open_time, 1 to 4 = open, high, low, close, 5 = volume)."""
    cells = line.split(",")
    return ",".join([*cells[:column], text, *cells[column + 1 :]])
