"""What the lake must say of each symbol-day, computed from the simulator's market alone; and what it says instead."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl

from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.states import Reason
from klines_pipeline.domain.utc_day import day_end, day_start, from_microseconds, to_microseconds
from klines_pipeline.query.certificates import certificates
from klines_pipeline.query.read import load
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.storage.lake import Lake

SymbolDay = tuple[str, date]
_MINUTE = 60_000_000
_DAY_MINUTES = 1440


def traded(exchange: EmbeddedExchange, symbols: Iterable[str], day: date) -> list[str]:
    """Those that traded on a UTC day."""
    return [symbol for symbol in symbols if exchange.market.listings[symbol].trades_on(day)]


def wrong_certificates(
    exchange: EmbeddedExchange,
    lake: str,
    dataset: Dataset,
    days: Sequence[date],
    rewritten: Collection[tuple[str, date]],
) -> Iterator[str]:
    """Symbol-days whose certificate is not the truth, or is not there; archives `rewritten` lack nothing.

    `dataset` names its symbols. On a day on which one did not trade it may have none, or one that says so.
    """
    found = certificates(Lake(lake), dataset, first=days[0], last=days[-1])
    by_key = {(row["symbol"], row["date"]): row for row in found.iter_rows(named=True)}
    for day in days:
        trading = traded(exchange, dataset.symbols, day)
        for symbol in dataset.symbols:
            row = by_key.pop((symbol, day), None)
            expected = true_certificate(exchange, symbol, day, rewritten=(symbol, day) in rewritten)
            if row is None and symbol in trading:
                yield f"{symbol} {day}: no certificate"
            elif row and (
                wrong := {name: (row[name], value) for name, value in expected.items() if row[name] != value}
            ):
                yield f"{symbol} {day}: (is, ought to be) {wrong}"
    yield from (f"{symbol} {day}: a certificate of nobody asked for" for symbol, day in by_key)


def true_certificate(exchange: EmbeddedExchange, symbol: str, day: date, *, rewritten: bool) -> dict[str, Any]:
    """The columns that the market decides."""
    open_times = exchange.market.klines(symbol, "1m", day).open_time
    gaps = _gaps(open_times, day)
    from_vision = len(open_times if rewritten else _archived(exchange, symbol, day, open_times))
    return {
        "expected": _DAY_MINUTES,
        "present": len(open_times),
        "missing": _DAY_MINUTES - len(open_times),
        "missing_ranges": [{"start": start, "end": end} for start, end in gaps],
        "reason": _reason(exchange, symbol, gaps),
        "from_vision": from_vision,
        "from_rest": len(open_times) - from_vision,
        "conflicts": 0,
    }


def versions(exchange: EmbeddedExchange, symbol: str, day: date, rewrites: int) -> int:
    """How many versions of an archive there have been so far."""
    traded = exchange.market.listings[symbol].trades_on(day)
    return 1 + rewrites if traded and exchange.publication_time(symbol, day) <= exchange.now() else 0


def _archived(exchange: EmbeddedExchange, symbol: str, day: date, open_times: Any) -> Any:
    """The open times that its archive has."""
    if not versions(exchange, symbol, day, 0):
        return open_times[:0]
    for gap in exchange.archive_gaps(symbol, day):
        lacking = (open_times >= to_microseconds(gap.start)) & (open_times < to_microseconds(gap.end))
        open_times = open_times[~lacking]
    return open_times


def _gaps(open_times: Any, day: date) -> list[tuple[datetime, datetime]]:
    edges = [to_microseconds(day_start(day)) - _MINUTE, *open_times.tolist(), to_microseconds(day_end(day))]
    return [
        (from_microseconds(left + _MINUTE), from_microseconds(right))
        for left, right in pairwise(edges)
        if right - left > _MINUTE
    ]


def _reason(exchange: EmbeddedExchange, symbol: str, gaps: Sequence[tuple[datetime, datetime]]) -> str | None:
    reasons = set[Reason]()
    lives = exchange.market.listings[symbol].lives
    for start, end in gaps:
        if end <= lives[0].start:
            reasons.add(Reason.NOT_LISTED)
        elif lives[-1].end is not None and start >= lives[-1].end:
            reasons.add(Reason.DELISTED)
        else:
            reasons.add(Reason.EXCHANGE_HALT)
    return "+".join(reason for reason in Reason if reason in reasons) or None


def wrong_rows(exchange: EmbeddedExchange, lake: str, dataset: Dataset, days: Sequence[date]) -> Iterator[str]:
    """Symbol-days whose rows are not what the market did; `dataset` names its symbols."""
    for day in days:
        trading = traded(exchange, dataset.symbols, day)
        rows = load(trading, "1m", day, day + timedelta(days=1), lake=lake).partition_by("symbol", as_dict=True)
        for symbol in trading:
            true, mine = exchange.market.klines(symbol, "1m", day), rows.get((symbol,))
            if mine is None or mine.height != len(true):
                yield f"{symbol} {day}: {0 if mine is None else mine.height} rows instead of {len(true)}"
            elif not _alike(mine, true):
                yield f"{symbol} {day}: rows differ"


def _alike(rows: pl.DataFrame, true: Any) -> bool:
    names = ("open", "high", "low", "close", "volume", "quote_volume")
    times = rows["open_time"].dt.epoch("us").to_numpy()
    return bool((times == true.open_time).all()) and all(
        np.array_equal(rows[name].to_numpy(), getattr(true, name) / 1e8) for name in names
    )
