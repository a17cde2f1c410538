"""`make demo`: a few days of several symbols through Dagster, offline, on the embedded exchange.

It runs what a user runs: klines.yaml, `dagster asset materialize`, `load`. Nothing is staged beyond the exchange.
"""

import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
from rich.console import Console
from rich.table import Table

from klines_pipeline.domain.states import Reason
from klines_pipeline.query.certificates import certificates
from klines_pipeline.query.chart import candlestick
from klines_pipeline.query.read import load
from klines_pipeline.settings import Settings, child_environment
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.storage.lake import Lake

FOLDER = Path("demo")
NOW = datetime(2025, 3, 4, 1, 0, tzinfo=UTC)
"""On the exchange's clock: 2025-03-03 is over and not published yet, 2025-03-04 is in progress."""
FIRST, LAST = "2025-03-01", "2025-03-03"
CONFIG = """\
lake: ./lake
datasets:
  - exchange: binance
    market: spot
    interval: 1m
    start: 2025-03-01
    symbols: [BTCUSDT, ETHUSDT, SOLUSDT, NOVAUSDT, 币安人生USDT]
"""


def main() -> None:
    """Run the demo; exit code 0 only if everything it promises is there."""
    console = Console(width=None if sys.stdout.isatty() else 130, highlight=False)
    began = time.monotonic()
    folder = _fresh_folder()
    with EmbeddedExchange(now=NOW, rate=0) as exchange:
        console.print(f"The embedded exchange is up at {exchange.url}; its clock says {NOW:%Y-%m-%d %H:%M} UTC.")
        _materialize(console, folder, exchange.environment())
        requests = exchange.requests()
    settings = Settings.from_env({"KLINES_CONFIG": str(folder / "klines.yaml")})
    rows = certificates(Lake(settings.lake), settings.datasets[0])
    _print_certificates(console, rows)
    _print_rows(console, settings.lake)
    picture = _draw(settings.lake, folder)
    console.print(
        f"\nThe exchange was asked for {requests['listing']} listings, {requests['archives']} archives, "
        f"{requests['checksums']} checksums and {requests['rest_total']} REST answers."
    )
    console.print(f"Candlesticks: {picture}. Lake: {settings.lake}. Took {time.monotonic() - began:.0f} s.")
    if unseen := [title for title, found in _sights(rows).items() if found.is_empty()]:
        sys.exit(f"The demo did not show: {', '.join(unseen)}.")


def _fresh_folder() -> Path:
    """demo/ with its own klines.yaml, lake and Dagster history; what an earlier demo left is removed."""
    folder = FOLDER.absolute()
    if folder.exists():
        shutil.rmtree(folder)
    (folder / ".dagster").mkdir(parents=True)
    (folder / "klines.yaml").write_text(CONFIG, "utf-8")
    (folder / ".dagster" / "dagster.yaml").write_text("telemetry: {enabled: false}\n", "utf-8")
    return folder


def _materialize(console: Console, folder: Path, endpoints: Mapping[str, str]) -> None:
    """Three days in one run, exactly as CI would."""
    words = ["asset", "materialize", "-m", "klines_pipeline.definitions", "--select", "+binance/spot/klines_1m"]
    words += ["--partition-range", f"{FIRST}...{LAST}"]
    console.print(f"$ dagster {' '.join(words)}")
    log = folder / "dagster.log"
    dagster = Path(sys.executable).with_name("dagster")
    with log.open("w") as output, console.status("materializing"):
        done = subprocess.run(  # noqa: S603 - our own interpreter's dagster, fixed words
            [str(dagster), *words],
            env=child_environment(
                {
                    **endpoints,
                    "KLINES_CONFIG": str(folder / "klines.yaml"),
                    "KLINES_LAKE": str(folder / "lake"),
                    "DAGSTER_HOME": str(folder / ".dagster"),
                }
            ),
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode:
        sys.exit(f"dagster ended with exit code {done.returncode}; see {log}.")
    console.print(f"Three days are materialized; Dagster's own log is {log}.")


def _print_certificates(console: Console, rows: pl.DataFrame) -> None:
    """One line a symbol-day, and in words what is worth seeing among them."""
    console.print("\n[bold]Certificates[/bold]")
    table = Table("day", "symbol", box=None, pad_edge=False)
    for name in ("expected", "present", "vision", "rest", "missing"):
        table.add_column(name, justify="right")
    table.add_column("why")
    table.add_column("gap (UTC)")
    for row in rows.iter_rows(named=True):
        counts = (row[name] for name in ("expected", "present", "from_vision", "from_rest", "missing"))
        table.add_row(
            str(row["date"]), row["symbol"], *(str(count) for count in counts), row["reason"] or "", _gaps(row)
        )
    console.print(table)
    for title, found in _sights(rows).items():
        for row in found.head(1).iter_rows(named=True):
            console.print(f"- {title}: {row['symbol']} on {row['date']} {_gaps(row)}".rstrip())


def _gaps(row: Mapping[str, Any]) -> str:
    if row["missing"] == row["expected"]:
        return "all day" if row["missing"] else ""
    return ", ".join(f"{gap['start']:%H:%M} to {gap['end']:%H:%M}" for gap in row["missing_ranges"])


def _print_rows(console: Console, lake: str) -> None:
    """Rows around the place where REST takes over from a short archive."""
    console.print('\n[bold]load("SOLUSDT", "1m", "2025-03-01T18:48", "2025-03-01T18:52")[/bold]')
    columns = ["symbol", "open_time", "open", "high", "low", "close", "volume", "source"]
    rows = load("SOLUSDT", "1m", "2025-03-01T18:48", "2025-03-01T18:52", columns=columns, lake=lake)
    with pl.Config(tbl_hide_dataframe_shape=True, tbl_hide_column_data_types=True, tbl_width_chars=130):
        console.print(str(rows))


def _draw(lake: str, folder: Path) -> Path:
    """Four hours of BTCUSDT around the halt."""
    path = folder / "BTCUSDT-2025-03-02.png"
    rows = load("BTCUSDT", "1m", "2025-03-02T09:00", "2025-03-02T13:00", lake=lake)
    candlestick(rows, path, title="BTCUSDT 1m, 2025-03-02, with the halt from 10:17 to 11:05 UTC (embedded exchange)")
    return path


def _sights(rows: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """What the demo exists to show, each looked up in the certificates."""
    vision, rest, reason = pl.col("from_vision"), pl.col("from_rest"), pl.col("reason")
    return {
        "a halt, absent from the archive and from REST alike": rows.filter(reason == Reason.EXCHANGE_HALT),
        "a gap of the archive, filled from REST": rows.filter((vision > 0) & (rest > 0), pl.col("missing") == 0),
        "a day not yet published, served from REST alone": rows.filter(vision == 0, rest == pl.col("expected")),
        "a symbol not listed yet": rows.filter(reason == Reason.NOT_LISTED),
    }


if __name__ == "__main__":
    main()
