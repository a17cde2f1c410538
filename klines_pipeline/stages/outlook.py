"""What a run knows before its days begin: what is published, what time it is there, or why nothing can be done."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from klines_pipeline.domain.errors import BlockedError, TransientError
from klines_pipeline.exchanges.protocols import Survey
from klines_pipeline.stages.symbols import newcomers
from klines_pipeline.stages.symbols.universe import Universe


@dataclass(frozen=True, slots=True)
class Outlook:
    """One look at the exchange, for a stretch of days; `problem` says why none of them can be begun."""

    survey: Survey
    now: datetime | None
    problem: Exception | None = None


def look(universe: Universe, days: Sequence[date]) -> Outlook:
    """List what is published for every symbol the dataset may mean; the bucket's clock tells the time, else REST's."""
    market, dataset = universe.market, universe.whole()
    survey = market.archive.survey(dataset.symbols, dataset.interval, days[0], days[-1])
    sent = f"{market.archive.requests} listing and {market.api.requests} REST requests so far"
    universe.log(f"{dataset}: {len(dataset.symbols)} symbols looked up, {days[0]} to {days[-1]}; {sent}")
    survey = newcomers.place(universe, survey, days)
    if survey.now is not None:
        return Outlook(survey, survey.now)
    try:
        return Outlook(survey, market.api.now())
    except (TransientError, BlockedError) as error:
        said = dict.fromkeys([str(next(iter(survey.failed.values()))), str(error)])
        both = "Neither the bucket nor REST answers: " if len(said) > 1 else ""
        return Outlook(survey, None, TransientError(f"{both}{' '.join(said)}"))
