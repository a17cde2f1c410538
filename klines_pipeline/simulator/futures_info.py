"""The exchangeInfo of USD-M and COIN-M, and whose klines are served: contracts that are gone are in neither."""

from datetime import UTC, datetime
from typing import Any

from klines_pipeline.domain.utc_day import to_milliseconds
from klines_pipeline.simulator.contracts import contract_of, contract_status, contract_type
from klines_pipeline.simulator.listings import Listing
from klines_pipeline.simulator.market import Market
from klines_pipeline.simulator.markets import MarketRules
from klines_pipeline.simulator.rest_parameters import RestError

_PERPETUAL_DELIVERY = 4_133_404_800_000
"""ms: 2100-12-25 08:00 UTC, where there is no delivery."""
_UNKNOWN = (-1121, "Invalid symbol.")


def check_served(listing: Listing | None, rules: MarketRules, now: datetime) -> None:
    """Refuse the klines of a symbol the market never had, or no longer lets one ask for."""
    if listing is None or (listing.lives and now < listing.lives[0].start):
        raise RestError(*_UNKNOWN)
    if rules.refusal_of_removed is None:
        return
    if contract_of(listing).archive_only:
        raise RestError(*_UNKNOWN)
    if contract_status(listing, now) is None:
        raise RestError(*rules.refusal_of_removed)


def futures_info(market: Market, rules: MarketRules, *, now: datetime) -> dict[str, Any]:
    """The whole answer; there is no filter."""
    entries = [_entry(listing, rules, now=now) for listing in market.listings.values() if contract_status(listing, now)]
    limit = {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": rules.weight_limit}
    return {
        "timezone": "UTC",
        "serverTime": to_milliseconds(now),
        "rateLimits": [limit],
        "exchangeFilters": [],
        "symbols": entries,
    }


def _entry(listing: Listing, rules: MarketRules, *, now: datetime) -> dict[str, Any]:
    contract = contract_of(listing)
    status = contract_status(listing, now)
    own = (
        {"contractStatus": status, "contractSize": contract.size, "equalQtyPrecision": 4}
        if contract.size
        else {"status": status}
    )
    return {
        "symbol": listing.symbol,
        "pair": contract.pair,
        "contractType": contract_type(listing, now),
        "deliveryDate": _delivery_date(listing),
        "onboardDate": to_milliseconds(_onboard(listing)),
        **own,
        "baseAsset": listing.base,
        "quoteAsset": listing.quote,
        "marginAsset": contract.margin,
        "pricePrecision": listing.price_decimals,
        "quantityPrecision": listing.lot_decimals,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": [],
        "filters": [
            {"filterType": "PRICE_FILTER", "tickSize": f"{10.0**-listing.price_decimals:.{listing.price_decimals}f}"},
            {"filterType": "LOT_SIZE", "stepSize": f"{10.0**-listing.lot_decimals:.{listing.lot_decimals}f}"},
        ],
        "orderTypes": ["LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET"],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
    }


def _delivery_date(listing: Listing) -> int:
    contract = contract_of(listing)
    end = contract.delivery or contract.settled
    return to_milliseconds(end) if end else _PERPETUAL_DELIVERY


def _onboard(listing: Listing) -> datetime:
    told = contract_of(listing).onboard
    if told is not None:
        return told
    return listing.lives[0].start if listing.lives else datetime.min.replace(tzinfo=UTC)
