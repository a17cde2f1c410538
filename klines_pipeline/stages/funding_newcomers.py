"""Symbols without any funding archive: just listed, misspelled, or of a market that has none. REST tells since when.

The witness is the first kline: funding is settled from then on, and REST may have forgotten old settlements.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime

from klines_pipeline.domain.errors import BlockedError, RejectedRequestError, TransientError, UnknownNameError
from klines_pipeline.domain.states import Life
from klines_pipeline.exchanges.funding import FundingSurvey
from klines_pipeline.funding.schema import FUNDING_SCHEMA
from klines_pipeline.klines.ledgers import ARCHIVE_SCHEMA, ArchiveEntry, note, to_frame
from klines_pipeline.stages.funding_dataset import FundingDataset, FundingUniverse
from klines_pipeline.stages.funding_results import ArchivedFunding
from klines_pipeline.stages.funding_state import load_entries, paths_of, stored_days
from klines_pipeline.stages.verdict import absent
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.tables import read_table, to_parquet


def place(universe: FundingUniverse, lake: Lake, survey: FundingSurvey, first: date) -> FundingSurvey:
    """The survey with the first days of its newcomers; UnknownNameError for a symbol nobody ever had.

    `first` is the first day in question: who was listed before it costs no request of its own.
    """
    found = dict[str, date]()
    try:
        for symbol in sorted(survey.never_archived):
            found[symbol] = _first_day(universe, lake, symbol, first)
    except (TransientError, BlockedError) as error:
        universe.log(f"{universe.dataset}: symbols without any archive could not be looked up: {error}")
    return replace(survey, first_days=found)


def _first_day(universe: FundingUniverse, lake: Lake, symbol: str, first: date) -> date:
    """See `FundingSurvey.first_days`."""
    facts = universe.traded().get(symbol)
    if facts is not None and facts.pending:
        return date.max
    if facts is not None and facts.since is not None and facts.since.date() < first:
        return date.min
    opened = _first_open_time(universe, symbol)
    if opened is None and facts is None and not _is_remembered(lake, universe.dataset, symbol):
        return _unknown(universe, symbol)
    return opened.date() if opened else date.min


def _first_open_time(universe: FundingUniverse, symbol: str) -> datetime | None:
    """The first kline's, also of a symbol REST lists no more; None for what REST refuses to take for a symbol."""
    try:
        return universe.market.api.first_open_time(symbol, universe.dataset.paragraphs[0].interval)
    except RejectedRequestError:
        return None


def _unknown(universe: FundingUniverse, symbol: str) -> date:
    """A filter may select what has klines in the bucket only; a name in klines.yaml is misspelled."""
    if symbol not in universe.named():
        universe.log(f"{universe.dataset}: nobody has funding of {symbol}, which a filter selects.")
        return date.max
    known = {*universe.traded(), *universe.symbols()} - {symbol}
    raise UnknownNameError("symbol", symbol, known, where=f"{universe.dataset}, symbols")


def _is_remembered(lake: Lake, dataset: FundingDataset, symbol: str) -> bool:
    """Whether the lake has a settlement of it: the exchange had it once."""
    days = reversed(stored_days(lake, dataset))
    return any(symbol in read_table(lake, paths_of(dataset, day).funding, FUNDING_SCHEMA)["symbol"] for day in days)


def with_first_day(entry: ArchiveEntry, survey: FundingSurvey, day: date, known: ArchiveEntry | None) -> ArchiveEntry:
    """The entry with the edge of life that a newcomer's day lies at; where nobody could be asked, as it was `known`."""
    first = survey.first_days.get(entry.symbol)
    if first is None:
        life = known.life if known else None
    elif day < first:
        life = Life.NOT_LISTED
    else:
        life = Life.FIRST_DAY if day == first else None
    return replace(entry, error=note(life, entry.problem))


def without_archives(
    lake: Lake, dataset: FundingDataset, day: date, symbols: Sequence[str], survey: FundingSurvey, now: datetime
) -> ArchivedFunding:
    """A day of a market that publishes none. Only edges of life are recorded, for runs that do not ask."""
    ledger = load_entries(lake, dataset, day)
    entries = {name: with_first_day(absent(name, ""), survey, day, ledger.get(name)) for name in symbols}
    edges = {name: entry for name, entry in {**ledger, **entries}.items() if entry.life}
    if edges != ledger:
        content = to_frame([edges[name] for name in sorted(edges)], ARCHIVE_SCHEMA)
        lake.publish(paths_of(dataset, day).archives, to_parquet(content))
    return ArchivedFunding(day, tuple(symbols), entries, now)
