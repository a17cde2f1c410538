"""`klines symbols`: what a market has and had, filtered, as of a day.

It reads the lake's life table; --refresh makes it.
"""

import sys
from collections.abc import Sequence
from datetime import date

import click
import polars as pl

from klines_pipeline.commands.printing import DAY, JSON, print_table
from klines_pipeline.domain.phrases import some_of
from klines_pipeline.domain.universe import Contract, Excluded, SymbolFilter
from klines_pipeline.exchanges.registry import check_endpoints, connect, words_of
from klines_pipeline.query.symbols import Selected, symbols
from klines_pipeline.settings import Settings
from klines_pipeline.stages.symbols.life_table import refresh_symbols
from klines_pipeline.storage.lake import Lake

_STDIN = "-"
_NAMED = 10
_SHOWN = (
    "symbol", "base", "quote", "contract", "delivery", "first_day", "last_day", "holes", "listed", "status",
)  # fmt: skip


@click.command("symbols")
@click.argument("names", nargs=-1)
@click.option("--exchange", default="binance", show_default=True)
@click.option("--market", default="spot", show_default=True)
@click.option("--quote", "quotes", multiple=True, help="Quote asset; may be given several times.")
@click.option("--exclude", "excluded", multiple=True, help=f"{', '.join(Excluded)}; may be given several times.")
@click.option("--contract", help=f"Only such contracts: {' or '.join(Contract)}.")
@click.option("--match", help="A regular expression, searched anywhere in the symbol.")
@click.option("--on", type=DAY, help="As of that day: what was traded then, delisted since or not.")
@click.option("--listed/--delisted", default=None, help="What trades today, or what does not.")
@click.option("--refresh", is_flag=True, help="Look at the bucket and at REST first, and keep what they say.")
@JSON
def show_symbols(
    names: Sequence[str],
    exchange: str,
    market: str,
    quotes: Sequence[str],
    excluded: Sequence[str],
    contract: str | None,
    match: str | None,
    on: date | None,
    *,
    listed: bool | None,
    refresh: bool,
    as_json: bool,
) -> None:
    """Symbols of a market, delisted ones included, that satisfy all that is given.

    NAMES are looked at in their order; `-` reads them from standard input, so that commands can be piped. Prints a
    table in a terminal, bare names in a pipe, JSON lines with --json. Exit code 1 if a symbol could not be refreshed.
    """
    words_of(exchange, market)
    chosen = SymbolFilter(
        quote=tuple(quotes),
        exclude=frozenset(map(Excluded.parse, excluded)),
        contract=Contract.parse(contract) if contract else None,
        match=match,
    )
    asked = _read(names) if names else None
    settings = Settings.from_env()
    lake = Lake(settings.lake, settings.lake_options)
    whole = not refresh or _refresh(lake, exchange, market, settings)
    found = symbols(lake, exchange, market, chosen=chosen, names=asked, on=on, listed=listed)
    _report_undecided(found)
    _print(found.rows, as_json=as_json)
    sys.exit(0 if whole else 1)


def _read(words: Sequence[str]) -> list[str]:
    """Arguments, with the words of standard input where `-` stands."""
    names = list[str]()
    for word in words:
        names += sys.stdin.read().split() if word == _STDIN else [word]
    return names


def _refresh(lake: Lake, exchange: str, market: str, settings: Settings) -> bool:
    """Make the table anew; False, and why on stderr, where not all of it could be had."""
    check_endpoints(settings.endpoints)
    connected = connect(exchange, market, settings.endpoints, settings.state)
    try:
        refreshed = refresh_symbols(lake, connected, (exchange, market), _say)
    finally:
        connected.api.close()
    if refreshed.blocked:
        _say(refreshed.blocked)
    if refreshed.failed:
        reason = next(iter(refreshed.failed.values()))
        names = some_of(sorted(refreshed.failed), _NAMED)
        _say(f"Could not be had: {names} ({reason}). The rest is there; refresh again.")
    return not refreshed.failed


def _report_undecided(found: Selected) -> None:
    if found.undecided:
        _say(f"Left out, for nobody knows the quote asset: {some_of(found.undecided, _NAMED)}")


def _say(text: str) -> None:
    click.echo(text, err=True)


def _print(rows: pl.DataFrame, *, as_json: bool) -> None:
    if as_json or sys.stdout.isatty():
        print_table(rows if as_json else rows.select(_SHOWN), as_json=as_json)
        return
    for name in rows["symbol"]:
        click.echo(name)
