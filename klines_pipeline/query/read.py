"""Loading klines into a frame: `load` and `scan`. Ranges are half-open, UTC; nothing is filled in.

from klines_pipeline import load
frame = load("BTCUSDT", "1m", "2024-01-01", "2024-02-01")
"""

import time
from collections.abc import Sequence
from datetime import date, datetime, timedelta

import polars as pl

from klines_pipeline.domain.errors import ConfigurationError, NotCertifiedError, UnknownNameError
from klines_pipeline.domain.interval import Interval, parse_interval
from klines_pipeline.domain.symbol import check_symbol
from klines_pipeline.klines.ledgers import CERTIFICATE_SCHEMA
from klines_pipeline.klines.schema import KLINE_SCHEMA
from klines_pipeline.query.completeness import check_certified, check_complete
from klines_pipeline.query.moments import Moment, moment_of
from klines_pipeline.query.tables import collect_days, klines_schema, scan_days
from klines_pipeline.settings import Settings, lake_options
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.layout import day_file
from klines_pipeline.storage.tables import read_table, stored_days

_TABLE, _RESAMPLED = "klines", "resampled_klines"
_REPLACED_WHILE_READ = 3
_PUBLISHING = 0.1
"""Seconds within which a day's certificates follow its table."""


def scan(
    symbols: str | Sequence[str],
    interval: str,
    start: Moment,
    end: Moment,
    *,
    market: str = "spot",
    exchange: str = "binance",
    columns: Sequence[str] | None = None,
    resampled: bool = False,
    require_complete: bool = False,
    as_of: Moment | None = None,
    lake: str | None = None,
) -> pl.LazyFrame:
    """A lazy frame of klines with `start <= open_time < end`, sorted by (symbol, open_time).

    Args:
        symbols: one symbol or several, as the exchange spells them.
        interval: `1s` to `1d`; with `resampled` also `3d`, `1w` and `1M`, found by the day they open on.
        start: `YYYY-MM-DD`, an ISO time, a date, or an aware datetime; a time without a zone is UTC.
        end: likewise; not included.
        market: as in klines.yaml.
        exchange: as in klines.yaml.
        columns: some of the table's columns; all by default.
        resampled: read the klines computed from a finer table instead of the exchange's own.
        require_complete: raise IncompleteError unless every day's certificate says complete or explained. `load` also
            compares the rows with the certificates.
        as_of: the table as it was at that moment: archives rewritten since have their rows of then, and what was not
            there yet is not there. A day, `2024-03-01`, is its first instant. It is looked up when collected, so the
            same frame gives the same rows ever after.
        lake: the lake's root; by default the one of klines.yaml or KLINES_LAKE.

    Raises:
        ConfigurationError: a name, date or column that cannot be; or nothing of it is in the lake.
        IncompleteError: see `require_complete`.
        DamagedFileError: `as_of` needs a version of an archive, or a ledger, that is no longer in the lake; of `scan`
            when it is collected.
    """
    wanted = [symbols] if isinstance(symbols, str) else list(symbols)
    if not wanted:
        raise ConfigurationError("symbols: name at least one, for example BTCUSDT.")
    for symbol in wanted:
        check_symbol(symbol)
    first, last = moment_of(start, "start"), moment_of(end, "end")
    if first >= last:
        raise ConfigurationError(f"start {first} is not before end {last}; the range is [start, end).")
    instant = _instant(as_of, resampled=resampled, require_complete=require_complete)
    root = lake or Settings.from_env().lake
    source = Lake(root, lake_options(root))
    where = (exchange, market, str(parse_interval(interval) if resampled else Interval.parse(interval)))
    table = _RESAMPLED if resampled else _TABLE
    days = _days_in_lake(source, table, where, first, last)
    schema = klines_schema(source, table, *where, days)
    _check_columns(columns, schema)
    _check_symbols(source, table, where, days, wanted)
    if require_complete and resampled:
        raise ConfigurationError(
            "Resampled klines have no certificates. Ask require_complete of the table they are from."
        )
    if require_complete:
        check_complete(source, where, days, wanted, first, last)
    if instant is None:
        rows = scan_days(source, table, *where, days=days, schema=schema)
    else:
        rows = _known_at(instant, source, where, wanted, days, schema)
    chosen = rows.filter(pl.col("symbol").is_in(wanted), pl.col("open_time") >= first, pl.col("open_time") < last)
    ordered = chosen.sort("symbol", "open_time", maintain_order=True)
    return ordered.select(list(columns) if columns else schema.names())


def _known_at(
    instant: datetime,
    lake: Lake,
    where: tuple[str, str, str],
    symbols: Sequence[str],
    days: Sequence[date],
    schema: pl.Schema,
) -> pl.LazyFrame:
    """Rows of then. Imported late: opening old archives takes the exchange's reader, and with it two HTTP clients."""
    from klines_pipeline.query.as_of import AsOf

    return AsOf(lake, where, symbols, instant, schema).scan(days)


def load(
    symbols: str | Sequence[str],
    interval: str,
    start: Moment,
    end: Moment,
    *,
    market: str = "spot",
    exchange: str = "binance",
    columns: Sequence[str] | None = None,
    resampled: bool = False,
    require_complete: bool = False,
    as_of: Moment | None = None,
    lake: str | None = None,
) -> pl.DataFrame:
    """As `scan`, collected. A day that is replaced while it is read is read again.

    With `require_complete`, the rows of each day wanted are compared with the fingerprints of their certificates first;
    NotCertifiedError where they were damaged since. That doubles or triples the time: 0.6 s of CPU a million klines.
    """

    def collect() -> pl.DataFrame:
        frame = scan(
            symbols,
            interval,
            start,
            end,
            market=market,
            exchange=exchange,
            columns=columns,
            resampled=resampled,
            require_complete=require_complete,
            as_of=as_of,
            lake=lake,
        )
        if require_complete:
            _check_certified(symbols, interval, (start, end), (exchange, market), lake)
        return frame.collect()

    for _ in range(_REPLACED_WHILE_READ):
        try:
            return collect()
        except (
            pl.exceptions.ComputeError,
            pl.exceptions.PanicException,
        ):  # Polars opens a file twice, and met two versions of it
            continue
        except NotCertifiedError:
            time.sleep(_PUBLISHING)
    root, where = lake or Settings.from_env().lake, (exchange, market, interval)
    source, table = Lake(root, lake_options(root)), _RESAMPLED if resampled else _TABLE
    for day in _days_in_lake(source, table, where, moment_of(start, "start"), moment_of(end, "end")):
        read_table(source, day_file(table, *where, day), KLINE_SCHEMA)  # DamagedFileError names the file
    return collect()


def _check_certified(
    symbols: str | Sequence[str],
    interval: str,
    between: tuple[Moment, Moment],
    venue: tuple[str, str],
    lake: str | None,
) -> None:
    root, where = lake or Settings.from_env().lake, (*venue, str(Interval.parse(interval)))
    source = Lake(root, lake_options(root))
    days = _days_in_lake(source, _TABLE, where, moment_of(between[0], "start"), moment_of(between[1], "end"))
    check_certified(source, where, days, [symbols] if isinstance(symbols, str) else list(symbols))


def _instant(as_of: Moment | None, *, resampled: bool, require_complete: bool) -> datetime | None:
    """The moment `as_of` names, if any; what it cannot be combined with is refused."""
    if as_of is None:
        return None
    if resampled:
        raise ConfigurationError(
            "as_of: versions of resampled klines are not kept. Load the table they are from as_of that moment, and "
            "group its rows."
        )
    if require_complete:
        raise ConfigurationError(
            "as_of: certificates speak of the table as it is today. Leave require_complete out, or as_of."
        )
    return moment_of(as_of, "as_of")


def _check_columns(columns: Sequence[str] | None, schema: pl.Schema) -> None:
    for column in columns or ():
        if column not in schema:
            raise UnknownNameError("column", column, schema.names())


def _days_in_lake(lake: Lake, table: str, where: tuple[str, str, str], first: datetime, last: datetime) -> list[date]:
    stored = stored_days(lake, table, *where)
    final = (last - timedelta(microseconds=1)).date()
    days = [day for day in stored if first.date() <= day <= final]
    if days:
        return days
    held = f"it has {stored[0]} to {stored[-1]}" if stored else "it has no such table"
    name = "/".join((*where[:2], f"{table}_{where[2]}"))
    text = f"The lake {lake.root} has no day of {name} from {first.date()} to {final}: {held}. "
    if table == _TABLE and stored_days(lake, _RESAMPLED, *where):
        raise ConfigurationError(
            f"{text}Klines of this interval computed from finer ones are read with resampled=True."
        )
    raise ConfigurationError(f"{text}Materialize {name} for these days first.")


def _check_symbols(
    lake: Lake, table: str, where: tuple[str, str, str], days: Sequence[date], wanted: Sequence[str]
) -> None:
    """A symbol without any certificate in the range was never asked for; resampled rows speak for themselves."""
    proof, schema = (table, KLINE_SCHEMA) if table == _RESAMPLED else ("ledger/certificates", CERTIFICATE_SCHEMA)
    names = scan_days(lake, proof, *where, days=days, schema=schema).select("symbol").unique()
    known = set(collect_days(names, lake, proof, where, days=days, schema=schema)["symbol"])
    for symbol in wanted:
        if symbol not in known:
            raise UnknownNameError("symbol", symbol, known, where=f"The lake {lake.root}, days {days[0]} to {days[-1]}")
