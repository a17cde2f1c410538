"""One market of the venue: its rules, its truth, its archives, and what it lets a client ask.

To add symbols to a market: its table of listings. Which paths lead here is told by the rules.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from klines_pipeline.simulator.archives import Archives
from klines_pipeline.simulator.clock import SimulatedClock
from klines_pipeline.simulator.cm_listings import CM_LISTINGS
from klines_pipeline.simulator.funding import Funding
from klines_pipeline.simulator.funding_archives import FundingArchives
from klines_pipeline.simulator.kline_archives import KlineArchives
from klines_pipeline.simulator.limits import WeightLimit
from klines_pipeline.simulator.listings import DEFAULT_LISTINGS, Listing, extra_listings
from klines_pipeline.simulator.market import Market
from klines_pipeline.simulator.markets import MarketRules
from klines_pipeline.simulator.truths import FUTURES_OUTAGES, HALTS
from klines_pipeline.simulator.um_listings import UM_LISTINGS, extra_um_listings

FUNDING_REQUESTS = 500
FUNDING_WINDOW = 300.0
"""Seconds."""
_LISTINGS: Mapping[str, Callable[[int], Sequence[Listing]]] = {
    "spot": lambda extra: (*DEFAULT_LISTINGS, *extra_listings(extra)),
    "um": lambda extra: (*UM_LISTINGS, *extra_um_listings(extra)),
    "cm": lambda extra: CM_LISTINGS,
}


@dataclass(frozen=True, slots=True)
class VenueMarket:
    """Everything of one market. Spot has no use for the funding parts."""

    rules: MarketRules
    truth: Market
    klines: KlineArchives
    funding: Funding
    limit: WeightLimit
    funding_limit: WeightLimit

    @classmethod
    def build(
        cls, rules: MarketRules, clock: SimulatedClock, *, seed: int, extra_symbols: int, more: Sequence[Listing] = ()
    ) -> "VenueMarket":
        """The market of a row of the table."""
        truth = Market(
            seed=seed,
            listings=(*_LISTINGS[rules.name](extra_symbols), *more),
            halts=() if rules.is_futures else HALTS,
            outages=FUTURES_OUTAGES if rules.is_futures else (),
        )
        return cls(
            rules=rules,
            truth=truth,
            klines=KlineArchives(market=truth, rules=rules),
            funding=Funding(truth, rules.name),
            limit=WeightLimit(clock, weight_limit=rules.weight_limit),
            funding_limit=WeightLimit(clock, weight_limit=FUNDING_REQUESTS, window_seconds=FUNDING_WINDOW),
        )

    def archives(self) -> list[Archives]:
        """All its archives."""
        if not self.rules.is_futures:
            return [self.klines]
        return [self.klines, FundingArchives(market=self.truth, funding=self.funding, rules=self.rules)]
