"""exchangeInfo's rows as symbol facts. Spot, USD-M and COIN-M differ in a field or two.

What a name alone tells stands in `names`, and fills what a row leaves open.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from klines_pipeline.domain.symbol import may_be_symbol
from klines_pipeline.domain.universe import Contract, SymbolFacts
from klines_pipeline.domain.utc_day import from_milliseconds
from klines_pipeline.exchanges.binance.markets import BinanceMarket
from klines_pipeline.exchanges.binance.names import describe, is_leveraged

_PENDING = "PENDING_TRADING"
_ENDED = frozenset({"BREAK", "PRE_DELIVERING", "DELIVERING", "DELIVERED", "PRE_SETTLE", "SETTLING", "CLOSE"})
_PERPETUAL = frozenset({"PERPETUAL", "TRADIFI_PERPETUAL", "PERPETUAL_DELIVERING"})
_NEVER = 4_000_000_000_000
"""ms, in 2096. Perpetuals are delivered on 2100-12-25, some of them seconds or an hour later (2025-11)."""


def symbol_facts(market: BinanceMarket, body: Any) -> Mapping[str, SymbolFacts]:
    """Facts by symbol; TypeError, KeyError or ValueError, in words, where the body is no exchangeInfo."""
    if not isinstance(body, dict) or not isinstance(body.get("symbols"), list):
        raise TypeError("it has no list of symbols")
    clock = body.get("serverTime")
    now = from_milliseconds(clock) if isinstance(clock, int) else None
    rows = (row for row in body["symbols"] if may_be_symbol(row.get("symbol")))
    return {facts.symbol: facts for facts in (_facts(market, row, now) for row in rows)}


def _facts(market: BinanceMarket, row: Mapping[str, Any], now: datetime | None) -> SymbolFacts:
    for field in ("symbol", market.status_field):
        if not isinstance(row.get(field), str):
            raise ValueError(f"{row.get('symbol', 'a symbol')} has no {field}")
    if not all(isinstance(row.get(field) or "", str) for field in ("baseAsset", "quoteAsset")):
        raise ValueError(f"{row['symbol']} has an asset that is no name")
    named, status = describe(market, row["symbol"]), row[market.status_field]
    contract = _contract(row.get("contractType"), named)
    base = row.get("baseAsset") or named.base
    return replace(
        named,
        base=base,
        quote=row.get("quoteAsset") or named.quote,
        contract=contract,
        delivery=_delivery(row.get("deliveryDate"), contract, now if status == "TRADING" else None) or named.delivery,
        contract_size=float(row["contractSize"]) if row.get("contractSize") else None,
        status=status,
        since=from_milliseconds(row["onboardDate"]) if row.get("onboardDate") else None,
        pending=status == _PENDING,
        ended=status in _ENDED,
        leveraged=is_leveraged(market, base),
    )


def _contract(word: str | None, named: SymbolFacts) -> Contract | None:
    """`CURRENT_QUARTER DELIVERING` is a delivery contract too; a word nobody knows leaves it to the name."""
    if word in _PERPETUAL:
        return Contract.PERPETUAL
    if word and ("QUARTER" in word or "MONTH" in word):
        return Contract.DELIVERY
    return named.contract


def _delivery(milliseconds: int | None, contract: Contract | None, trading: datetime | None) -> datetime | None:
    """When a contract ended or will. What trades after its date was listed again and kept the old one (2025-11)."""
    if not milliseconds or (contract is not Contract.DELIVERY and milliseconds >= _NEVER):
        return None
    delivery = from_milliseconds(milliseconds)
    return None if trading is not None and delivery <= trading else delivery
