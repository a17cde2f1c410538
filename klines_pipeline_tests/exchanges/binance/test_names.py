"""What a symbol's name alone tells, and whether exchangeInfo agrees."""

import csv
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from klines_pipeline.domain.universe import Contract
from klines_pipeline.exchanges.binance.markets import MARKETS
from klines_pipeline.exchanges.binance.names import describe

SPOT, UM, CM = (MARKETS[name] for name in ("spot", "um", "cm"))


@pytest.mark.parametrize(
    ("symbol", "base", "quote"),
    [
        ("BTCUSDT", "BTC", "USDT"),
        ("BTCTUSD", "BTC", "TUSD"),
        ("ADAEUR", "ADA", "EUR"),
        ("THETAEUR", "THETA", "EUR"),
        ("BTCAEUR", "BTC", "AEUR"),
        ("BNBIDR", "BNB", "IDR"),
        ("ARBIDR", "ARB", "IDR"),
        ("BTCBIDR", "BTC", "BIDR"),
        ("BNBUSD", "BNB", "USD"),
        ("BNBBUSD", "BNB", "BUSD"),
        ("USDTUSD", "USDT", "USD"),
        ("BTCUSD1", "BTC", "USD1"),
        ("SOLUSDSOLD", "SOL", "USDSOLD"),
        ("BTCU", "BTC", "U"),
        ("1000SATSUSDT", "1000SATS", "USDT"),
        ("币安人生USDT", "币安人生", "USDT"),
        ("", None, None),
        ("币安人生", None, None),
    ],
)
def test_the_longest_quote_wins_but_for_a_few_bases(symbol: str, base: str | None, quote: str | None) -> None:
    facts = describe(SPOT, symbol)

    assert (facts.base, facts.quote) == (base, quote)
    assert facts.contract is None


@pytest.mark.parametrize("symbol", ["CVCUSDTSETTLED", "CVCUSDT_SETTLED", "CVCUSDT_SETTLED1", "CVCUSDTSETTLED12"])
def test_a_settled_suffix_is_no_part_of_the_quote(symbol: str) -> None:
    facts = describe(UM, symbol)

    assert (facts.symbol, facts.base, facts.quote, facts.settled) == (symbol, "CVC", "USDT", True)
    assert facts.contract is Contract.PERPETUAL


@pytest.mark.parametrize(
    ("symbol", "leveraged"),
    [
        ("BTCUPUSDT", True),
        ("BTCDOWNUSDT", True),
        ("ETHBULLBUSD", True),
        ("BEARUSDT", True),
        ("JUPUSDT", False),
        ("SYRUPUSDT", False),
        ("UPUSDT", False),
        ("SUPERUSDT", False),
    ],
)
def test_leveraged_tokens_are_told_by_their_base_on_spot_alone(symbol: str, leveraged: bool) -> None:  # noqa: FBT001
    assert describe(SPOT, symbol).leveraged is leveraged
    assert describe(UM, symbol).leveraged is False


@pytest.mark.parametrize(
    ("symbol", "contract", "delivery"),
    [
        ("BTCUSDT", Contract.PERPETUAL, None),
        ("BTCUSDT_250328", Contract.DELIVERY, datetime(2025, 3, 28, 8, tzinfo=UTC)),
        ("BTCUSDT_250230", Contract.DELIVERY, None),
    ],
)
def test_an_underscore_makes_a_delivery_contract_that_ends_at_eight(
    symbol: str, contract: Contract, delivery: datetime | None
) -> None:
    facts = describe(UM, symbol)

    assert (facts.base, facts.quote, facts.contract, facts.delivery) == ("BTC", "USDT", contract, delivery)


@pytest.mark.parametrize("symbol", ["BTCUSD", "BTCUSDT_PERP", "USD_PERP", "BTCUSD_SOON", "BTCUSD_", "_PERP"])
def test_a_coin_m_name_of_another_form_tells_nothing(symbol: str) -> None:
    facts = describe(CM, symbol)

    assert (facts.base, facts.quote, facts.contract, facts.delivery) == (None, None, None, None)


def real_rows(root: Path, path: str) -> list[dict[str, Any]]:
    """Rows of a real exchangeInfo."""
    rows: list[dict[str, Any]] = json.loads((root / "rest" / path).read_text("utf-8"))["symbols"]
    return rows


def test_names_agree_with_spots_own_base_and_quote_of_2020_without_exception(real_root: Path) -> None:
    rows = real_rows(real_root, "spot/exchangeInfo/exchangeInfo.json")
    facts = {row["symbol"]: describe(SPOT, row["symbol"]) for row in rows}

    assert len(facts) == 1089
    assert [row["symbol"] for row in rows if _pair(facts[row["symbol"]]) != (row["baseAsset"], row["quoteAsset"])] == []


def test_every_leveraged_token_of_2020_is_known_and_only_those_of_another_issuer_besides(real_root: Path) -> None:
    rows = real_rows(real_root, "spot/exchangeInfo/exchangeInfo.json")
    told = {row["symbol"] for row in rows if "LEVERAGED" in row["permissions"]}
    inferred = {row["symbol"] for row in rows if describe(SPOT, row["symbol"]).leveraged}

    assert len(told) == 24
    assert told < inferred
    bases = {
        row["baseAsset"].removesuffix("BULL").removesuffix("BEAR") for row in rows if row["symbol"] in inferred - told
    }
    assert bases == {"", "BNB", "EOS", "ETH", "XRP"}


def test_names_agree_with_usd_m_except_for_one_that_has_no_quote_in_it(real_root: Path) -> None:
    rows = real_rows(real_root, "um/exchangeInfo/futures_exchange_info.json")
    different = [
        row["symbol"]
        for row in rows
        if _pair(describe(UM, row["symbol"])) != (row["baseAsset"], row["quoteAsset"])
        or (describe(UM, row["symbol"]).contract is Contract.DELIVERY) != ("QUARTER" in row["contractType"])
    ]

    assert len(rows) == 647
    assert different == ["IDOL"]


def test_every_coin_m_contract_of_the_bucket_is_read(real_root: Path) -> None:
    with (real_root / "derived" / "cm_earliest_dates.csv").open(encoding="utf-8") as file:
        facts = [describe(CM, row["symbol"]) for row in csv.DictReader(file)]

    assert len(facts) == 65
    assert {known.quote for known in facts} == {"USD"}
    assert all((known.delivery is None) == known.symbol.endswith("_PERP") for known in facts)


def _pair(facts: Any) -> tuple[str | None, str | None]:
    return facts.base, facts.quote
