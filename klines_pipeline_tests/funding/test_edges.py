"""Funding where archives come late or never, intervals change, and klines.yaml means other days or contracts."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.errors import ConfigurationError
from klines_pipeline.domain.universe import SymbolFilter
from klines_pipeline.domain.utc_day import to_milliseconds
from klines_pipeline.exchanges.registry import connect
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.stages.funding.dataset import funding_datasets
from klines_pipeline.stages.funding.ingest import FundingIngest, FundingStage
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.conftest import endpoints_of, make_dataset
from klines_pipeline_tests.faults.archives import Lines, lines_of, member_of, pack
from klines_pipeline_tests.funding.conftest import Fund, certificate, failures, table

LATE_APRIL = datetime(2025, 4, 28, 9, tzinfo=UTC)


def key_of(symbol: str, month: str) -> str:
    return f"data/futures/um/monthly/fundingRate/{symbol}/{symbol}-fundingRate-{month}.zip"


def rewrite(exchange: EmbeddedExchange, key: str, change: Callable[[Lines], Lines]) -> None:
    """Replace an archive, with a valid checksum; REST stays as it was."""
    text = "".join(f"{line}\n" for line in change(lines_of(exchange, key)))
    exchange.put_object(key, pack([(member_of(key), text.encode())]))


def seconds(text: str) -> str:
    """An ISO time as the start of a line of an archive."""
    return str(to_milliseconds(datetime.fromisoformat(f"{text}+00:00")) // 1000)


def without(*times: str) -> Callable[[Lines], Lines]:
    """Settlements dropped."""
    gone = tuple(seconds(time) for time in times)
    return lambda lines: [line for line in lines if not line.startswith(gone)]


def um(*symbols: str, **fields: object) -> list[Dataset]:
    return [make_dataset(*symbols, market="um", interval="1h", funding=True, **fields)]


# ---- archives that lack


def test_a_symbol_that_trades_and_whose_archive_is_lost_comes_from_rest(
    exchange: EmbeddedExchange, lake: Lake, fund: Fund
) -> None:
    exchange.set_clock(LATE_APRIL)
    exchange.remove_object(key_of("SOLUSDT", "2025-03"))

    assert failures(fund(um("SOLUSDT"), "2025-03-31", "2025-04-01")) == {}

    found = certificate(lake, "SOLUSDT", "2025-03-31")
    assert (found["from_rest"], found["missing"], found["reason"]) == (6, 0, None)


def test_a_symbol_that_trades_and_lacks_several_archives_is_not_gone_either(
    exchange: EmbeddedExchange, lake: Lake, fund: Fund
) -> None:
    exchange.set_clock(LATE_APRIL)
    for month in ("2025-01", "2025-02", "2025-03"):
        exchange.remove_object(key_of("SOLUSDT", month))

    fund(um("SOLUSDT"), "2025-02-14")

    assert certificate(lake, "SOLUSDT", "2025-02-14")["from_rest"] == 6


def test_a_filter_keeps_a_symbol_whose_archive_is_lost(exchange: EmbeddedExchange, lake: Lake, fund: Fund) -> None:
    exchange.set_clock(LATE_APRIL)
    exchange.remove_object(key_of("SOLUSDT", "2025-03"))

    fund(um(chosen=SymbolFilter(match="^(SOL|BTC)USDT$")), "2025-03-31")

    found = table(lake, "ledger/funding_certificates", "2025-03-31")
    assert found.select("symbol", "present", "missing").rows() == [("BTCUSDT", 3, 0), ("SOLUSDT", 6, 0)]


def test_where_rest_cannot_tell_who_trades_nobody_is_called_delisted(
    exchange: EmbeddedExchange, lake: Lake, fund: Fund
) -> None:
    exchange.add_fault(kind="blocked", group="rest")

    fund(um("RAYUSDT"), "2023-01-02")

    assert certificate(lake, "RAYUSDT", "2023-01-02")["reason"] == "blocked"
    exchange.clear_faults()
    fund(um("RAYUSDT"), "2023-01-02")
    assert certificate(lake, "RAYUSDT", "2023-01-02")["reason"] == "delisted"


def test_the_month_before_a_first_archive_is_asked_of_rest_in_one_request(
    exchange: EmbeddedExchange, lake: Lake, fund: Fund
) -> None:
    exchange.remove_object(key_of("币安人生USDT", "2025-01"))

    fund(um("币安人生USDT"), "2024-12-30", "2025-02-02")

    assert exchange.requests()["funding"] == 1
    found = [certificate(lake, "币安人生USDT", day) for day in ("2024-12-31", "2025-01-02", "2025-01-20", "2025-02-02")]
    assert [(row["from_rest"], row["reason"]) for row in found] == [
        (0, "not_listed"),
        (0, "not_listed"),
        (3, None),
        (0, None),
    ]


def test_an_archive_damaged_in_the_lake_fails_its_symbol_alone(
    exchange: EmbeddedExchange, lake: Lake, fund: Fund
) -> None:
    both = um("BTCUSDT", "ETHUSDT")
    fund(both, "2025-02-10")
    before = table(lake, "funding", "2025-02-10")
    path = Path(lake.base, "vision", key_of("BTCUSDT", "2025-02"))
    path.write_bytes(path.read_bytes()[:-40])

    days = fund(both, "2025-02-10", "2025-02-11")

    assert set(failures(days)) == {"2025-02-10", "2025-02-11"}
    assert "1 symbol(s) failed: BTCUSDT." in failures(days)["2025-02-11"]["funding"]
    assert "Delete it" in failures(days)["2025-02-11"]["rest_funding"]
    assert table(lake, "funding", "2025-02-10").equals(before)
    assert set(table(lake, "funding", "2025-02-11")["symbol"]) == {"ETHUSDT"}
    assert certificate(lake, "ETHUSDT", "2025-02-11")["missing"] == 0
    path.unlink()
    assert failures(fund(both, "2025-02-10", "2025-02-11")) == {}
    assert certificate(lake, "BTCUSDT", "2025-02-11")["missing"] == 0


# ---- settlements and intervals


def test_what_an_archive_lacks_after_a_switch_is_asked_of_rest(
    exchange: EmbeddedExchange, lake: Lake, fund: Fund
) -> None:
    exchange.set_clock(datetime(2025, 4, 5, 9, tzinfo=UTC))
    lost = without("2025-03-02T01:00", "2025-03-02T02:00", "2025-03-02T03:00")
    rewrite(exchange, key_of("1000SHIBUSDT", "2025-03"), lost)

    fund(um("1000SHIBUSDT"), "2025-03-02")

    found = certificate(lake, "1000SHIBUSDT", "2025-03-02")
    assert (found["expected"], found["from_vision"], found["from_rest"], found["missing"]) == (24, 21, 3, 0)


def test_where_rest_has_nothing_either_an_interval_named_early_was_a_switch(
    exchange: EmbeddedExchange, lake: Lake, fund: Fund
) -> None:
    early = seconds("2025-02-12T08:00")
    rewrite(
        exchange,
        key_of("BTCUSDT", "2025-02"),
        lambda lines: [line.replace(",8,", ",4,") if line.startswith(early) else line for line in lines],
    )

    fund(um("BTCUSDT"), "2025-02-12")
    first = exchange.requests()["funding"]
    fund(um("BTCUSDT"), "2025-02-12")

    found = certificate(lake, "BTCUSDT", "2025-02-12")
    assert (first, exchange.requests()["funding"]) == (1, 1)
    assert (found["expected"], found["present"], found["reason"]) == (3, 3, None)


@pytest.mark.parametrize("hours", [(7,), (7, 8), (5, 6, 7, 8, 9, 10, 11), (0, 1), (22, 23)])
def test_a_hole_on_a_day_that_only_rest_has_is_no_interval(
    exchange: EmbeddedExchange, lake: Lake, fund: Fund, hours: tuple[int, ...]
) -> None:
    start = to_milliseconds(datetime(2025, 3, 1, tzinfo=UTC))
    settled = exchange.funding_of("um").oldest("1000SHIBUSDT", start, to_milliseconds(exchange.now()), 100)
    lost = [to_milliseconds(datetime(2025, 3, 2, hour, tzinfo=UTC)) for hour in hours]
    rows = [
        {"symbol": row.symbol, "fundingTime": row.time, "fundingRate": "0.0001", "markPrice": ""}
        for row in settled
        if row.hour not in lost
    ]
    exchange.add_fault(kind="status", status=200, match="re:/fapi/v1/fundingRate.*", body=json.dumps(rows))

    fund(um("1000SHIBUSDT"), "2025-03-02")

    found = certificate(lake, "1000SHIBUSDT", "2025-03-02")
    assert (found["expected"], found["missing"]) == (24, len(hours))


def test_a_settlement_stamped_before_midnight_opens_its_month(
    exchange: EmbeddedExchange, lake: Lake, fund: Fund
) -> None:
    exchange.set_clock(datetime(2025, 4, 5, 9, tzinfo=UTC))
    midnight = int(seconds("2025-03-01T00:00")) * 1000
    rewrite(
        exchange,
        key_of("BTCUSDT", "2025-03"),
        lambda lines: [
            f"{midnight - 2},{line.partition(',')[2]}" if line.startswith(str(midnight // 1000)) else line
            for line in lines
        ],
    )

    fund(um("BTCUSDT"), "2025-02-28", "2025-03-01")

    for day in ("2025-02-28", "2025-03-01"):
        found = certificate(lake, "BTCUSDT", day)
        assert (found["from_vision"], found["missing"]) == (3, 0)
    first = table(lake, "funding", "2025-03-01").row(0, named=True)
    assert (first["funding_time"].day, first["calc_time"].day) == (1, 28)


# ---- what klines.yaml means


def test_each_paragraphs_symbols_begin_at_its_own_start(exchange: EmbeddedExchange, lake: Lake, fund: Fund) -> None:
    early = make_dataset("BTCUSDT", market="um", interval="1h", funding=True, start="2025-01-01")
    later = make_dataset("ETHUSDT", market="um", interval="1m", funding=True, start="2025-02-11")
    some = SymbolFilter(match="^SOLUSDT$")
    chosen = make_dataset(market="um", interval="5m", funding=True, start="2025-02-12", chosen=some)

    fund([early, later, chosen], "2025-02-10", "2025-02-12")

    named = [list(table(lake, "ledger/funding_certificates", f"2025-02-{day}")["symbol"]) for day in (10, 11, 12)]
    assert named == [["BTCUSDT"], ["BTCUSDT", "ETHUSDT"], ["BTCUSDT", "ETHUSDT", "SOLUSDT"]]
    assert failures(fund([early, later, chosen], "2025-02-10", stages=[FundingStage.FUNDING])) == {}


def logged(exchange: EmbeddedExchange, lake: Lake, *symbols: str) -> list[str]:
    """What a run of three days says."""
    [dataset] = funding_datasets(um(*symbols))
    said = list[str]()
    ingest = FundingIngest(lake, connect("binance", "um", endpoints_of(exchange)), dataset, log=said.append)
    list(ingest.days([datetime(2025, 2, day, tzinfo=UTC).date() for day in (10, 11, 12)]))
    return said


def test_a_delivery_contract_is_named_once_in_the_log(exchange: EmbeddedExchange, lake: Lake) -> None:
    said = logged(exchange, lake, "BTCUSDT", "BTCUSDT_250328")

    [line] = [text for text in said if "BTCUSDT_250328" in text]
    assert "has no funding; it is left out" in line


def test_delivery_contracts_alone_are_refused_in_words(exchange: EmbeddedExchange, lake: Lake) -> None:
    with pytest.raises(ConfigurationError, match=r"BTCUSDT_250328 is delivered on a date and has no funding\. Name a"):
        logged(exchange, lake, "BTCUSDT_250328")
