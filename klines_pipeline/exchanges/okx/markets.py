"""OKX's markets, one row each: what the service calls them, and in which column of a candle each volume stands.

How a row is read is in `wire`; what a name tells is in `instruments`.
"""

from dataclasses import dataclass

from klines_pipeline.domain.universe import Contract

_NEVER_PUBLISHED = ("trades", "taker_buy_volume", "taker_buy_quote_volume")


@dataclass(frozen=True, slots=True)
class OkxMarket:
    """One row. `base_volume` and `quote_volume` are OKX's columns."""

    name: str
    instrument_type: str
    base_volume: str
    quote_volume: str
    contract: Contract | None = None
    nullable: tuple[str, ...] = _NEVER_PUBLISHED
    """Columns of the table that a kline may lack."""

    @property
    def funding(self) -> bool:
        """Whether there are funding rates."""
        return self.contract is Contract.PERPETUAL


MARKETS = {
    "spot": OkxMarket(name="spot", instrument_type="SPOT", base_volume="vol", quote_volume="volCcy"),
    "swap": OkxMarket(
        name="swap",
        instrument_type="SWAP",
        base_volume="volCcy",  # `vol` counts contracts
        quote_volume="volCcyQuote",
        contract=Contract.PERPETUAL,
        nullable=("quote_volume", *_NEVER_PUBLISHED),  # older answers have no volCcyQuote
    ),
}
