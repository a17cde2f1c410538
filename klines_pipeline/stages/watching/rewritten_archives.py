"""Which days should be taken in anew because archives held were published anew, or came when nobody waited any more.

One tick compares a slice: some symbols over the last weeks (once a day), or over a stretch of history (once a week).
What is published for the first time, within the time that takes, is the affair of `published_days`.
"""

from collections.abc import Iterator
from datetime import date

import polars as pl

from klines_pipeline.domain.automation import Automation
from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.phrases import some_of
from klines_pipeline.domain.wanted import Kind, Wanted, stretches
from klines_pipeline.exchanges.protocols import Market
from klines_pipeline.stages.watching.comparison import Compared, compare
from klines_pipeline.stages.watching.comparison_cursor import PAUSE, ComparisonCursor, Slice
from klines_pipeline.stages.watching.news import What, told
from klines_pipeline.stages.watching.tick import Tick, silent
from klines_pipeline.stages.watching.tick_listing import TickListing
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.tables import stored_days

_VERBS = {
    What.REWRITTEN: "rewritten",
    What.PUBLISHED: "published late",
    What.CHECKSUM: "given a checksum",
}


def compare_slice(
    lake: Lake,
    market: Market,
    dataset: Dataset,
    automation: Automation,
    cursor: str | None,
    *,
    seconds: float = 20.0,
) -> Tick:
    """One tick; the market's connections are closed. No request is begun after `seconds`."""
    try:
        return _tick(
            lake, dataset, automation, ComparisonCursor.parse(cursor), TickListing(market, dataset.interval, seconds)
        )
    finally:
        market.api.close()


def _tick(lake: Lake, dataset: Dataset, automation: Automation, rounds: ComparisonCursor, listing: TickListing) -> Tick:
    clock = listing.at((), dataset.start, dataset.start)
    if clock.now is None:
        return silent(dataset.exchange, clock, listing.requests)
    today = clock.now.date()
    past = rounds.due(_stored(lake, dataset, today), today, automation.revisit_days)
    if past is None:
        return Tick(clock.now, (), _resting(rounds, today), str(rounds), listing.requests)
    compared = compare(lake, dataset, listing, past, today)
    wanted = wishes(compared.news(), automation.days_per_run)
    after = rounds.gone(past, compared.reached, today)
    return Tick(clock.now, wanted, _words(compared, past), str(after), listing.requests, lambda _: str(rounds))


def _stored(lake: Lake, dataset: Dataset, today: date) -> list[date]:
    """Days looked at once: of the others nothing is held that could be rewritten."""
    stored = stored_days(lake, "ledger/archives", *dataset.prefix, str(dataset.interval))
    return [day for day in stored if dataset.start <= day < today]


def wishes(fresh: pl.DataFrame, longest: int) -> list[Wanted]:
    """A wish a stretch of days, so that each names its own symbols. `fresh` is in NEWS_SCHEMA."""
    states = told(fresh)
    return [
        Wanted(
            Kind.REWRITTEN,
            days,
            "; ".join(_reasons(fresh.filter(pl.col("date").is_in(days)))),
            {day: states[day] for day in days},
        )
        for days in stretches(states, longest)
    ]


def _reasons(fresh: pl.DataFrame) -> Iterator[str]:
    """`BTCUSDT and 2 more rewritten`, `SOLUSDT published late`."""
    for what, verb in _VERBS.items():
        names = sorted(set(fresh.filter(pl.col("what") == what)["symbol"]))
        if names:
            yield f"{some_of(names, 1)} {verb}"


def _resting(rounds: ComparisonCursor, today: date) -> str:
    again = (rounds.swept or today) + PAUSE
    return f"The last weeks have been compared today, all history on {rounds.swept}; it is again from {again} on."


def _words(compared: Compared, past: Slice) -> str:
    """What was compared and how far, what is held and no longer listed, what went wrong."""
    if not past.days:
        return "Nothing of the last weeks is held." if past.window is None else "All history has been compared."
    if not compared.seen and compared.trouble:
        return " ".join([compared.trouble, *compared.damaged])
    after = "" if compared.reached is None else f", up to {compared.reached or 'none'}"
    said = [f"{past.days[0]} to {past.days[-1]}: {compared.seen} symbols compared{after}."]
    if gone := [f"{name} of {day}" for day, name in compared.withdrawn()]:
        said.append(f"{some_of(gone, 1)} no longer listed; the versions held stay in use.")
    return " ".join([*said, *([compared.trouble] if compared.trouble else []), *compared.damaged])
