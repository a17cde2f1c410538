"""A filter in place of names: whom it means, day by day, and what finding that out costs."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.errors import ConfigurationError
from klines_pipeline.domain.universe import Contract, Excluded, SymbolFilter
from klines_pipeline.exchanges.registry import connect
from klines_pipeline.settings import Settings
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.stages.ingest import Ingest, Stage
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.conftest import Run, certificate, endpoints_of, make_dataset, read_day

UM = "binance/um"
CONFIG = """
lake: ./lake
datasets:
  - market: um
    interval: 1d
    start: 2021-01-01
    symbols: {quote: [USDT], exclude: [stablecoins, leveraged], contract: perpetual}
"""
PERPETUALS = SymbolFilter(
    quote=("USDT",), exclude=frozenset({Excluded.STABLECOINS, Excluded.LEVERAGED}), contract=Contract.PERPETUAL
)


def filtered(**fields: object) -> Dataset:
    """A dataset of um that a filter fills."""
    return make_dataset(market="um", interval="1d", chosen=SymbolFilter(**fields) if fields else PERPETUALS)  # type: ignore[arg-type]


def certified(lake: Lake, day: str) -> set[str]:
    """Symbols with a certificate that day."""
    return set(read_day(lake, "ledger/certificates", day, interval="1d", venue=UM)["symbol"])


@pytest.mark.parametrize(
    ("day", "there", "absent"),
    [
        ("2021-06-01", {"BTCUSDT", "TLMUSDT"}, {"RAYUSDT", "NOVAUSDT", "BTCUSDT_250328"}),
        ("2021-09-01", {"RAYUSDT", "TLMUSDT"}, {"NOVAUSDT"}),
        ("2022-10-01", {"RAYUSDT", "FTTUSDT"}, {"NOVAUSDT", "SOLUSDC"}),
        ("2024-01-01", {"TLMUSDT"}, {"RAYUSDT", "FTTUSDT", "NOVAUSDT"}),
        ("2025-03-03", {"NOVAUSDT", "JUPUSDT", "SYRUPUSDT"}, {"RAYUSDT", "USDCUSDT", "BTCUSDC", "ETHBTC"}),
        ("2025-03-04", {"NOVAUSDT", "币安人生USDT"}, {"RAYUSDT", "AURAUSDT", "BTCUSDT_250328"}),
    ],
)
def test_a_day_gets_the_symbols_of_that_day(
    ingest: Run, lake: Lake, day: str, there: set[str], absent: set[str]
) -> None:
    """Delisted ones on the days they traded, later ones not before; coins that merely end in UP are no leverage."""
    [result] = ingest(filtered(), day)

    assert not result.failures
    assert certified(lake, day) >= there
    assert not certified(lake, day) & absent


def test_a_hole_of_months_is_looked_into_and_named(ingest: Run, lake: Lake) -> None:
    """TLMUSDT was gone from 2022-06 to 2023-03: the bucket knows it before and after, so REST is asked."""
    ingest(filtered(match="^TLM"), "2022-10-01")

    assert certificate(lake, "TLMUSDT", "2022-10-01", interval="1d", venue=UM)["reason"] == "delisted"


def test_a_contract_that_ended_weeks_ago_is_not_asked_for(exchange: EmbeddedExchange, ingest: Run, lake: Lake) -> None:
    ingest(filtered(contract=Contract.DELIVERY), "2025-03-02", "2025-03-04")

    assert certified(lake, "2025-03-02") == certified(lake, "2025-03-04") == {"BTCUSDT_250328", "BTCUSDT_250627"}
    assert exchange.requests()["by_status"].get("400", 0) == 0


def test_a_name_pattern_and_a_kind_must_both_hold(ingest: Run, lake: Lake) -> None:
    ingest(filtered(match="^(BTC|ETH)", contract=Contract.PERPETUAL), "2025-03-01")

    assert certified(lake, "2025-03-01") == {"BTCUSDT", "BTCUSDC", "ETHUSDT", "ETHBTC"}


def test_a_filter_that_selects_nothing_says_of_how_many(ingest: Run) -> None:
    with pytest.raises(ConfigurationError, match=r"binance/um/klines_1d, symbols: the filter selects none of \d+ "):
        ingest(filtered(match="^NOTHING$"), "2025-03-01")


def test_a_later_stage_alone_works_on_the_symbols_the_day_had(ingest: Run, lake: Lake) -> None:
    dataset = filtered(match="^(BTC|NOVA)", quote=("USDT",), contract=Contract.PERPETUAL)
    ingest(dataset, "2025-03-03", stages=[Stage.VISION, Stage.REST])

    [merged] = ingest(dataset, "2025-03-03", stages=[Stage.KLINES])

    assert not merged.failures
    assert certified(lake, "2025-03-03") == {"BTCUSDT", "NOVAUSDT"}


def test_rest_out_of_reach_leaves_the_names_to_tell(exchange: EmbeddedExchange, ingest: Run, lake: Lake) -> None:
    exchange.add_fault(kind="status", match="/fapi/*", status=451)

    [result] = ingest(filtered(quote=("USDT",), contract=Contract.PERPETUAL, match="^(BTC|RAY)"), "2022-08-01")

    assert not result.failures
    assert certified(lake, "2022-08-01") == {"BTCUSDT", "RAYUSDT"}


@pytest.fixture
def crowded() -> Iterator[EmbeddedExchange]:
    """An exchange with 500 symbols more on um, every 20th of them delisted."""
    with EmbeddedExchange(rate=0, extra_symbols=500) as running:
        yield running


def test_500_symbols_are_found_in_one_pass_and_listed_once_each(
    crowded: EmbeddedExchange, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One page of folders, one exchangeInfo, one listing a symbol, a second one for those gone before."""
    (tmp_path / "klines.yaml").write_text(CONFIG, "utf-8")
    settings = Settings.from_env({"KLINES_CONFIG": str(tmp_path / "klines.yaml"), **crowded.environment()})
    [dataset], said = settings.datasets, list[str]()
    market = connect("binance", "um", endpoints_of(crowded))

    [result] = Ingest(Lake(settings.lake), market, dataset, log=said.append).days([date(2025, 3, 1)])

    counts = crowded.requests()
    certificates = result.merged.certificates if result.merged else pl.DataFrame()
    selected, everyone = 513, 519
    assert said[0] == f"{dataset}: the filter selects {selected} of {everyone} symbols, delisted ones included"
    asked = f"{counts['listing']} listing and 1 REST requests so far"
    assert said[1] == f"{dataset}: {selected} symbols looked up, 2025-03-01 to 2025-03-01; {asked}"
    assert certificates.filter(pl.col("missing") == 0).height == 483
    gone = selected - certificates.height
    assert gone >= 25
    assert counts["listing"] <= 1 + selected + gone + 5
    assert counts["rest"]["exchangeInfo"] == 1
    assert counts["archives"] == 483
