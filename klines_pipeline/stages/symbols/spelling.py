"""Symbols that klines.yaml names and the lake has not met: the exchange is asked before a run fails."""

from collections.abc import Collection
from datetime import date

from klines_pipeline.domain.errors import BlockedError, TransientError
from klines_pipeline.exchanges.protocols import Survey
from klines_pipeline.stages.symbols import newcomers
from klines_pipeline.stages.symbols.universe import Universe


def check_spelling(universe: Universe, met: Collection[str], day: date) -> tuple[str, ...]:
    """The dataset's symbols; UnknownNameError or ConfigurationError where they cannot be meant.

    `met`: those the lake knows. They cost no request, a filter none once it has met anybody. While the exchange cannot
    be asked nobody is misspelled.
    """
    dataset = universe.dataset
    try:
        if dataset.chosen is not None:
            return tuple(met) or universe.whole().symbols
        unmet = set(dataset.symbols) - set(met)
        suspects = unmet - universe.named().keys() if unmet else unmet
        strangers = suspects - set(universe.market.archive.symbols()) if suspects else suspects
    except (TransientError, BlockedError) as error:
        universe.log(f"{dataset}: symbols could not be looked up: {error}")
        return dataset.symbols
    if strangers:
        nowhere = Survey(None, {}, {}, {}, frozenset(strangers))
        newcomers.place(universe, nowhere, [day])
    return dataset.symbols
