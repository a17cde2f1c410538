"""Loading funding rates into a frame: `load_funding`. Ranges are half-open, UTC; nothing is filled in."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta

import polars as pl

from klines_pipeline.domain.errors import ConfigurationError, UnknownNameError
from klines_pipeline.domain.symbol import check_symbol
from klines_pipeline.funding.schema import CERTIFICATE_SCHEMA, FUNDING_SCHEMA, KEY
from klines_pipeline.query.read import Moment, moment_of
from klines_pipeline.settings import Settings, lake_options
from klines_pipeline.storage.funding_layout import funding_file, funding_folder
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.layout import PART, day_of
from klines_pipeline.storage.tables import read_table

_THREADS = 8
_TABLE, PROOF = "funding", "ledger/funding_certificates"


def load_funding(
    symbols: str | Sequence[str],
    start: Moment,
    end: Moment,
    *,
    market: str = "um",
    exchange: str = "binance",
    lake: str | None = None,
) -> pl.DataFrame:
    """Funding rates with `start <= funding_time < end`, sorted by (symbol, funding_time).

    Args:
        symbols: one symbol or several, as the exchange spells them.
        start: `YYYY-MM-DD`, an ISO time, a date, or an aware datetime; a time without a zone is UTC.
        end: likewise; not included.
        market: as in klines.yaml.
        exchange: as in klines.yaml.
        lake: the lake's root; by default the one of klines.yaml or KLINES_LAKE.

    Raises:
        ConfigurationError: a name or date that cannot be; or nothing of it is in the lake.
        DamagedFileError: a file of the lake cannot be read.
    """
    wanted = [symbols] if isinstance(symbols, str) else list(symbols)
    if not wanted:
        raise ConfigurationError("symbols: name at least one, for example BTCUSDT.")
    for symbol in wanted:
        check_symbol(symbol)
    first, last = moment_of(start, "start"), moment_of(end, "end")
    if first >= last:
        raise ConfigurationError(f"start {first} is not before end {last}; the range is [start, end).")
    root = lake or Settings.from_env().lake
    source = Lake(root, lake_options(root))
    days = _days_in_lake(source, exchange, market, first.date(), (last - timedelta(microseconds=1)).date())
    inside = pl.col("funding_time").is_between(first, last, closed="left")
    rows = _read(source, _TABLE, exchange, market, days, FUNDING_SCHEMA).filter(pl.col("symbol").is_in(wanted))
    if lacking := sorted(set(wanted).difference(rows["symbol"])):
        _check_symbols(source, exchange, market, days, lacking)
    return rows.filter(inside).sort(KEY)


def funding_certificates(lake: Lake, exchange: str, market: str, days: Sequence[date]) -> pl.DataFrame:
    """Certificates of these days with their `date`, in no particular order."""
    return _read(lake, PROOF, exchange, market, days, CERTIFICATE_SCHEMA, dated=True)


def stored_funding_days(lake: Lake, table: str, exchange: str, market: str) -> list[date]:
    """Days that a funding table or ledger has, in order."""
    names = lake.folders(funding_folder(table, exchange, market), holding=PART)
    return sorted(day for name in names if (day := day_of(name)))


def _read(
    lake: Lake,
    table: str,
    exchange: str,
    market: str,
    days: Sequence[date],
    schema: pl.Schema,
    *,
    dated: bool = False,
) -> pl.DataFrame:
    """The days' files, whole: a day of funding has a few rows a symbol. If `dated`, the day is the first column."""

    def of_day(day: date) -> pl.DataFrame:
        frame = read_table(lake, funding_file(table, exchange, market, day), schema)
        return frame.select(pl.lit(day).alias("date"), *schema.names()) if dated else frame

    none = pl.Schema({"date": pl.Date(), **schema} if dated else schema).to_frame()
    with ThreadPoolExecutor(_THREADS, "funding") as pool:
        return pl.concat([none, *pool.map(of_day, days)])


def _days_in_lake(lake: Lake, exchange: str, market: str, first: date, last: date) -> list[date]:
    stored = stored_funding_days(lake, _TABLE, exchange, market)
    days = [day for day in stored if first <= day <= last]
    if days:
        return days
    if not stored:
        raise ConfigurationError(
            f"The lake {lake.root} has no funding rates of exchange {exchange!r}, market {market!r}. Check both names; "
            "a market that settles funding gets them by `funding: true` in klines.yaml."
        )
    name = f"{exchange}/{market}/funding"
    raise ConfigurationError(
        f"The lake {lake.root} has no day of {name} from {first} to {last}: it has {stored[0]} to {stored[-1]}. "
        f"Materialize {name} for these days first."
    )


def _check_symbols(lake: Lake, exchange: str, market: str, days: Sequence[date], wanted: Sequence[str]) -> None:
    """A symbol without any certificate in the range was never asked for."""
    known = set(funding_certificates(lake, exchange, market, days)["symbol"])
    for symbol in wanted:
        if symbol not in known:
            raise UnknownNameError("symbol", symbol, known, where=f"The lake {lake.root}, days {days[0]} to {days[-1]}")
