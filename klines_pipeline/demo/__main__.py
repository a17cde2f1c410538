"""The demo's course: an exchange, one `dagster asset materialize`, and what is then in the lake.

It runs what a user runs: klines.yaml, Dagster's own command, `load`. Nothing is staged beyond the exchange.
"""

import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
from rich.console import Console

from klines_pipeline.demo import tables
from klines_pipeline.demo.sights import funding_sights, sights
from klines_pipeline.query.certificates import certificates
from klines_pipeline.query.chart import candlestick
from klines_pipeline.query.funding import load_funding
from klines_pipeline.query.read import load
from klines_pipeline.settings import Settings, child_environment
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.storage.lake import Lake

FOLDER = Path("demo")
NOW = datetime(2025, 3, 4, 1, 0, tzinfo=UTC)
"""On the exchange's clock: 2025-03-03 is over and not published yet, 2025-03-04 is in progress."""
FIRST, LAST = "2025-02-28", "2025-03-03"
CONFIG = """\
lake: ./lake
datasets:
  - {market: spot, interval: 1m, start: 2025-02-28, symbols: [BTCUSDT, ETHUSDT, SOLUSDT, NOVAUSDT, 币安人生USDT]}
  - {market: um, interval: 1m, start: 2025-02-28, funding: true,
     symbols: {quote: [USDT], exclude: [stablecoins], contract: perpetual, match: "^(BTC|NOVA)"}}
  - {market: cm, interval: 1m, start: 2025-02-28, funding: true, symbols: [BTCUSD_PERP]}
  - {exchange: okx, market: spot, interval: 1m, start: 2025-02-28, symbols: [BTC-USDT]}
  - {exchange: okx, market: swap, interval: 1m, start: 2025-02-28, funding: true, symbols: [BTC-USDT-SWAP]}
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
    unseen = _show(console, settings)
    picture = _draw(settings.lake, folder)
    console.print(
        f"\nThe exchange was asked for {requests['listing']} listings, {requests['archives']} archives, "
        f"{requests['checksums']} checksums and {requests['rest_total']} REST answers."
    )
    console.print(f"Candlesticks: {picture}. Lake: {settings.lake}. Took {time.monotonic() - began:.0f} s.")
    if unseen:
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
    """All markets and days in one run, exactly as CI would."""
    words = ["asset", "materialize", "-m", "klines_pipeline.definitions", "--select", "*"]
    words += ["--partition-range", f"{FIRST}...{LAST}"]
    console.print(f"$ dagster {' '.join(words).replace('*', repr('*'))}")
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
    console.print(f"Four days of five markets are materialized; Dagster's own log is {log}.")


def _show(console: Console, settings: Settings) -> list[str]:
    """Certificates, one minute of every venue, funding; the titles of sights that are not there."""
    lake = Lake(settings.lake)
    proofs = pl.concat(
        certificates(lake, dataset).with_columns(pl.lit("/".join(dataset.prefix)).alias("venue"))
        for dataset in settings.datasets
    )
    funding = pl.concat(
        _funding(settings.lake, dataset.exchange, dataset.market, proofs)
        for dataset in settings.datasets
        if dataset.funding
    )
    found = {**sights(proofs), **funding_sights(funding)}
    tables.print_certificates(console, proofs)
    tables.print_sights(console, found)
    tables.print_minute(console, settings, "2025-03-01T12:00", "2025-03-01T12:01")
    tables.print_funding(console, funding)
    tables.print_rows(console, settings.lake)
    return [title for title, rows in found.items() if rows.is_empty()]


def _funding(lake: str, exchange: str, market: str, proofs: pl.DataFrame) -> pl.DataFrame:
    """Funding of every symbol that has klines there."""
    venue = f"{exchange}/{market}"
    symbols = proofs.filter(pl.col("venue") == venue)["symbol"].unique().to_list()
    rates = load_funding(symbols, FIRST, "2025-03-04", exchange=exchange, market=market, lake=lake)
    return rates.with_columns(pl.lit(venue).alias("venue"))


def _draw(lake: str, folder: Path) -> Path:
    """Four hours of BTCUSDT around the halt."""
    path = folder / "BTCUSDT-2025-03-02.png"
    rows = load("BTCUSDT", "1m", "2025-03-02T09:00", "2025-03-02T13:00", lake=lake)
    candlestick(rows, path, title="BTCUSDT 1m, 2025-03-02, with the halt from 10:17 to 11:05 UTC (embedded exchange)")
    return path


if __name__ == "__main__":
    main()
