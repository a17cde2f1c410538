"""How a market writes its klines: unit of time, decimals, header line. Which rows there are is decided elsewhere."""

from datetime import date

from klines_pipeline.simulator.columns import Klines
from klines_pipeline.simulator.listings import Listing
from klines_pipeline.simulator.markets import MarketRules
from klines_pipeline.simulator.text import EIGHT, HEADER, Decimals, TimeUnit, csv_rows


def time_unit(rules: MarketRules, day: date) -> TimeUnit:
    """Unit of the times inside an archive: by the day of its data."""
    return "us" if day >= rules.microseconds_since else "ms"


def decimals_of(rules: MarketRules, listing: Listing | None) -> Decimals:
    """Decimals of a symbol's numbers; all eight for symbols that only have rows set by hand."""
    if rules.numbers == "fixed" or listing is None:
        return EIGHT
    if rules.numbers == "contracts":
        return Decimals(price=listing.price_decimals, volume=0, quote=8)
    price, lot = listing.price_decimals, listing.lot_decimals
    return Decimals(price=price, volume=lot, quote=price + lot)


def has_header(rules: MarketRules, day: date) -> bool:
    """Whether the archives of a day begin with a line of names."""
    return day >= rules.header_since or any(first <= day <= last for first, last in rules.header_islands)


def archive_text(rules: MarketRules, listing: Listing | None, day: date, klines: Klines) -> bytes:
    """The member of a daily archive."""
    header = HEADER if has_header(rules, day) else b""
    return header + csv_rows(klines, time_unit(rules, day), decimals_of(rules, listing))
