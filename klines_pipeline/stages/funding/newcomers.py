"""Symbols without any funding archive: just listed, misspelled, or of a market that has none. REST tells their life.

The witnesses are the first and the last kline: funding is settled in between, and REST forgets old settlements.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, datetime

import polars as pl

from klines_pipeline.domain.errors import BlockedError, RejectedRequestError, TransientError, UnknownNameError
from klines_pipeline.domain.interval import Interval
from klines_pipeline.exchanges.funding import FundingSurvey, Lifetime
from klines_pipeline.funding.schema import FUNDING_SCHEMA
from klines_pipeline.klines.ledgers import ARCHIVE_SCHEMA, ArchiveEntry, note, to_frame
from klines_pipeline.stages.funding.dataset import FundingDataset, FundingUniverse
from klines_pipeline.stages.funding.results import ArchivedFunding
from klines_pipeline.stages.funding.state import load_entries, paths_of, stored_days
from klines_pipeline.stages.verdict import absent
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.tables import read_many, to_parquet

_NOT_YET = Lifetime(first=date.max)
_FILES_AT_ONCE = 64
_NAMES = pl.Schema({"symbol": FUNDING_SCHEMA["symbol"]})


def place(universe: FundingUniverse, lake: Lake, survey: FundingSurvey, first: date) -> FundingSurvey:
    """The survey with the lifetimes of its newcomers; UnknownNameError for a symbol nobody ever had.

    `first` is the first day in question: who was listed before it costs no request of its own.
    """
    found = dict[str, Lifetime]()
    try:
        for symbol in sorted(survey.never_archived):
            found[symbol] = _lifetime(universe, lake, symbol, first)
    except (TransientError, BlockedError) as error:
        universe.log(f"{universe.dataset}: symbols without any archive could not be looked up: {error}")
    return replace(survey, lifetimes=found)


def _lifetime(universe: FundingUniverse, lake: Lake, symbol: str, first: date) -> Lifetime:
    """Who is named today has no last day."""
    facts, api = universe.traded().get(symbol), universe.market.api
    if facts is not None and facts.pending:
        return _NOT_YET
    if facts is not None and facts.since is not None and facts.since.date() < first:
        return Lifetime()
    opened = _asked(universe, api.first_open_time, symbol)
    closed = None if facts is not None or opened is None else _asked(universe, api.last_open_time, symbol)
    if opened is None and facts is None and not _is_remembered(lake, universe.dataset, symbol):
        return _unknown(universe, symbol)
    return Lifetime(opened.date() if opened else date.min, closed.date() if closed else date.max)


def _asked(universe: FundingUniverse, edge: Callable[[str, Interval], datetime | None], symbol: str) -> datetime | None:
    """The first or the last kline's time, also of a symbol REST lists no more; None for what it refuses to take."""
    try:
        return edge(symbol, universe.dataset.paragraphs[0].interval)
    except RejectedRequestError:
        return None


def _unknown(universe: FundingUniverse, symbol: str) -> Lifetime:
    """A filter may select what has klines in the bucket only; a name in klines.yaml is misspelled."""
    if symbol not in universe.named():
        universe.log(f"{universe.dataset}: nobody has funding of {symbol}, which a filter selects.")
        return _NOT_YET
    known = {*universe.traded(), *universe.symbols()} - {symbol}
    raise UnknownNameError("symbol", symbol, known, where=f"{universe.dataset}, symbols")


def _is_remembered(lake: Lake, dataset: FundingDataset, symbol: str) -> bool:
    """Whether the lake has a settlement of it: the exchange had it once."""
    files = [paths_of(dataset, day).funding for day in reversed(stored_days(lake, dataset))]
    parts = (files[start : start + _FILES_AT_ONCE] for start in range(0, len(files), _FILES_AT_ONCE))
    return any(symbol in read_many(lake, part, _NAMES)["symbol"] for part in parts)


def with_lifetime(entry: ArchiveEntry, survey: FundingSurvey, day: date, known: ArchiveEntry | None) -> ArchiveEntry:
    """The entry with the edge of life that a newcomer's day lies at; where nobody could be asked, as it was `known`."""
    lifetime = survey.lifetimes.get(entry.symbol)
    life = lifetime.at(day) if lifetime else known.life if known else None
    return replace(entry, error=note(life, entry.problem))


def without_archives(
    lake: Lake, dataset: FundingDataset, day: date, symbols: Sequence[str], survey: FundingSurvey, now: datetime
) -> ArchivedFunding:
    """A day of a market that publishes none. Only edges of life are recorded, for runs that do not ask."""
    ledger = load_entries(lake, dataset, day)
    entries = {name: with_lifetime(absent(name, ""), survey, day, ledger.get(name)) for name in symbols}
    edges = {name: entry for name, entry in {**ledger, **entries}.items() if entry.life}
    if edges != ledger:
        content = to_frame([edges[name] for name in sorted(edges)], ARCHIVE_SCHEMA)
        paths = paths_of(dataset, day)
        lake.publish(paths.archives, to_parquet(content), under=paths)
    return ArchivedFunding(day, tuple(symbols), entries, now)
