"""`klines revisions`: archives the exchange has rewritten, and what changed in them."""

from collections.abc import Sequence
from datetime import date

import click
import polars as pl

from klines_pipeline.commands.datasets import choose, configured, first_and_last
from klines_pipeline.commands.printing import DAY, JSON, print_table
from klines_pipeline.domain.errors import ConfigurationError
from klines_pipeline.query.certificates import certified
from klines_pipeline.query.revisions import Asked, revised_values, revisions
from klines_pipeline.settings import Settings
from klines_pipeline.storage.lake import Lake


@click.command("revisions")
@click.argument("symbols", nargs=-1)
@click.option(
    "--dataset",
    "name",
    help="For example binance/spot/klines_1m or binance/um/funding; may be left out where there is only one.",
)
@click.option("--day", type=DAY, help="One day.")
@click.option("--start", type=DAY, help="First day.")
@click.option("--end", type=DAY, help="Day after the last one.")
@click.option("--rows", "as_rows", is_flag=True, help="What changed: a line for each value that is not what it was.")
@click.option("--all", "every", is_flag=True, help="First versions too.")
@JSON
def show_revisions(
    symbols: Sequence[str],
    name: str | None,
    day: date | None,
    start: date | None,
    end: date | None,
    *,
    as_rows: bool,
    every: bool,
    as_json: bool,
) -> None:
    """Archives that were rewritten after the lake had them: when each version was seen, and what it changed.

    One of funding is a month's, told by the month's first day.
    """
    first, last = first_and_last(day, start, end)
    if as_rows and every:
        raise ConfigurationError(
            "--rows shows what a version changed, and a first version changed nothing: leave --all."
        )
    settings = Settings.from_env()
    datasets = configured(settings)
    dataset = choose(datasets, certified(datasets), name)
    lake, asked = Lake(settings.lake, settings.lake_options), Asked(first, last, [*symbols])
    rows = revised_values(lake, dataset, asked) if as_rows else revisions(lake, dataset, asked, every=every)
    if rows.is_empty():
        click.echo(f"{dataset}: no archive seen was rewritten.", err=True)
        return
    print_table(rows if as_json else _readable(rows), as_json=as_json)


def _readable(rows: pl.DataFrame) -> pl.DataFrame:
    """Values with all their digits: a price may have eight decimals, a count has none."""
    values = [column for column in ("before", "after") if column in rows.columns]
    return rows.with_columns(pl.Series(column, [_digits(value) for value in rows[column]]) for column in values)


def _digits(value: float | None) -> str | None:
    return None if value is None else repr(value).removesuffix(".0")
