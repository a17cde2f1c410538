"""Bars and instruments as OKX writes them: strings only, nine to a candle, contracts for swaps.

Which bars an answer holds is `okx_market`'s affair.
"""

from datetime import datetime

from klines_pipeline.domain.utc_day import to_microseconds, to_milliseconds
from klines_pipeline.simulator.columns import DECIMALS, Klines
from klines_pipeline.simulator.okx_instruments import Instrument

_ONE = 10**DECIMALS


def decimal_text(value: int) -> str:
    """A count of 1e-8 without trailing zeros."""
    whole, fraction = divmod(value, _ONE)
    return f"{whole}.{fraction:0{DECIMALS}d}".rstrip("0") if fraction else str(whole)


def candle_rows(instrument: Instrument, bars: Klines, *, now: datetime) -> list[list[str]]:
    """`[ts, o, h, l, c, vol, volCcy, volCcyQuote, confirm]`, newest first; ts in ms, confirm "0" while forming."""
    moment = to_microseconds(now)
    rows = []
    for row in reversed(bars.rows()):
        open_time, *prices = row[:5]
        base, close_time, quote = row[5:8]
        amounts = map(decimal_text, _amounts(instrument, base, quote))
        confirm = "1" if close_time < moment else "0"
        rows.append([str(open_time // 1000), *map(decimal_text, prices), *amounts, confirm])
    return rows


def _amounts(instrument: Instrument, base: int, quote: int) -> tuple[int, int, int]:
    """vol, volCcy and volCcyQuote: for spot base, quote, quote; for swaps contracts, base, quote."""
    if instrument.kind == "spot":
        return base, quote, quote
    contracts = (base if instrument.kind == "linear" else quote) * _ONE // instrument.contract_value
    return contracts, base, quote


def instrument_entry(instrument: Instrument) -> dict[str, str]:
    """One entry of the instruments answer; what does not apply is an empty string, currencies of swaps too."""
    listing, swap = instrument.listing, instrument.kind != "spot"
    lot = decimal_text(10 ** (DECIMALS - instrument.lot_decimals))
    coin_margined = instrument.kind == "inverse"
    return {
        "instType": instrument.type,
        "instId": instrument.name,
        "baseCcy": "" if swap else listing.base,
        "quoteCcy": "" if swap else listing.quote,
        "settleCcy": (listing.base if coin_margined else listing.quote) if swap else "",
        "ctVal": decimal_text(instrument.contract_value) if swap else "",
        "ctMult": "1" if swap else "",
        "ctValCcy": (listing.quote if coin_margined else listing.base) if swap else "",
        "ctType": instrument.kind if swap else "",
        "tickSz": decimal_text(10 ** (DECIMALS - listing.price_decimals)),
        "lotSz": lot,
        "minSz": lot,
        "listTime": str(to_milliseconds(instrument.list_time or instrument.life.start)),
        "expTime": "",
        "state": "live",
    }
