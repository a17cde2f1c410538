"""What the lake must say of each symbol-day, computed from the simulator's market alone; and what it says instead.

A kline that a rewritten archive dropped is gone, although REST gave it while it still was: REST is asked again. Values
that the rewritten archive changed are counted as conflicts with what REST gave before: every day was in progress while
the story ran, and only such days are rewritten in it.

That a symbol is delisted, the bucket tells days later: until then its last day ends with a halt by all evidence, and
REST has no data of the days after it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
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
from klines_pipeline.simulator.revisions import Revision
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.storage.lake import Lake

_MINUTE = 60_000_000
_DAY_MINUTES = 1440
_NOT_KNOWN_YET = timedelta(days=5)
"""After a day's end, that a symbol was delisted before it: three days of other archives, and a look once a day."""


def key_of(symbol: str, day: date) -> str:
    """A spot 1m archive's key in the bucket."""
    return f"data/spot/daily/klines/{symbol}/1m/{symbol}-1m-{day}.zip"


@dataclass(frozen=True, slots=True)
class Truth:
    """The exchange's side of a dataset that names its symbols; `rewritten` archives by key."""

    exchange: EmbeddedExchange
    dataset: Dataset
    rewritten: Mapping[str, Revision]

    def traded(self, day: date) -> list[str]:
        """The symbols that traded on a UTC day."""
        listings = self.exchange.market.listings
        return [symbol for symbol in self.dataset.symbols if listings[symbol].trades_on(day)]

    def versions(self, symbol: str, day: date) -> int:
        """How many versions of an archive there have been so far."""
        published = self.exchange.publication_time(symbol, day) <= self.exchange.now()
        return 1 + (key_of(symbol, day) in self.rewritten) if published and symbol in self.traded(day) else 0

    def wrong_certificates(self, lake: str, days: Sequence[date]) -> Iterator[str]:
        """Symbol-days whose certificate is not the truth. Where a symbol did not trade it may have none."""
        found = certificates(Lake(lake), self.dataset, first=days[0], last=days[-1])
        by_key = {(row["symbol"], row["date"]): row for row in found.iter_rows(named=True)}
        for day in days:
            trading = self.traded(day)
            for symbol in self.dataset.symbols:
                row, true = by_key.pop((symbol, day), None), self.certificate(symbol, day)
                if row and row["reason"] in self._also_true(symbol, day):
                    true["reason"] = row["reason"]
                if row is None and symbol in trading:
                    yield f"{symbol} {day}: no certificate"
                elif row and (
                    wrong := {name: (row[name], value) for name, value in true.items() if row[name] != value}
                ):
                    yield f"{symbol} {day}: (is, ought to be) {wrong}"
        yield from (f"{symbol} {day}: a certificate nobody asked for" for symbol, day in by_key)

    def certificate(self, symbol: str, day: date) -> dict[str, Any]:
        """The columns that the market decides."""
        rewrite = self.rewritten.get(key_of(symbol, day))
        open_times = self.exchange.market.klines(symbol, "1m", day).open_time
        from_vision = len(open_times if rewrite else self._archived(symbol, day, open_times))
        gaps = _gaps(open_times.tolist(), day)
        return {
            "expected": _DAY_MINUTES,
            "present": len(open_times),
            "missing": _DAY_MINUTES - len(open_times),
            "missing_ranges": [{"start": start, "end": end} for start, end in gaps],
            "reason": self._reason(symbol, gaps),
            "from_vision": from_vision,
            "from_rest": len(open_times) - from_vision,
            "conflicts": len(rewrite.changed) if rewrite else 0,
        }

    def _archived(self, symbol: str, day: date, open_times: Any) -> Any:
        """The open times that its first archive has."""
        if not self.versions(symbol, day):
            return open_times[:0]
        for gap in self.exchange.archive_gaps(symbol, day):
            lacking = (open_times >= to_microseconds(gap.start)) & (open_times < to_microseconds(gap.end))
            open_times = open_times[~lacking]
        return open_times

    def _reason(self, symbol: str, gaps: Sequence[tuple[datetime, datetime]]) -> str | None:
        lives, reasons = self.exchange.market.listings[symbol].lives, set[Reason]()
        for start, end in gaps:
            if end <= lives[0].start:
                reasons.add(Reason.NOT_LISTED)
            elif lives[-1].end is not None and start >= lives[-1].end:
                reasons.add(Reason.DELISTED)
            else:
                reasons.add(Reason.EXCHANGE_HALT)
        return "+".join(reason for reason in Reason if reason in reasons) or None

    def _also_true(self, symbol: str, day: date) -> set[str]:
        """Reasons that are right as long as nobody can know better."""
        last = self.exchange.market.listings[symbol].lives[-1].last_day
        if last is None or day < last or self.exchange.now() >= day_end(day) + _NOT_KNOWN_YET:
            return set()
        return {Reason.EXCHANGE_HALT if day == last else Reason.NO_DATA}

    def wrong_rows(self, lake: str, days: Sequence[date]) -> Iterator[str]:
        """Symbol-days whose rows are not what the market did."""
        for day in days:
            trading = self.traded(day)
            rows = load(trading, "1m", day, day + timedelta(days=1), lake=lake).partition_by("symbol", as_dict=True)
            for symbol in trading:
                true, mine = self.exchange.market.klines(symbol, "1m", day), rows.get((symbol,), pl.DataFrame())
                if mine.height != len(true):
                    yield f"{symbol} {day}: {mine.height} rows instead of {len(true)}"
                elif not _alike(mine, true):
                    yield f"{symbol} {day}: rows differ"


def _gaps(open_times: Sequence[int], day: date) -> list[tuple[datetime, datetime]]:
    edges = [to_microseconds(day_start(day)) - _MINUTE, *open_times, to_microseconds(day_end(day))]
    return [
        (from_microseconds(left + _MINUTE), from_microseconds(right))
        for left, right in pairwise(edges)
        if right - left > _MINUTE
    ]


def _alike(rows: pl.DataFrame, true: Any) -> bool:
    names = ("open", "high", "low", "close", "volume", "quote_volume")
    times = rows["open_time"].dt.epoch("us").to_numpy()
    return bool((times == true.open_time).all()) and all(
        np.array_equal(rows[name].to_numpy(), getattr(true, name) / 1e8) for name in names
    )
