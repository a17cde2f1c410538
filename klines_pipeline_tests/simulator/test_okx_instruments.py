"""OKX's clock, its list of instruments and its funding history."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline_tests.simulator.okx_reader import HOUR, OkxReader, ms

FUNDING = "public/funding-rate-history"
NOW = ms("2025-03-04T09:00")


@pytest.fixture
def okx(exchange: EmbeddedExchange) -> Iterator[OkxReader]:
    with OkxReader.of(exchange) as reader:
        yield reader.unlimited()


def settled(rows: list[dict[str, str]]) -> list[int]:
    return [int(row["fundingTime"]) for row in rows]


def test_the_time_is_a_string_of_milliseconds(okx: OkxReader) -> None:
    assert okx.data("public/time") == [{"ts": "1741078800000"}]


def test_spot_and_swaps_are_listed_apart(okx: OkxReader) -> None:
    spot = [entry["instId"] for entry in okx.data("public/instruments", instType="SPOT")]
    swaps = [entry["instId"] for entry in okx.data("public/instruments", instType="SWAP")]

    assert spot == ["BTC-USDT", "ETH-USDT", "SOL-USDT", "NOVA-USDT", "USDC-USDT"]
    assert swaps == ["BTC-USDT-SWAP", "ETH-USDT-SWAP", "BTC-USD-SWAP", "SOL-USDT-SWAP"]
    assert okx.data("public/instruments", instType="FUTURES") == []


def test_an_entry_tells_what_a_contract_is_and_leaves_the_rest_empty(okx: OkxReader) -> None:
    (spot,) = okx.data("public/instruments", instType="SPOT", instId="BTC-USDT")
    (linear,) = okx.data("public/instruments", instType="SWAP", instId="BTC-USDT-SWAP")
    (inverse,) = okx.data("public/instruments", instType="SWAP", instId="BTC-USD-SWAP")
    names = ("baseCcy", "quoteCcy", "settleCcy", "ctVal", "ctMult", "ctValCcy", "ctType")

    assert {type(value) for entry in (spot, linear, inverse) for value in entry.values()} == {str}
    assert [spot[name] for name in names] == ["BTC", "USDT", "", "", "", "", ""]
    assert [linear[name] for name in names] == ["", "", "USDT", "0.01", "1", "BTC", "linear"]
    assert [inverse[name] for name in names] == ["", "", "BTC", "100", "1", "USD", "inverse"]
    assert spot["listTime"] == linear["listTime"] == str(ms("2021-01-29T08:00"))
    assert [linear[name] for name in ("tickSz", "lotSz", "minSz", "expTime", "state")] == [
        "0.1",
        "0.01",
        "0.01",
        "",
        "live",
    ]


def test_only_what_trades_now_is_listed(exchange: EmbeddedExchange, okx: OkxReader) -> None:
    def listed(kind: str, moment: datetime) -> set[str]:
        exchange.set_clock(moment)
        return {entry["instId"] for entry in okx.data("public/instruments", instType=kind)}

    delisting, listing = datetime(2022, 5, 13, 2, tzinfo=UTC), datetime(2025, 3, 3, 12, tzinfo=UTC)
    second = timedelta(seconds=1)

    assert "LUNA-USDT-SWAP" in listed("SWAP", delisting - second)
    assert "LUNA-USDT-SWAP" not in listed("SWAP", delisting)
    assert "NOVA-USDT" not in listed("SPOT", listing - second)
    assert "NOVA-USDT" in listed("SPOT", listing)


@pytest.mark.parametrize(
    ("query", "refusal"),
    [
        ({}, (400, "50014")),
        ({"instType": "spot"}, (200, "51000")),
        ({"instType": "SPOT", "instId": "BTC-USDT-SWAP"}, (200, "51001")),
        ({"instType": "SWAP", "instId": "LUNA-USDT-SWAP"}, (200, "51001")),
    ],
)
def test_refusals_of_instruments(okx: OkxReader, query: dict[str, Any], refusal: tuple[int, str]) -> None:
    assert okx.refusal("public/instruments", **query) == refusal


@pytest.mark.parametrize(("name", "hours", "newest"), [("BTC-USD-SWAP", 8, "08:00"), ("SOL-USDT-SWAP", 4, "08:00")])
def test_settlements_come_newest_first_on_their_grid(okx: OkxReader, name: str, hours: int, newest: str) -> None:
    rows = okx.data(FUNDING, instId=name)

    assert settled(rows) == [ms(f"2025-03-04T{newest}") - place * hours * HOUR for place in range(100)]
    assert set(rows[0]) == {
        "instType",
        "instId",
        "formulaType",
        "fundingTime",
        "fundingRate",
        "realizedRate",
        "method",
    }
    assert (rows[0]["instType"], rows[0]["instId"]) == ("SWAP", name)


def test_what_was_charged_differs_from_the_prediction_at_the_fifth_digit(okx: OkxReader) -> None:
    def digits(text: str) -> str:
        return text.removeprefix("-").removeprefix("0.").lstrip("0")

    rows = okx.data(FUNDING, instId="BTC-USDT-SWAP", limit=400)

    for row in rows:
        predicted, charged = digits(row["fundingRate"]), digits(row["realizedRate"])
        assert predicted[:4] == charged[:4]
        assert predicted[4] != charged[4]
        assert row["fundingRate"].startswith("-") == row["realizedRate"].startswith("-")
    assert 0 < sum(row["realizedRate"].startswith("-") for row in rows) < len(rows) / 2


def test_bounds_of_funding_are_exclusive_and_pages_reach_the_oldest(okx: OkxReader) -> None:
    whole = settled(okx.data(FUNDING, instId="SOL-USDT-SWAP", limit=1000))
    rest = settled(okx.data(FUNDING, instId="SOL-USDT-SWAP", limit=400, after=whole[-1]))
    span = {"after": whole[2], "before": whole[5]}

    assert len(whole) == 400
    assert rest[0] == whole[-1] - 4 * HOUR
    assert okx.data(FUNDING, instId="SOL-USDT-SWAP", after=rest[-1]) == []
    assert settled(okx.data(FUNDING, instId="SOL-USDT-SWAP", **span)) == whole[3:5]
    assert settled(okx.data(FUNDING, instId="SOL-USDT-SWAP", before=rest[-1], limit=1)) == whole[:1]


def test_funding_is_forgotten_after_three_months(exchange: EmbeddedExchange, okx: OkxReader) -> None:
    exchange.set_clock(datetime(2026, 9, 30, 7, tzinfo=UTC))
    rows = okx.data(FUNDING, instId="BTC-USDT-SWAP", limit=400)

    assert settled(rows)[-1] == ms("2026-06-29T08:00")


def test_a_settlement_appears_at_its_time_and_never_changes(exchange: EmbeddedExchange, okx: OkxReader) -> None:
    earlier = okx.data(FUNDING, instId="ETH-USDT-SWAP", limit=5)
    exchange.set_clock(datetime(2025, 3, 4, 15, 59, 59, tzinfo=UTC))
    shortly_before = okx.data(FUNDING, instId="ETH-USDT-SWAP", limit=5)
    exchange.set_clock(datetime(2025, 3, 4, 16, tzinfo=UTC))
    later = okx.data(FUNDING, instId="ETH-USDT-SWAP", limit=6)

    assert shortly_before == earlier
    assert later[0]["fundingTime"] == str(ms("2025-03-04T16:00"))
    assert later[1:] == earlier


def test_spot_has_no_funding_and_a_delisted_swap_none_left(okx: OkxReader) -> None:
    assert okx.refusal(FUNDING, instId="BTC-USDT") == (200, "51000")
    assert okx.refusal(FUNDING, instId="NOPE-USDT-SWAP") == (200, "51001")
    assert okx.refusal(FUNDING) == (400, "50014")
    assert okx.data(FUNDING, instId="LUNA-USDT-SWAP") == []
