"""Compare the lake with a second source: archives with REST, what was resampled with what the exchange publishes.

A sample, always the same for the same days. REST that cannot be had is said, never raised.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from itertools import islice
from math import ceil
from typing import NamedTuple

import polars as pl

from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.errors import BlockedError, DamagedFileError, RejectedRequestError, TransientError
from klines_pipeline.domain.interval import Interval
from klines_pipeline.domain.states import ArchiveState
from klines_pipeline.domain.utc_day import parse_day
from klines_pipeline.exchanges.protocols import Market
from klines_pipeline.klines.agreement import SUMMED, Comparison, compare, drawn_window, in_drawn_order, owed
from klines_pipeline.klines.certificate import is_explained
from klines_pipeline.klines.grid import TimeRange
from klines_pipeline.klines.ledgers import ARCHIVE_SCHEMA, CERTIFICATE_SCHEMA
from klines_pipeline.klines.schema import KLINE_SCHEMA, VISION
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.layout import DayPaths
from klines_pipeline.storage.tables import read_columns, read_klines, read_table

_KEYS = pl.Schema({name: KLINE_SCHEMA[name] for name in ("symbol", "open_time")})
SAMPLES = 3
"""Requests a run spends at most on comparing archives with REST."""


def compare_archives(lake: Lake, market: Market, dataset: Dataset, days: Sequence[date]) -> Comparison:
    """A few symbol-days of verified archives, one request each."""
    found = Comparison()
    for day, symbol in islice(_archived(lake, dataset, days, found), SAMPLES):
        window = drawn_window(day, dataset.interval, market.api.limit, f"{dataset} {symbol}")
        try:
            rows = read_columns(lake, DayPaths.of(dataset, day).klines, market.schema, symbol=symbol)
        except DamagedFileError as error:
            found.give_up(day, str(error))
            continue
        archived = rows.filter(pl.col("source") == VISION, _within(window))
        if archived.height and not _ask(market, _Sample(day, dataset.interval, window, archived), found):
            break
    if not found.rows and not found.not_compared:
        found.not_compared.append("These days have no verified archive.")
    return found


def _archived(lake: Lake, dataset: Dataset, days: Sequence[date], found: Comparison) -> Iterator[tuple[date, str]]:
    """Symbol-days with a verified archive, in drawn order, spread over the days."""
    a_day = ceil(SAMPLES / max(len(days), 1))
    for day in map(parse_day, in_drawn_order(map(str, days), str(dataset))):
        try:
            ledger = read_table(lake, DayPaths.of(dataset, day).archives, ARCHIVE_SCHEMA)
        except DamagedFileError as error:
            found.give_up(day, str(error))
            continue
        verified = ledger.filter(pl.col("state") == ArchiveState.OK, pl.col("rows") > 0)["symbol"]
        yield from ((day, symbol) for symbol in in_drawn_order(verified, f"{dataset} {day}")[:a_day])


class _Sample(NamedTuple):
    """Rows of one symbol that REST is asked for; `rounding` as in `compare`."""

    day: date
    interval: Interval
    window: TimeRange
    rows: pl.DataFrame
    rounding: float = 0.0


def _ask(market: Market, sample: _Sample, found: Comparison) -> bool:
    """Compare a sample with REST's answer; False where there is no use in asking on."""
    symbol = str(sample.rows["symbol"][0])
    found.requests += 1
    try:
        answer = market.api.klines(symbol, sample.interval, *sample.window)
    except (BlockedError, TransientError, RejectedRequestError) as error:
        found.not_compared.append(f"{sample.day} {symbol}: {error}")
        return isinstance(error, RejectedRequestError)
    theirs = answer.frame.filter(_within(sample.window))
    if theirs.is_empty():
        found.unanswered += 1
        found.not_compared.append(f"{sample.day} {symbol}: REST has no kline of it, or none any more.")
    else:
        found.add(sample.day, symbol, compare(sample.rows, theirs, sample.interval, rounding=sample.rounding))
    return True


def compare_resampled(
    lake: Lake, dataset: Dataset, interval: Interval, days: Sequence[date], market: Market | None
) -> Comparison:
    """Every day of which the lake has the exchange's own klines of `interval`; if none, one symbol's day from REST. On
    each day that is over, what the table has every finer kline of must be there.

    Without a market REST is not asked.
    """
    found, legible = Comparison(), list[date]()
    for day in days:
        try:
            _compare_published(lake, dataset, interval, day, found)
            _compare_owed(lake, dataset, interval, day, found)
        except DamagedFileError as error:
            found.give_up(day, str(error))
        else:
            legible.append(day)
    if market is not None and not found.rows:
        sample = _closed_sample(lake, dataset, interval, legible, market)
        if sample is not None:
            _ask(market, sample, found)
    if not found.rows and not found.not_compared:
        found.not_compared.append(f"The lake has no {interval} klines of the exchange for these days.")
    return found


def _compare_owed(lake: Lake, dataset: Dataset, interval: Interval, day: date, found: Comparison) -> None:
    """Klines that were not resampled although the table has all they are made of, on a day that is over."""
    paths = DayPaths.of(dataset, day)
    certificates = read_table(lake, paths.certificates, CERTIFICATE_SCHEMA)
    over = certificates.filter(pl.col("expected") == dataset.interval.bars_per_day).select("symbol")
    slots = owed(
        read_columns(lake, paths.klines, _KEYS).join(over, on="symbol", how="semi"), dataset.interval, interval
    )
    lacking = slots.join(read_columns(lake, paths.resampled(interval), _KEYS), on=_KEYS.names(), how="anti")
    absent = lacking.group_by("symbol", maintain_order=True).agg(pl.len(), pl.col("open_time").min())
    for symbol, count, first in absent.iter_rows():
        found.lack(day, symbol, count, first)


def _compare_published(lake: Lake, dataset: Dataset, interval: Interval, day: date, found: Comparison) -> None:
    """Rows that the exchange's own table has too, and those that it lacks for the exchange's own reasons."""
    published = DayPaths.of(replace(dataset, interval=interval), day)
    theirs = read_klines(lake, published.klines)
    ours = read_klines(lake, DayPaths.of(dataset, day).resampled(interval))
    if theirs.is_empty() or ours.is_empty():
        return
    certificates = read_table(lake, published.certificates, CERTIFICATE_SCHEMA)
    over = certificates.filter(pl.col("expected") == interval.bars_per_day).select("symbol", "reason").rows()
    settled = [symbol for symbol, reason in over if is_explained(reason)]
    shared = ours.join(theirs, on=["symbol", "open_time"], how="semi")
    lone = ours.join(theirs, on=["symbol", "open_time"], how="anti").filter(pl.col("symbol").is_in(settled))
    rows = pl.concat([shared, lone])
    if rows.height:
        symbols = f"{rows['symbol'].n_unique()} symbol(s)"
        found.add(day, symbols, compare(rows, theirs, interval, rounding=SUMMED))


def _closed_sample(
    lake: Lake, dataset: Dataset, interval: Interval, days: Sequence[date], market: Market
) -> _Sample | None:
    """One symbol's resampled day, of a day that is over, as much of it as one answer holds."""
    for day in map(parse_day, in_drawn_order(map(str, days), f"{dataset} {interval}")):
        paths = DayPaths.of(dataset, day)
        certificates = read_table(lake, paths.certificates, CERTIFICATE_SCHEMA)
        over = certificates.filter(pl.col("expected") == dataset.interval.bars_per_day, pl.col("present") > 0)
        window = drawn_window(day, interval, market.api.limit, str(dataset))
        for symbol in in_drawn_order(over["symbol"], f"{dataset} {interval} {day}")[:1]:
            rows = read_columns(lake, paths.resampled(interval), market.schema, symbol=symbol).filter(_within(window))
            if rows.height:
                return _Sample(day, interval, window, rows, rounding=SUMMED)
    return None


def _within(window: TimeRange) -> pl.Expr:
    return pl.col("open_time").is_between(window.start, window.end, closed="left")
