"""Whether certificates vouch for every day a reader wants: what `require_complete` asks of `load`."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import polars as pl

from klines_pipeline.domain.errors import IncompleteError
from klines_pipeline.domain.interval import Interval
from klines_pipeline.domain.phrases import some_of
from klines_pipeline.domain.utc_day import day_end, day_start, days_between
from klines_pipeline.klines.certificate import is_explained
from klines_pipeline.klines.ledgers import CERTIFICATE_SCHEMA
from klines_pipeline.query.tables import collect_days, scan_days
from klines_pipeline.storage.lake import Lake

_NAMED = 5


def check_complete(
    lake: Lake,
    where: tuple[str, str, str],
    days: Sequence[date],
    wanted: Sequence[str],
    first: datetime,
    last: datetime,
) -> None:
    """IncompleteError, naming days and reasons, unless all of `[first, last)` is there or explained."""
    certificates = scan_days(lake, "ledger/certificates", *where, days=days, schema=CERTIFICATE_SCHEMA)
    asked = certificates.filter(pl.col("symbol").is_in(wanted))
    rows = collect_days(asked, lake, "ledger/certificates", where, days=days, schema=CERTIFICATE_SCHEMA)
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


def _problem(row: Mapping[str, Any] | None, end: datetime, step: timedelta) -> str | None:
    """Why a certificate does not vouch for its day up to `end`."""
    if row is None:
        return "not in the lake"
    if not is_explained(row["reason"]):
        return f"{row['missing']} missing ({row['reason']})"
    certified = day_start(row["date"]) + row["expected"] * step
    return f"certified up to {certified:%H:%M} only" if certified + step <= end else None
