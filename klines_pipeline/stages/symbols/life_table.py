"""The life table of a market: what the bucket lists and REST names, put together and kept in the lake.

What a row means stands in `klines.life`. Which symbols a dataset has on a day is `stages.symbols.universe`'s affair.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple

import polars as pl

from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.errors import BlockedError, TransientError
from klines_pipeline.domain.lateness import LONGEST_DELAY
from klines_pipeline.domain.universe import SymbolFacts
from klines_pipeline.exchanges.protocols import ArchivedDays, Market
from klines_pipeline.klines.ledgers import CERTIFICATE_SCHEMA
from klines_pipeline.klines.life import (
    SYMBOL_SCHEMA,
    Named,
    Row,
    Runs,
    facts_of,
    renewed,
    symbol_row,
    to_table,
    trades_today,
)
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.layout import DayPaths, SymbolsPaths
from klines_pipeline.storage.tables import read_table, stored_days, to_parquet

Venue = tuple[str, str]
"""Exchange and market, as `Dataset.prefix`."""


@dataclass(frozen=True, slots=True)
class Refreshed:
    """The table as it is now, what it took, and what could not be had."""

    table: pl.DataFrame
    listing_requests: int
    rest_requests: int
    failed: Mapping[str, str]
    """Why symbols could not be listed, or exchangeInfo not be asked; what was known of them stays."""
    blocked: str | None = None
    """Why REST does not serve this address; status and `listed` are then not known."""


def refresh_symbols(lake: Lake, market: Market, venue: Venue, log: Callable[[str], None]) -> Refreshed:
    """Look at the bucket and at exchangeInfo, and bring the table up to date.

    A symbol known already is listed from three weeks before its last archive on: one request.
    """
    paths, sent = SymbolsPaths(*venue), market.api.requests
    known = _rows(lake, paths)
    named, failed, blocked = _named(market)
    since = {
        name: row["last_day"] - LONGEST_DELAY
        for name, row in known.items()
        if row["last_day"] and not row["holes"]  # holes have been filled years later (spot before 2021-03, in 2023-08)
    }
    archived = market.archive.archived_days(since)
    now = archived.now or market.api.now()
    with lake.locked(paths):
        known |= _rows(lake, paths)
        table = to_table(_renewed_rows(market, known, named, archived, since, now))
        _publish(lake, paths, table)
    failed |= {name: str(error) for name, error in archived.failed.items()}
    refreshed = Refreshed(table, archived.requests, market.api.requests - sent, failed, blocked)
    log(
        f"{'/'.join(venue)}/symbols: {table.height} symbols, {refreshed.listing_requests} listing and "
        f"{refreshed.rest_requests} REST requests"
    )
    return refreshed


def _named(market: Market) -> tuple[Named, dict[str, str], str | None]:
    """What REST names; where it cannot be asked, why: for a while, or from this address at all."""
    try:
        return market.api.symbols(), {}, None
    except BlockedError as error:
        return None, {}, str(error)
    except TransientError as error:
        return None, {"exchangeInfo": str(error)}, None


def _renewed_rows(
    market: Market,
    known: Mapping[str, Row],
    named: Named,
    archived: ArchivedDays,
    since: Mapping[str, date],
    now: datetime,
) -> Iterable[Row]:
    """A row for every symbol ever seen, but for those without a row that could not be listed now."""
    for symbol in sorted({*archived.days, *known, *(named or ())} - (archived.failed.keys() - known.keys())):
        row = known.get(symbol)
        runs = Runs.of_row(row) if row else Runs()
        days = archived.days.get(symbol)
        if days is not None:
            runs = runs.continued(days, since[symbol]) if symbol in since else Runs.of(days)
        told_of = days is not None or symbol in (named or ())
        checked = now if told_of or row is None else row["checked_at"]
        facts = renewed(facts_of(row) if row else None, named, market.describe(symbol))
        yield symbol_row(facts, runs, listed=trades_today(named, symbol), checked_at=checked)


def remembered_symbols(
    lake: Lake, market: Market, dataset: Dataset, days: Sequence[date] = ()
) -> dict[str, SymbolFacts]:
    """Symbols the lake has met: those of the life table, and those certified on these days, just around them, or last.

    The last day alone would not do: a symbol delisted since is not on it.
    """
    known = {name: facts_of(row) for name, row in _rows(lake, SymbolsPaths(*dataset.prefix)).items()}
    stored = stored_days(lake, "ledger/certificates", dataset.exchange, dataset.market, str(dataset.interval))
    start, end = (bisect_left(stored, min(days)), bisect_right(stored, max(days))) if days else (0, 0)
    around = stored[max(start - 1, 0) : end + 1] if days else []
    for day in {*around, *stored[-1:]}:
        names = read_table(lake, DayPaths.of(dataset, day).certificates, CERTIFICATE_SCHEMA)["symbol"]
        known |= {name: market.describe(name) for name in names if name not in known}
    return known


class Sizes(NamedTuple):
    """Quote asset per contract, by symbol, where anybody knows it. `problem`: why it could not be asked."""

    known: dict[str, float]
    problem: str | None = None


def known_sizes(lake: Lake, venue: Venue, symbols: Iterable[str]) -> dict[str, float]:
    """Quote asset per contract as the table has it; nobody is asked."""
    return _known_sizes(_rows(lake, SymbolsPaths(*venue)), set(symbols))


def contract_sizes(
    lake: Lake, market: Market, venue: Venue, symbols: Iterable[str], named: Callable[[], Named]
) -> Sizes:
    """Sizes from the table; asked once and kept there, the answer that nobody knows included.

    A contract no longer named has the size of the others of its pair. Where REST is blocked, sizes stay unknown.
    """
    wanted, paths = set(symbols), SymbolsPaths(*venue)
    rows = _rows(lake, paths)
    sizes = _known_sizes(rows, wanted)
    unasked = {name for name in wanted - sizes.keys() if name not in rows or rows[name]["listed"] is None}
    if not unasked:
        return Sizes(sizes)
    try:
        today = named() or {}
    except BlockedError:
        return Sizes(sizes)
    except TransientError as error:
        return Sizes(
            sizes, f"the size of {len(unasked)} contract(s) could not be asked, so quote volumes lack: {error}"
        )
    told = {name: today.get(name) or market.describe(name) for name in unasked}
    with lake.locked(paths):
        rows = _rows(lake, paths)
        for name, facts in told.items():
            row = rows.get(name) or symbol_row(facts, Runs(), listed=trades_today(today, name), checked_at=None)
            rows[name] = row | {"contract_size": row["contract_size"] or _size(facts, today)}
        _publish(lake, paths, to_table(rows.values()))
    return Sizes(_known_sizes(rows, wanted))


def _known_sizes(rows: Mapping[str, Row], wanted: set[str]) -> dict[str, float]:
    return {name: row["contract_size"] for name, row in rows.items() if name in wanted and row["contract_size"]}


def _size(facts: SymbolFacts, named: Mapping[str, SymbolFacts]) -> float | None:
    """Its own, or the one that all contracts of its pair have."""
    if facts.contract_size is not None or facts.base is None:
        return facts.contract_size
    pair = (facts.base, facts.quote)
    sizes = {known.contract_size for known in named.values() if (known.base, known.quote) == pair}
    return sizes.pop() if len(sizes) == 1 else None


def _rows(lake: Lake, paths: SymbolsPaths) -> dict[str, Row]:
    return {row["symbol"]: row for row in read_table(lake, paths.symbols, SYMBOL_SCHEMA).iter_rows(named=True)}


def _publish(lake: Lake, paths: SymbolsPaths, table: pl.DataFrame) -> None:
    lake.publish(paths.symbols, to_parquet(table, paths.identity), under=paths)
