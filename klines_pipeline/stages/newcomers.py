"""Symbols without any archive: just listed, or misspelled. REST tells which, and since when; else it is not asked."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date

from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.errors import BlockedError, TransientError, UnknownNameError
from klines_pipeline.domain.states import Life
from klines_pipeline.domain.universe import SymbolFacts
from klines_pipeline.exchanges.protocols import KlineApi, Survey


def place(api: KlineApi, dataset: Dataset, survey: Survey, days: Sequence[date], log: Callable[[str], None]) -> Survey:
    """The survey, with the lives of newcomers filled in; UnknownNameError for a symbol the exchange does not name."""
    if not survey.never_archived:
        return survey
    try:
        _refuse_unknown(survey.never_archived, dataset, api.symbols())
        lives = dict(survey.lives)
        for symbol in sorted(survey.never_archived):
            lives.update(_lives(api, dataset, symbol, days))
    except (TransientError, BlockedError) as error:
        log(f"Symbols without any archive could not be looked up: {error}")
        return survey
    return replace(survey, lives=lives)


def _refuse_unknown(newcomers: frozenset[str], dataset: Dataset, named: Mapping[str, SymbolFacts]) -> None:
    for symbol in sorted(newcomers.difference(named)):
        known = {*named, *dataset.symbols} - {symbol}
        raise UnknownNameError("symbol", symbol, known, where=f"{dataset}, symbols")


def _lives(api: KlineApi, dataset: Dataset, symbol: str, days: Sequence[date]) -> dict[tuple[str, date], Life]:
    first = api.first_open_time(symbol, dataset.interval)
    if first is None:
        return {}
    before = {(symbol, day): Life.NOT_LISTED for day in days if day < first.date()}
    return before | {(symbol, day): Life.FIRST_DAY for day in days if day == first.date()}
