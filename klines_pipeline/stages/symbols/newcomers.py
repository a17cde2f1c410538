"""Symbols without any archive: just listed, misspelled, or of a market that has none. REST tells since when."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime

from klines_pipeline.domain.errors import BlockedError, RejectedRequestError, TransientError, UnknownNameError
from klines_pipeline.domain.interval import Interval
from klines_pipeline.domain.states import Life
from klines_pipeline.exchanges.protocols import Survey
from klines_pipeline.stages.symbols.universe import Universe

Lives = Mapping[tuple[str, date], Life]


def place(universe: Universe, survey: Survey, days: Sequence[date]) -> Survey:
    """The survey, with the lives of newcomers filled in; UnknownNameError for a symbol nobody ever had.

    One that the lake remembers is not misspelled, and one that a filter found without klines is no symbol.
    """
    if not survey.never_archived:
        return survey
    lives = dict(survey.lives)
    try:
        for symbol in sorted(survey.never_archived):
            lives.update(_lives(universe, symbol, days))
    except (TransientError, BlockedError) as error:
        universe.log(f"Symbols without any archive could not be looked up: {error}")
    return replace(survey, lives=lives)


def _lives(universe: Universe, symbol: str, days: Sequence[date]) -> Lives:
    """Lives of the days before the first kline and after the last; one listed long before costs no request."""
    facts = universe.named().get(symbol)
    if facts is not None and facts.pending:
        return {(symbol, day): Life.NOT_LISTED for day in days}
    if facts is not None and facts.since is not None and facts.since.date() < days[0]:
        return {}
    api, interval = universe.market.api, universe.dataset.interval
    first = _asked(api.first_open_time, symbol, interval)
    last = None if facts is not None or first is None else _asked(api.last_open_time, symbol, interval)
    if first is None and facts is None and not universe.remembers(symbol):
        return _unknown(universe, symbol, days)
    return {(symbol, day): life for day in days if (life := _life(day, first, last)) is not None}


def _life(day: date, first: datetime | None, last: datetime | None) -> Life | None:
    """Where a day lies between a first and a last kline, as far as they are known."""
    if first is not None and day <= first.date():
        return Life.FIRST_DAY if day == first.date() else Life.NOT_LISTED
    if last is not None and day >= last.date():
        return Life.LAST_DAY if day == last.date() else Life.DELISTED
    return None


def _unknown(universe: Universe, symbol: str, days: Sequence[date]) -> Lives:
    dataset = universe.dataset
    if dataset.chosen is not None:
        universe.log(f"{dataset}: {symbol} has a folder, but neither archives of {dataset.interval} nor klines.")
        return {(symbol, day): Life.NOT_LISTED for day in days}
    known = {*universe.named(), *dataset.symbols} - {symbol}
    raise UnknownNameError("symbol", symbol, known, where=f"{dataset}, symbols")


def _asked(edge: Callable[[str, Interval], datetime | None], symbol: str, interval: Interval) -> datetime | None:
    """The first or the last kline's time, also of a symbol REST lists no more; None for what it refuses to take."""
    try:
        return edge(symbol, interval)
    except RejectedRequestError:
        return None
