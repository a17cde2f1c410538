"""The demo's tables on a terminal. What they show is looked up elsewhere."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import polars as pl
from rich.console import Console
from rich.table import Table

from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.query.read import load
from klines_pipeline.settings import Settings

_MINUTE = ["symbol", "close", "volume", "quote_volume", "contracts", "trades", "source"]


def print_certificates(console: Console, proofs: pl.DataFrame) -> None:
    """One line a symbol-day."""
    console.print("\n[bold]Certificates[/bold]")
    table = Table("venue", "day", "symbol", box=None, pad_edge=False)
    for name in ("expected", "present", "vision", "rest", "flat", "missing"):
        table.add_column(name, justify="right")
    table.add_column("why")
    table.add_column("gap (UTC)")
    for row in proofs.iter_rows(named=True):
        counts = (row[name] for name in ("expected", "present", "from_vision", "from_rest", "flat", "missing"))
        words = (row["venue"], str(row["date"]), row["symbol"], *map(str, counts), row["reason"] or "", _gaps(row))
        table.add_row(*words)
    console.print(table)


def print_sights(console: Console, found: Mapping[str, pl.DataFrame]) -> None:
    """In words, what is worth seeing: the first row of each."""
    for title, rows in found.items():
        for row in rows.head(1).iter_rows(named=True):
            console.print(f"- {title}: {row['symbol']} {_when(row)}".rstrip())


def _when(row: Mapping[str, Any]) -> str:
    if "funding_rate" in row:
        return f"at {row['calc_time']:%Y-%m-%d %H:%M:%S.%f}"[:-3] + f" {row['funding_rate']:+.8f}"
    return f"on {row['date']} {_gaps(row)}".rstrip()


def _gaps(row: Mapping[str, Any]) -> str:
    if row["missing"] == row["expected"]:
        return "all day" if row["missing"] else ""
    return ", ".join(f"{gap['start']:%H:%M} to {gap['end']:%H:%M}" for gap in row["missing_ranges"])


def print_minute(console: Console, settings: Settings, start: str, end: str) -> None:
    """The same minute of bitcoin on every market, in the same columns."""
    console.print(f"\n[bold]One minute of bitcoin on five markets, in one table: {start} UTC[/bold]")
    rows = [_of_venue(settings.lake, dataset, start, end) for dataset in settings.datasets]
    _print(console, pl.concat(rows, how="diagonal").select("venue", *_MINUTE))


def _of_venue(lake: str, dataset: Dataset, start: str, end: str) -> pl.DataFrame:
    symbol = next((name for name in dataset.symbols if name.startswith("BTC")), "BTCUSDT")
    row = load(symbol, str(dataset.interval), start, end, exchange=dataset.exchange, market=dataset.market, lake=lake)
    return row.with_columns(pl.lit("/".join(dataset.prefix)).alias("venue"))


def print_funding(console: Console, funding: pl.DataFrame) -> None:
    """The last settlements of each market."""
    console.print("\n[bold]Funding[/bold]")
    since = funding["funding_time"].max() - timedelta(hours=10)  # type: ignore[operator]
    columns = ["venue", "symbol", "calc_time", "interval_hours", "funding_rate", "mark_price", "source"]
    first = funding.filter(pl.col("source") == "vision").head(1)
    _print(console, pl.concat([first, funding.filter(pl.col("funding_time") >= since)]).select(columns))


def print_rows(console: Console, lake: str) -> None:
    """Rows around the place where REST takes over from a short archive."""
    console.print('\n[bold]load("SOLUSDT", "1m", "2025-03-01T18:48", "2025-03-01T18:52")[/bold]')
    columns = ["symbol", "open_time", "open", "high", "low", "close", "volume", "source"]
    _print(console, load("SOLUSDT", "1m", "2025-03-01T18:48", "2025-03-01T18:52", columns=columns, lake=lake))


def _print(console: Console, rows: pl.DataFrame) -> None:
    with pl.Config(
        tbl_hide_dataframe_shape=True, tbl_hide_column_data_types=True, tbl_width_chars=130, tbl_cols=20, tbl_rows=20
    ):
        console.print(str(rows))
