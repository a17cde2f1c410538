"""What a futures contract is called at an instant: its status and type in exchangeInfo, and whether it is there at all.

The answer itself is written in `futures_info`.
"""

from datetime import datetime, timedelta

from klines_pipeline.domain.utc_day import day_start
from klines_pipeline.simulator.listings import Contract, Listing

_FRIDAY = 4
_DELIVERY_HOUR = timedelta(hours=8)


def contract_of(listing: Listing) -> Contract:
    """The contract of a futures listing."""
    if listing.contract is None:
        raise ValueError(f"{listing.symbol} of {listing.market} is no contract. Ask for a futures symbol.")
    return listing.contract


def contract_status(listing: Listing, now: datetime) -> str | None:
    """Its status at an instant (UTC); None where exchangeInfo does not name it."""
    contract = contract_of(listing)
    if contract.archive_only:
        return None
    if not listing.lives:
        return "PENDING_TRADING"
    if contract.settled is not None and contract.settled <= now:
        return "SETTLING"
    return "TRADING" if listing.life_at(now) else None


def contract_type(listing: Listing, now: datetime) -> str:
    """`PERPETUAL`, `CURRENT_QUARTER` from the delivery before its own on, until then `NEXT_QUARTER`."""
    delivery = contract_of(listing).delivery
    if delivery is None:
        return "PERPETUAL"
    return "CURRENT_QUARTER" if _delivery_before(delivery) <= now else "NEXT_QUARTER"


def _delivery_before(delivery: datetime) -> datetime:
    """The last Friday of the quarter before, 08:00 UTC."""
    this_quarter = day_start(delivery.date()).replace(month=delivery.month - 2, day=1)
    last_day = this_quarter - timedelta(days=1)
    return last_day - timedelta(days=(last_day.weekday() - _FRIDAY) % 7) + _DELIVERY_HOUR
