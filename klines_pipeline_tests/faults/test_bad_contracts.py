"""Archives of COIN-M whose contracts are no counts: the row is rejected and listed, and REST gives the right one."""

from datetime import UTC, datetime

import pytest

from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.conftest import Run, archive_entry, certificate, make_dataset, read_day
from klines_pipeline_tests.faults.archives import pack

CM = "binance/cm"
DAY = "2023-01-02"
OPEN_TIME = int(datetime(2023, 1, 2, tzinfo=UTC).timestamp() * 1000)
HOUR = 3_600_000
NAME = f"BTCUSD_PERP-1h-{DAY}"
KEY = f"data/futures/cm/daily/klines/BTCUSD_PERP/1h/{NAME}.zip"


def line(hour: int, contracts: str = "12", bought: str = "3") -> str:
    """A kline as COIN-M's archives have it: contracts, then base volume under the name of a quote volume."""
    start = OPEN_TIME + hour * HOUR
    return f"{start},16600,16700,16500,16650,{contracts},{start + HOUR - 1},0.0721,4,{bought},0.02,0"


def put(exchange: EmbeddedExchange, lines: list[str]) -> None:
    """Publish the day with these lines."""
    exchange.put_object(KEY, pack([(f"{NAME}.csv", "".join(f"{text}\n" for text in lines).encode())]))


@pytest.mark.parametrize(
    ("contracts", "bought", "reason"),
    [
        ("-3", "1", "negative"),
        ("12.9", "3", "malformed"),
        ("", "3", "malformed"),
        ("12", "3.7", "malformed"),
        ("12", "", "malformed"),
        ("12", "-1", "negative"),
        ("NaN", "3", "malformed"),
        ("1e19", "3", "malformed"),
    ],
)
def test_a_count_that_is_none_costs_its_row_alone(
    exchange: EmbeddedExchange, ingest: Run, lake: Lake, contracts: str, bought: str, reason: str
) -> None:
    put(exchange, [line(hour, contracts, bought) if hour == 7 else line(hour) for hour in range(24)])

    [result] = ingest(make_dataset("BTCUSD_PERP", market="cm", interval="1h"), DAY)

    assert not result.failures
    assert archive_entry(lake, "BTCUSD_PERP", DAY, interval="1h", venue=CM)["state"] == "ok"
    proof = certificate(lake, "BTCUSD_PERP", DAY, interval="1h", venue=CM)
    assert (proof["from_vision"], proof["from_rest"], proof["missing"]) == (23, 1, 0)
    rejected = read_day(lake, "ledger/rejected", DAY, interval="1h", venue=CM)
    assert rejected.select("symbol", "source", "reason").rows() == [("BTCUSD_PERP", "vision", reason)]


def test_a_whole_number_with_decimals_is_a_count(exchange: EmbeddedExchange, ingest: Run, lake: Lake) -> None:
    put(exchange, [line(hour, "12.0", "3.00") for hour in range(24)])

    ingest(make_dataset("BTCUSD_PERP", market="cm", interval="1h"), DAY)

    rows = read_day(lake, "klines", DAY, interval="1h", venue=CM)
    assert rows.select("contracts", "taker_buy_contracts").unique().rows() == [(12, 3)]


def test_of_two_rows_that_differ_in_contracts_alone_the_first_is_listed(
    exchange: EmbeddedExchange, ingest: Run, lake: Lake
) -> None:
    put(exchange, [*(line(hour) for hour in range(24)), line(23, "99")])

    ingest(make_dataset("BTCUSD_PERP", market="cm", interval="1h"), DAY)

    rows = read_day(lake, "klines", DAY, interval="1h", venue=CM)
    assert rows["contracts"].to_list()[-1] == 99
    assert read_day(lake, "ledger/rejected", DAY, interval="1h", venue=CM)["reason"].to_list() == ["duplicate"]
