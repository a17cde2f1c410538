"""All that stages may ask of an exchange about funding rates, and the values it answers with."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FundingSource:
    """Funding rates of one market, connected."""
