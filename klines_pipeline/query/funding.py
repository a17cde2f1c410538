"""Loading funding rates into a frame: `load_funding`. Ranges are half-open, UTC; nothing is filled in."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta

import polars as pl

from klines_pipeline.domain.errors import ConfigurationError, UnknownNameError
from klines_pipeline.domain.symbol import check_symbol
from klines_pipeline.funding.schema import FUNDING_SCHEMA, KEY
from klines_pipeline.query.funding_tables import TABLE, funding_certificates, read_funding, stored_funding_days
from klines_pipeline.query.moments import Moment, moment_of
from klines_pipeline.settings import Settings, lake_options
from klines_pipeline.storage.lake import Lake


def load_funding(
    symbols: str | Sequence[str],
    start: Moment,
    end: Moment,
    *,
    market: str = "um",
    exchange: str = "binance",
    as_of: Moment | None = None,
    lake: str | None = None,
) -> pl.DataFrame:
    """Funding rates with `start <= funding_time < end`, sorted by (symbol, funding_time).

    Args:
        symbols: one symbol or several, as the exchange spells them.
        start: `YYYY-MM-DD`, an ISO time, a date, or an aware datetime; a time without a zone is UTC.
        end: likewise; not included.
        market: as in klines.yaml.
        exchange: as in klines.yaml.
        as_of: the table as it was at that moment; as in `load`.
        lake: the lake's root; by default the one of klines.yaml or KLINES_LAKE.

    Raises:
        ConfigurationError: a name or date that cannot be; or nothing of it is in the lake.
        DamagedFileError: a file of the lake cannot be read, or one that `as_of` needs is no longer there.
    """
    wanted = [symbols] if isinstance(symbols, str) else list(symbols)
    if not wanted:
        raise ConfigurationError("symbols: name at least one, for example BTCUSDT.")
    for symbol in wanted:
        check_symbol(symbol)
    first, last = moment_of(start, "start"), moment_of(end, "end")
    if first >= last:
        raise ConfigurationError(f"start {first} is not before end {last}; the range is [start, end).")
    instant = None if as_of is None else moment_of(as_of, "as_of")
    root = lake or Settings.from_env().lake
    source = Lake(root, lake_options(root))
    days = _days_in_lake(source, exchange, market, first.date(), (last - timedelta(microseconds=1)).date())
    inside = pl.col("funding_time").is_between(first, last, closed="left")
    if instant is None:
        table = read_funding(source, TABLE, exchange, market, days, FUNDING_SCHEMA)
        rows = table.filter(pl.col("symbol").is_in(wanted))
    else:
        rows = _known_at(instant, source, (exchange, market), wanted, days)
    if lacking := sorted(set(wanted).difference(rows["symbol"])):
        _check_symbols(source, exchange, market, days, lacking)
    return rows.filter(inside).sort(KEY)


def _known_at(
    instant: datetime, lake: Lake, venue: tuple[str, str], symbols: Sequence[str], days: Sequence[date]
) -> pl.DataFrame:
    """Rows of then. Imported late, as of klines: opening old archives takes two HTTP clients with it."""
    from klines_pipeline.query.funding_as_of import FundingAsOf

    return FundingAsOf(lake, venue, symbols, instant).rows(days)


def _days_in_lake(lake: Lake, exchange: str, market: str, first: date, last: date) -> list[date]:
    stored = stored_funding_days(lake, TABLE, exchange, market)
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
