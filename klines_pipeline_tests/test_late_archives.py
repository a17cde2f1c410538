"""The end of a symbol's life while its last archives are late, long after it, and the first day of a contract by day.

RAYUSDT of USD-M ended 2022-11-20 09:00; BTCUSD_250328 of COIN-M began 2024-09-27 08:00.
"""

from datetime import UTC, date, datetime

import pytest

from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.interval import Interval
from klines_pipeline.domain.universe import SymbolFilter
from klines_pipeline.exchanges.registry import connect
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.conftest import Run, certificate, endpoints_of, make_dataset

UM, CM = "binance/um", "binance/cm"
BEFORE, LAST = "2022-11-19", "2022-11-20"
NAMED = make_dataset("BTCUSDT", "RAYUSDT", market="um", interval="1h")
FILTERED = make_dataset(market="um", interval="1h", chosen=SymbolFilter(match="^(BTCUSDT$|RAY)"))


def utc(*moment: int) -> datetime:
    """That moment, UTC."""
    return datetime(*moment, tzinfo=UTC)  # type: ignore[misc]


@pytest.fixture
def late(exchange: EmbeddedExchange) -> EmbeddedExchange:
    """Noon after RAYUSDT's last day; its last two archives come at eight in the evening."""
    exchange.set_clock(utc(2022, 11, 21, 12))
    for day in (date(2022, 11, 19), date(2022, 11, 20)):
        exchange.hold_publication("RAYUSDT", day, until=utc(2022, 11, 21, 20), market="um")
    return exchange


@pytest.mark.parametrize("dataset", [NAMED, FILTERED], ids=["named", "filtered"])
def test_days_whose_archives_are_merely_late_are_certified_and_not_explained(
    late: EmbeddedExchange, ingest: Run, lake: Lake, dataset: Dataset
) -> None:
    results = ingest(dataset, BEFORE, LAST)

    assert not any(result.failures for result in results)
    for day in (BEFORE, LAST):
        proof = certificate(lake, "RAYUSDT", day, interval="1h", venue=UM)
        assert (proof["present"], proof["missing"], proof["reason"]) == (0, 24, "no_data")

    late.set_clock(utc(2022, 11, 24, 12))
    ingest(dataset, BEFORE, LAST)

    whole, ended = (certificate(lake, "RAYUSDT", day, interval="1h", venue=UM) for day in (BEFORE, LAST))
    assert (whole["present"], whole["reason"]) == (24, None)
    assert (ended["present"], ended["reason"]) == (9, "delisted")


@pytest.mark.parametrize(("day", "klines"), [("2025-02-20", 0), ("2025-02-28", 0), ("2025-03-03", 3)])
def test_symbols_long_gone_cost_requests_only_on_the_newest_days(
    exchange: EmbeddedExchange, ingest: Run, lake: Lake, day: str, klines: int
) -> None:
    """On the newest days, the archive of any symbol may be late, so REST is asked too."""
    dataset = make_dataset("BTCUSDT", "CVCUSDTSETTLED", "FTTUSDT", "RAYUSDT", market="um", interval="1h")

    ingest(dataset, day)

    assert exchange.requests()["rest"].get("klines", 0) == klines
    for symbol in dataset.symbols[1:]:
        proof = certificate(lake, symbol, day, interval="1h", venue=UM)
        assert (proof["present"], proof["reason"]) == (0, "delisted")


@pytest.mark.parametrize(
    ("interval", "first"),
    [("1m", utc(2024, 9, 27, 8)), ("1h", utc(2024, 9, 27, 8)), ("12h", utc(2024, 9, 27)), ("1d", utc(2024, 9, 27))],
)
def test_the_first_kline_of_a_contract_is_on_its_first_day_in_every_interval(
    exchange: EmbeddedExchange, interval: str, first: datetime
) -> None:
    """A window's end is inclusive, and COIN-M answers the last klines of a window, not the first."""
    api = connect("binance", "cm", endpoints_of(exchange)).api
    found = api.first_open_time("BTCUSD_250328", Interval.parse(interval))
    api.close()

    assert found == first


def test_a_contract_without_archives_yet_has_its_first_day_by_day(
    exchange: EmbeddedExchange, ingest: Run, lake: Lake
) -> None:
    exchange.set_clock(utc(2024, 9, 29, 9))
    for day in (27, 28, 29):
        exchange.hold_publication("BTCUSD_250328", date(2024, 9, day), until=None, market="cm")

    ingest(make_dataset("BTCUSD_250328", "BTCUSD_PERP", market="cm", interval="1d"), "2024-09-27", "2024-09-28")

    for day in ("2024-09-27", "2024-09-28"):
        proof = certificate(lake, "BTCUSD_250328", day, interval="1d", venue=CM)
        assert (proof["expected"], proof["present"], proof["reason"]) == (1, 1, None)
