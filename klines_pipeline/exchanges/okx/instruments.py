"""OKX's instruments as symbol facts: from the list of those that trade now, and from a name alone."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from klines_pipeline.domain.universe import SymbolFacts
from klines_pipeline.domain.utc_day import from_milliseconds
from klines_pipeline.exchanges.okx.markets import OkxMarket


def describe(market: OkxMarket, symbol: str) -> SymbolFacts:
    """Facts from the name, `BTC-USDT` or `BTC-USDT-SWAP`; base and quote are None where it is spelled otherwise."""
    parts = symbol.split("-")
    kind = [] if market.contract is None else [market.instrument_type]
    is_known = len(parts) > 1 and all(parts) and parts[2:] == kind
    base, quote = parts[:2] if is_known else (None, None)
    return SymbolFacts(symbol=symbol, base=base, quote=quote, contract=market.contract)


def symbol_facts(market: OkxMarket, rows: Sequence[Any]) -> Mapping[str, SymbolFacts]:
    """Facts by symbol; TypeError, KeyError, ValueError or OverflowError where the rows are no instruments."""
    return {row["instId"]: _facts(market, row) for row in rows}


def _facts(market: OkxMarket, row: Mapping[str, str]) -> SymbolFacts:
    """What does not apply is an empty string: base and quote of a swap stand in its name alone."""
    named = describe(market, row["instId"])
    size, since = row.get("ctVal"), row.get("listTime")
    return replace(
        named,
        base=row.get("baseCcy") or named.base,
        quote=row.get("quoteCcy") or named.quote,
        contract_size=float(size) if size else None,
        status=row["state"],
        since=from_milliseconds(int(since)) if since else None,
    )
