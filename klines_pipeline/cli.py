"""The `klines` command: thin words over `query` and the embedded exchange. Errors are one sentence, exit code 2."""

import sys
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path

import click

from klines_pipeline.commands.datasets import choose, configured, first_and_last
from klines_pipeline.commands.printing import DAY, JSON, print_table
from klines_pipeline.commands.revisions import show_revisions
from klines_pipeline.commands.symbols import show_symbols
from klines_pipeline.domain.errors import KlinesError
from klines_pipeline.query.certificates import certificates, certified, check_symbols, is_settled, status, uncertified
from klines_pipeline.settings import Settings
from klines_pipeline.storage.lake import Lake


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="klines_pipeline")
def klines() -> None:
    """A complete, verified, explainable lake of crypto klines."""


@klines.command("status")
@JSON
def show_status(*, as_json: bool) -> None:
    """What the lake holds, by dataset, and why anything is missing."""
    settings = Settings.from_env()
    print_table(status(Lake(settings.lake, settings.lake_options), configured(settings)), as_json=as_json)


@klines.command("certificate")
@click.argument("symbols", nargs=-1)
@click.option(
    "--dataset",
    "name",
    help="For example binance/spot/klines_1m or binance/um/funding; may be left out where klines have only one.",
)
@click.option("--day", type=DAY, help="One day.")
@click.option("--start", type=DAY, help="First day.")
@click.option("--end", type=DAY, help="Day after the last one.")
@JSON
def show_certificate(
    symbols: Sequence[str], name: str | None, day: date | None, start: date | None, end: date | None, *, as_json: bool
) -> None:
    """What is there, from where, and why anything is missing, per symbol and day.

    Exit code 1 if anything is missing without evidence that the exchange itself has it not, or a day was never looked
    at.
    """
    first, last = first_and_last(day, start, end)
    settings = Settings.from_env()
    datasets = configured(settings)
    dataset = choose(datasets, certified(datasets), name)
    lake = Lake(settings.lake, settings.lake_options)
    rows = certificates(lake, dataset, first=first, last=last, symbols=[*symbols])
    check_symbols(lake, dataset, symbols)
    print_table(rows, as_json=as_json)
    lacking = uncertified(lake, dataset, rows, first=first, last=last, symbols=symbols)
    for text in lacking:
        click.echo(f"{dataset}: {text}", err=True)
    sys.exit(0 if is_settled(rows) and not lacking else 1)


@klines.command("exchange")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(0, 65535), default=0, show_default=True, help="0 takes a free one.")
@click.option("--seed", default=7, show_default=True, help="Another seed, another market.")
@click.option("--now", type=click.DateTime(), help="The exchange's time at the start, UTC.")
@click.option(
    "--rate",
    type=click.FloatRange(min=0),
    default=1.0,
    show_default=True,
    help="Seconds of its clock per second; 0 stops it.",
)
@click.option("--root", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Real archives to serve.")
@click.option("--extra-symbols", type=click.IntRange(min=0), default=0, show_default=True, help="So many more symbols.")
def run_exchange(
    host: str, port: int, seed: int, now: datetime | None, rate: float, root: Path | None, extra_symbols: int
) -> None:
    """Serve the embedded exchange until interrupted: Vision and REST on loopback, no network needed."""
    try:
        from klines_pipeline.simulator.serve import serve
    except ImportError as error:
        raise KlinesError(f"{error}. Install the extra: pip install 'klines_pipeline[exchange]'.") from None
    serve(host=host, port=port, seed=seed, now=now, rate=rate, root=root, extra_symbols=extra_symbols)


klines.add_command(show_symbols)
klines.add_command(show_revisions)


def main() -> None:
    """Entry point: errors of ours are one sentence, not a traceback."""
    try:
        klines(prog_name="klines")
    except (KlinesError, OSError) as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
