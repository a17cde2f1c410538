"""Symbols without any archive: just listed, misspelled, or of a market that has none. REST tells since when."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime

from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.errors import BlockedError, RejectedRequestError, TransientError, UnknownNameError
from klines_pipeline.domain.states import Life
from klines_pipeline.domain.universe import SymbolFacts
from klines_pipeline.exchanges.protocols import KlineApi, Survey

Lives = Mapping[tuple[str, date], Life]


def place(
    api: KlineApi,
    named: Callable[[], Mapping[str, SymbolFacts]],
    dataset: Dataset,
    survey: Survey,
    days: Sequence[date],
    log: Callable[[str], None],
) -> Survey:
    """The survey, with the lives of newcomers filled in; UnknownNameError for a symbol the exchange never had."""
    if not survey.never_archived:
        return survey
    lives = dict(survey.lives)
    try:
        for symbol in sorted(survey.never_archived):
            lives.update(_lives(api, named(), dataset, symbol, days))
    except (TransientError, BlockedError) as error:
        log(f"Symbols without any archive could not be looked up: {error}")
    return replace(survey, lives=lives)


def _lives(
    api: KlineApi, named: Mapping[str, SymbolFacts], dataset: Dataset, symbol: str, days: Sequence[date]
) -> Lives:
    """Lives of the days up to the first kline; a symbol listed before the days in question costs no request."""
    facts = named.get(symbol)
    if facts is not None and facts.pending:
        return {(symbol, day): Life.NOT_LISTED for day in days}
    if facts is not None and facts.since is not None and facts.since.date() < days[0]:
        return {}
    first = _first_open_time(api, dataset, symbol)
    if first is None and facts is None:
        known = {*named, *dataset.symbols} - {symbol}
        raise UnknownNameError("symbol", symbol, known, where=f"{dataset}, symbols")
    if first is None:
        return {}
    before = {(symbol, day): Life.NOT_LISTED for day in days if day < first.date()}
    return before | {(symbol, day): Life.FIRST_DAY for day in days if day == first.date()}


def _first_open_time(api: KlineApi, dataset: Dataset, symbol: str) -> datetime | None:
    """The first kline's, also of a symbol REST lists no more; None for what REST refuses to take for a symbol."""
    try:
        return api.first_open_time(symbol, dataset.interval)
    except RejectedRequestError:
        return None
