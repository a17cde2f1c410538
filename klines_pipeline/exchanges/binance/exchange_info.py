"""exchangeInfo's rows as symbol facts. Spot, USD-M and COIN-M differ in a field or two."""

from collections.abc import Mapping
from typing import Any

from klines_pipeline.domain.universe import SymbolFacts
from klines_pipeline.exchanges.binance.markets import BinanceMarket


def symbol_facts(market: BinanceMarket, body: Any) -> Mapping[str, SymbolFacts]:
    """Facts by symbol; TypeError, KeyError or ValueError where the body is no exchangeInfo."""
    rows = body["symbols"]
    return {
        row["symbol"]: SymbolFacts(
            symbol=row["symbol"],
            base=row.get("baseAsset"),
            quote=row.get("quoteAsset"),
            status=row[market.status_field],
        )
        for row in rows
    }
