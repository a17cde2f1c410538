"""Spot's exchangeInfo: every symbol it has had, delisted ones as BREAK. That of futures is `futures_info`."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from klines_pipeline.domain.utc_day import to_milliseconds
from klines_pipeline.simulator.listings import Listing
from klines_pipeline.simulator.market import Market
from klines_pipeline.simulator.markets import MarketRules
from klines_pipeline.simulator.rest_parameters import RestError, check_known, check_symbol

NAMES = ("symbol", "symbols", "permissions", "showPermissionSets", "symbolStatus")
_STATUSES = {"TRADING", "HALT", "BREAK"}


def exchange_info(market: Market, rules: MarketRules, known: Mapping[str, str], *, now: datetime) -> dict[str, Any]:
    """The whole answer for the symbols asked for (all, without a filter)."""
    wanted = _wanted(known)
    listings = {name: listing for name, listing in market.listings.items() if listing.lives[0].start <= now}
    for name in wanted or ():
        check_known(name, listings)
    status = known.get("symbolStatus")
    if status is not None and (wanted is not None or status not in _STATUSES):
        raise RestError(-1122, "Invalid symbolStatus.")
    sets = known.get("showPermissionSets", "true") != "false"
    allowed = _permissions(known) if wanted is None else None
    chosen = [listings[name] for name in (listings if wanted is None else wanted)]
    entries = [
        _entry(listing, now=now, sets=sets) for listing in chosen if allowed is None or listing.permission in allowed
    ]
    return {
        "timezone": "UTC",
        "serverTime": to_milliseconds(now),
        "rateLimits": [_rate_limit(rules)],
        "exchangeFilters": [],
        "symbols": [entry for entry in entries if status in {None, entry["status"]}],
    }


def _permissions(known: Mapping[str, str]) -> set[str] | None:
    """Permissions asked for: one, or a JSON array. None stands for SPOT, MARGIN and LEVERAGED: all there is here."""
    text = known.get("permissions")
    if text is None:
        return None
    try:
        names = json.loads(text) if text.startswith("[") else [text]
    except (ValueError, RecursionError):
        names = []
    if not names or not all(isinstance(name, str) for name in names):
        raise RestError(-1130, "Data sent for parameter 'permissions' is not valid.")
    return set(names)


def _wanted(known: Mapping[str, str]) -> list[str] | None:
    if "symbol" in known and "symbols" in known:
        raise RestError(-1128, "Combination of optional parameters invalid.")
    if "symbol" in known:
        check_symbol(known["symbol"])
        return [known["symbol"]]
    if "symbols" not in known:
        return None
    try:
        names = json.loads(known["symbols"])
    except (ValueError, RecursionError):
        names = None
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise RestError(-1100, "Illegal characters found in parameter 'symbols'; legal is a JSON array of symbols.")
    for name in names:
        check_symbol(name, parameter="symbols")
    return list(dict.fromkeys(names))


def _rate_limit(rules: MarketRules) -> dict[str, Any]:
    return {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": rules.weight_limit}


def _entry(listing: Listing, *, now: datetime, sets: bool) -> dict[str, Any]:
    trading = listing.life_at(now) is not None
    tick = f"{10.0**-listing.price_decimals:.8f}"
    lot = f"{10.0**-listing.lot_decimals:.8f}"
    return {
        "symbol": listing.symbol,
        "status": "TRADING" if trading else "BREAK",
        "baseAsset": listing.base,
        "baseAssetPrecision": 8,
        "quoteAsset": listing.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
        "isSpotTradingAllowed": trading,
        "isMarginTradingAllowed": False,
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "1000000.00000000", "tickSize": tick},
            {"filterType": "LOT_SIZE", "minQty": lot, "maxQty": "9000000.00000000", "stepSize": lot},
        ],
        "permissions": [],
        "permissionSets": [[listing.permission]] if sets else [],
    }
