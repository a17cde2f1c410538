"""BTCUSDT's funding archive of February 2025, and how it is changed."""

from collections.abc import Callable
from datetime import datetime

from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline_tests.conftest import make_dataset
from klines_pipeline_tests.faults.archives import Lines, lines_of, member_of, pack, with_cell

UM = make_dataset("BTCUSDT", "SOLUSDT", market="um", interval="1h", funding=True)
KEY = "data/futures/um/monthly/fundingRate/BTCUSDT/BTCUSDT-fundingRate-2025-02.zip"
DAY = "2025-02-27"


def rewrite(exchange: EmbeddedExchange, change: Callable[[Lines], Lines]) -> None:
    """Replace it, with a valid checksum; REST stays as it was."""
    text = "".join(f"{line}\n" for line in change(lines_of(exchange, KEY)))
    exchange.put_object(KEY, pack([(member_of(KEY), text.encode())]))


def with_rate(day: str, rate: str) -> Callable[[Lines], Lines]:
    """Another rate at midnight of a day."""
    start = int(datetime.fromisoformat(f"{day}T00:00+00:00").timestamp())

    def change(lines: Lines) -> Lines:
        return [with_cell(line, 2, rate) if line.startswith(str(start)) else line for line in lines]

    return change
