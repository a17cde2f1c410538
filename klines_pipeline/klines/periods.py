"""Which symbols have every day of a period: in the lake, and complete or explained. Frames and ledger words, no I/O."""

from collections.abc import Mapping
from datetime import date

import polars as pl

from klines_pipeline.domain.interval import Period
from klines_pipeline.domain.states import Life
from klines_pipeline.klines.certificate import is_explained

_NOTHING_BEFORE = frozenset({Life.FIRST_DAY, Life.NOT_LISTED})
_NOTHING_AFTER = frozenset({Life.LAST_DAY, Life.DELISTED})


def incomplete_symbols(
    period: Period,
    certificates: Mapping[date, pl.DataFrame],
    lives: Mapping[tuple[str, date], Life],
    *,
    bars_per_day: int,
) -> set[str]:
    """Symbols with a certificate in the period for which it does not vouch, from its first day to its last.

    `certificates` by day, only those of the period. `lives` are the edges that the archives ledger knows: the days
    before a symbol's first one, and after its last one, need no certificate.
    """
    settled = dict[str, dict[date, bool]]()
    for day, frame in certificates.items():
        for symbol, expected, reason in frame.select("symbol", "expected", "reason").iter_rows():
            settled.setdefault(symbol, {})[day] = expected == bars_per_day and is_explained(reason)
    return {
        symbol
        for symbol, days in settled.items()
        if not all(days.values()) or not _reaches_over(period, symbol, sorted(days), lives)
    }


def _reaches_over(period: Period, symbol: str, days: list[date], lives: Mapping[tuple[str, date], Life]) -> bool:
    """Whether the days follow one another, from the period's opening or the listing to its end or the delisting."""
    first, last = days[0], days[-1]
    opened = first == period.opens or lives.get((symbol, first)) in _NOTHING_BEFORE
    ended = last == period.last or lives.get((symbol, last)) in _NOTHING_AFTER
    return opened and ended and len(days) == (last - first).days + 1
