"""Whether certificates vouch for every day a reader wants, and for the very rows: what `require_complete` asks."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import polars as pl

from klines_pipeline.domain.errors import IncompleteError, NotCertifiedError
from klines_pipeline.domain.interval import Interval
from klines_pipeline.domain.phrases import some_of
from klines_pipeline.domain.utc_day import day_end, day_start, days_between
from klines_pipeline.klines.certificate import is_explained
from klines_pipeline.klines.fingerprint import daily_fingerprints
from klines_pipeline.klines.ledgers import CERTIFICATE_SCHEMA
from klines_pipeline.query.tables import collect_days, klines_schema, scan_days
from klines_pipeline.storage.lake import Lake

_TABLE, _PROOF = "klines", "ledger/certificates"
_PROVENANCE = ("source", "revision", "ingested_at")
_NAMED = 5
_ROWS_AT_ONCE = 2_000_000


def check_complete(
    lake: Lake,
    where: tuple[str, str, str],
    days: Sequence[date],
    wanted: Sequence[str],
    first: datetime,
    last: datetime,
) -> None:
    """IncompleteError, naming days and reasons, unless all of `[first, last)` is there or explained."""
    rows = _of(lake, _PROOF, where, days, wanted, CERTIFICATE_SCHEMA)
    known = {(row["date"], row["symbol"]): row for row in rows.iter_rows(named=True)}
    step = Interval.parse(where[2]).duration
    problems = list[str]()
    for day in days_between(first.date(), (last - timedelta(microseconds=1)).date()):
        if day not in days:
            problems.append(f"{day}: not in the lake")
            continue
        found = {symbol: _problem(known.get((day, symbol)), min(last, day_end(day)), step) for symbol in wanted}
        problems += [f"{day} {symbol}: {text}" for symbol, text in found.items() if text]
    if problems:
        raise IncompleteError(f"Not complete: {some_of(problems, _NAMED, '; ')}. Materialize these days again.")


def check_certified(lake: Lake, where: tuple[str, str, str], days: Sequence[date], wanted: Sequence[str]) -> None:
    """NotCertifiedError, naming symbols and days, unless the symbols' rows of these days, whole, are those certified.
    Every market column is read for it, a few days at a time.
    """
    schema = klines_schema(lake, _TABLE, *where, days)
    at_once = max(_ROWS_AT_ONCE // (Interval.parse(where[2]).bars_per_day * len(wanted)), 1)
    bad = list[str]()
    for place in range(0, len(days), at_once):
        some = days[place : place + at_once]
        issued = _of(lake, _PROOF, where, some, wanted, CERTIFICATE_SCHEMA).select("date", "symbol", "fingerprint")
        found = daily_fingerprints(_of(lake, _TABLE, where, some, wanted, schema))
        bad += [f"{day} {symbol}" for day, symbol, digest in issued.iter_rows() if found.get((day, symbol)) != digest]
    if bad:
        more = f" and {len(bad) - _NAMED} more" if len(bad) > _NAMED else ""
        raise NotCertifiedError(
            f"Not the rows that were certified: {', '.join(bad[:_NAMED])}{more}. Materialize these days again."
        )


def _of(
    lake: Lake,
    table: str,
    where: tuple[str, str, str],
    days: Sequence[date],
    wanted: Sequence[str],
    schema: pl.Schema,
) -> pl.DataFrame:
    rows = scan_days(lake, table, *where, days=days, schema=schema).filter(pl.col("symbol").is_in(list(wanted)))
    names = [name for name in schema.names() if name not in _PROVENANCE]
    return collect_days(rows.select(*names, "date"), lake, table, where, days=days, schema=schema)


def _problem(row: Mapping[str, Any] | None, end: datetime, step: timedelta) -> str | None:
    """Why a certificate does not vouch for its day up to `end`."""
    if row is None:
        return "not in the lake"
    if not is_explained(row["reason"]):
        return f"{row['missing']} missing ({row['reason']})"
    certified = day_start(row["date"]) + row["expected"] * step
    return f"certified up to {certified:%H:%M} only" if certified + step <= end else None
