"""`load_funding`: half-open ranges, names and dates refused in words."""

from datetime import UTC, date, datetime

import pytest

import klines_pipeline
from klines_pipeline.domain.errors import ConfigurationError, UnknownNameError
from klines_pipeline.domain.utc_day import days_between
from klines_pipeline.exchanges.registry import connect
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.stages.funding.dataset import funding_datasets
from klines_pipeline.stages.funding.ingest import FundingIngest
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.conftest import endpoints_of, make_dataset


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A lake with three days of two symbols, one of them delisted."""
    lake = Lake(str(tmp_path_factory.mktemp("funding") / "lake"))
    [dataset] = funding_datasets([make_dataset("BTCUSDT", "RAYUSDT", market="um", interval="1h", funding=True)])
    with EmbeddedExchange(rate=0) as exchange:
        market = connect("binance", "um", endpoints_of(exchange))
        days = list(days_between(date(2025, 2, 27), date(2025, 3, 1)))
        list(FundingIngest(lake, market, dataset, log=lambda _: None).days(days))
    return lake.root


def test_a_range_is_half_open_and_in_key_order(root: str) -> None:
    found = klines_pipeline.load_funding(["RAYUSDT", "BTCUSDT"], "2025-02-27T08:00", date(2025, 2, 28), lake=root)

    assert found.select("symbol", "funding_time").rows() == [
        ("BTCUSDT", datetime(2025, 2, 27, hour, tzinfo=UTC)) for hour in (8, 16)
    ]


def test_a_symbol_that_had_no_funding_then_gives_no_rows(root: str) -> None:
    assert klines_pipeline.load_funding("RAYUSDT", "2025-02-27", "2025-03-02", lake=root).is_empty()


@pytest.mark.parametrize(
    ("symbols", "start", "end", "words"),
    [
        ([], "2025-02-27", "2025-02-28", "name at least one"),
        ("../x", "2025-02-27", "2025-02-28", "cannot be a symbol"),
        ("BTCUSDT", "2025-02-28", "2025-02-27", "is not before end"),
        ("BTCUSDT", "tomorrow", "2025-02-27", "start"),
        ("BTCUSDT", "2024-02-27", "2024-02-28", "it has 2025-02-27 to 2025-03-01"),
    ],
)
def test_what_cannot_be_is_refused(root: str, symbols: str | list[str], start: str, end: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        klines_pipeline.load_funding(symbols, start, end, lake=root)


def test_a_symbol_never_asked_for_is_unknown_and_the_nearest_is_named(root: str) -> None:
    with pytest.raises(UnknownNameError, match="BTCUSDT"):
        klines_pipeline.load_funding("BTCUSD", "2025-02-27", "2025-02-28", lake=root)


@pytest.mark.parametrize("market", ["cm", "spot", "UM"])
def test_a_lake_without_funding_says_what_to_set_and_promises_nothing(root: str, market: str) -> None:
    with pytest.raises(ConfigurationError, match="funding: true") as refused:
        klines_pipeline.load_funding("BTCUSDT", "2025-02-27", "2025-02-28", market=market, lake=root)

    assert f"market {market!r}. Check both names" in str(refused.value)
    assert "materialize" not in str(refused.value)


@pytest.mark.parametrize("moment", [None, 1740787200000, 2025.5, ["2025-02-27"]])
def test_what_is_no_moment_is_refused_in_words(root: str, moment: object) -> None:
    with pytest.raises(ConfigurationError, match=r"start: .* is no moment"):
        klines_pipeline.load_funding("BTCUSDT", moment, "2025-02-28", lake=root)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=r"end: .* is no moment"):
        klines_pipeline.load_funding("BTCUSDT", "2025-02-27", moment, lake=root)  # type: ignore[arg-type]
