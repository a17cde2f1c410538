"""What REST answers about funding: settlements from listing on, and the symbols with another interval than 8 hours."""

from datetime import datetime
from typing import Any

from klines_pipeline.domain.utc_day import to_milliseconds
from klines_pipeline.simulator.contracts import contract_of, contract_status
from klines_pipeline.simulator.funding import INTERVALS, Settlement
from klines_pipeline.simulator.funding_archives import decimal
from klines_pipeline.simulator.listings import utc
from klines_pipeline.simulator.rest_parameters import FundingQuery, RestError
from klines_pipeline.simulator.venue_market import VenueMarket

_MARK_PRICE_SINCE = to_milliseconds(utc(2023, 11, 1))
_RATE_TYPE_SINCE = to_milliseconds(utc(2026, 1, 1))


def funding_rows(market: VenueMarket, query: FundingQuery, *, now: datetime) -> list[dict[str, Any]]:
    """The oldest settlements from the start if one is given, else the newest up to the end; ascending either way.

    `startTime=0` gives the latest one alone. Settlements of contracts that are gone stay; that is not established.
    """
    listings = market.truth.listings
    if query.symbol is not None and not _is_known(market, query.symbol, now):
        raise RestError(-1121, "Invalid symbol.")
    symbols = [query.symbol] if query.symbol is not None else list(listings)
    end = min(to_milliseconds(now), query.end if query.end is not None else to_milliseconds(now))
    if query.start == 0:
        found = [row for symbol in symbols for row in market.funding.newest(symbol, 0, end, 1)]
        return [_row(row) for row in _ascending(found)[-1:]]
    if query.start is not None:
        found = [row for symbol in symbols for row in market.funding.oldest(symbol, query.start, end, query.rows)]
        return [_row(row) for row in _ascending(found)[: query.rows]]
    found = [row for symbol in symbols for row in market.funding.newest(symbol, 0, end, query.rows)]
    return [_row(row) for row in _ascending(found)[-query.rows :]]


def funding_info(market: VenueMarket, *, now: datetime) -> list[dict[str, Any]]:
    """Symbols whose interval was changed, with the one in force."""
    listings = market.truth.listings
    changed = [symbol for name, symbol in INTERVALS if name == market.rules.name]
    return [
        {
            "symbol": symbol,
            "adjustedFundingRateCap": "0.02000000",
            "adjustedFundingRateFloor": "-0.02000000",
            "fundingIntervalHours": market.funding.hours_at(symbol, now),
            "disclaimer": False,
        }
        for symbol in changed
        if contract_status(listings[symbol], now)
    ]


def _is_known(market: VenueMarket, symbol: str, now: datetime) -> bool:
    listing = market.truth.listings.get(symbol)
    if listing is None or contract_of(listing).archive_only:
        return False
    return not listing.lives or listing.lives[0].start <= now


def _ascending(settlements: list[Settlement]) -> list[Settlement]:
    return sorted(settlements, key=lambda settlement: (settlement.time, settlement.symbol))


def _row(settlement: Settlement) -> dict[str, Any]:
    row = {
        "symbol": settlement.symbol,
        "fundingTime": settlement.time,
        "fundingRate": decimal(settlement.rate),
        "markPrice": decimal(settlement.mark_price) if settlement.time >= _MARK_PRICE_SINCE else "",
    }
    return {**row, "rateType": "Regular"} if settlement.time >= _RATE_TYPE_SINCE else row
