"""Symbols from the lake's life table: filtered, as of a day, in the order asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl

from klines_pipeline.domain.errors import ConfigurationError, UnknownNameError
from klines_pipeline.domain.universe import SymbolFilter, undecided
from klines_pipeline.klines.life import SYMBOL_SCHEMA, facts_of, was_alive
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.layout import SymbolsPaths
from klines_pipeline.storage.tables import read_table


@dataclass(frozen=True, slots=True)
class Selected:
    """Rows of the life table that were asked for, and symbols left out only because nobody knows their quote."""

    rows: pl.DataFrame
    undecided: list[str]


def symbols(
    lake: Lake,
    exchange: str,
    market: str,
    *,
    chosen: SymbolFilter,
    names: Sequence[str] | None = None,
    on: date | None = None,
    listed: bool | None = None,
) -> Selected:
    """Rows that the filter selects: of `names` in their order, or of all symbols.

    `on`: those traded on that UTC day, delisted ones included. `listed`: those that trade today, or those that do not.
    ConfigurationError where there is no table; UnknownNameError for a name or a quote that the table does not have.
    """
    venue = f"{exchange}/{market}"
    rows = {row["symbol"]: row for row in _life_table(lake, exchange, market).iter_rows(named=True)}
    for name in names or ():
        if name not in rows:
            raise UnknownNameError("symbol", name, rows, where=venue)
    wanted = [rows[name] for name in (rows if names is None else dict.fromkeys(names))]
    if on is not None:
        wanted = [row for row in wanted if was_alive(row, on)]
    if listed is not None:
        wanted = [row for row in wanted if row["listed"] is listed]
    quotes = {row["quote"] for row in rows.values() if row["quote"]}
    for quote in chosen.quote:
        if quote not in quotes:
            raise UnknownNameError("quote", quote, quotes, where=venue)
    facts = [facts_of(row) for row in wanted]
    selected = [row for row, known in zip(wanted, facts, strict=True) if chosen.selects(known)]
    return Selected(pl.DataFrame(selected, schema=SYMBOL_SCHEMA), undecided(facts, chosen))


def _life_table(lake: Lake, exchange: str, market: str) -> pl.DataFrame:
    """Rows of symbols that were looked at; one that only remembers a contract size is none."""
    table = read_table(lake, SymbolsPaths(exchange, market).symbols, SYMBOL_SCHEMA)
    table = table.filter(pl.col("checked_at").is_not_null())
    if table.is_empty():
        raise ConfigurationError(
            f"The lake {lake.root} has no symbols of {exchange}/{market} yet. Materialize {exchange}/{market}/symbols, "
            f"or run: klines symbols --exchange {exchange} --market {market} --refresh"
        )
    return table
