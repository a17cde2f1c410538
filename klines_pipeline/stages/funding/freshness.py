"""Which days of funding are wanted now: the newest from REST, and those nobody has looked at. Only ledgers are read.

What the bucket publishes is the affair of `news`, what nobody mended that of `safety_net`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial

from klines_pipeline.domain.lateness import LONGEST_DELAY
from klines_pipeline.domain.states import NEVER_ASKED, NEVER_CAME
from klines_pipeline.domain.utc_day import days_between
from klines_pipeline.domain.wanted import Kind, Wanted, one_wish
from klines_pipeline.exchanges.protocols import Market
from klines_pipeline.funding.slices import FundingSlice, is_settled
from klines_pipeline.klines.ledgers import ArchiveEntry
from klines_pipeline.stages.funding.dataset import FundingDataset, FundingUniverse, source_of
from klines_pipeline.stages.funding.state import certified_days, load_entries, load_slices, paths_of
from klines_pipeline.stages.legible import look_at_each, to_be_mended
from klines_pipeline.storage.lake import Lake


@dataclass(frozen=True, slots=True)
class _Look:
    """Whether the day's archives ledger knows every symbol, and whether REST may know of another settlement."""

    is_listed: bool
    is_due: bool


def wanted_of_funding(lake: Lake, market: Market, dataset: FundingDataset, now: datetime) -> list[Wanted]:
    """Days of which REST may know more than it was asked for, the newest also where nobody has looked at them; and
    older ones never looked at. What lacks of an ended day is the same news at each tick; so is a damaged ledger.
    """
    archived = source_of(market, dataset).archive is not None
    universe = FundingUniverse(market, dataset, lambda _: None)
    today, hour, fresh = now.date(), f"{now:%Y-%m-%d %H}:00 UTC", partial(one_wish, Kind.FRESHNESS)
    certified, yesterday = certified_days(lake, dataset), today - timedelta(days=1)
    recent = days_between(max(dataset.start, (now - LONGEST_DELAY).date()), today)
    looks, damaged = look_at_each(
        [day for day in recent if day >= yesterday or day in certified],
        lambda day: _look_up(lake, dataset, day, universe.named(day), now),
    )
    unseen = [day for day, look in looks.items() if archived and not look.is_listed and day >= yesterday]
    due = [day for day, look in looks.items() if look.is_due and (look.is_listed or not archived)]
    over = [day for day in due if day < today]
    never = {*days_between(dataset.start, yesterday - timedelta(days=1))} - certified
    return [
        *fresh(unseen, "nobody has looked for its archive yet", f"listing of {hour}"),
        *fresh([today] if today in due else [], f"settlements until {hour}", hour, with_archives=False),
        *fresh(over, "over since", "over", with_archives=False),
        *one_wish(Kind.HISTORY, sorted(never), "never materialized", "never materialized"),
        *to_be_mended(damaged),
    ]


def _look_up(lake: Lake, dataset: FundingDataset, day: date, named: set[str], now: datetime) -> _Look:
    entries, slices = load_entries(lake, dataset, day), load_slices(lake, dataset, day)
    paths, asked = paths_of(dataset, day), {*slices, *entries} if dataset.has_filters else set[str]()
    listed = entries.keys() >= named and (bool(entries) or lake.size(paths.archives) is not None)
    if not (named or asked):
        return _Look(listed, lake.size(paths.certificates) is None)
    return _Look(listed, bool(unsettled({*named, *asked}, entries, slices, day, now)))


def unsettled(
    symbols: Iterable[str],
    entries: Mapping[str, ArchiveEntry],
    slices: Mapping[str, FundingSlice],
    day: date,
    now: datetime,
) -> set[str]:
    """Those of whose day REST alone speaks, and may know of a settlement that it has not been asked for: funding
    settles on the hour.
    """
    over = {name for name, entry in entries.items() if entry.life in NEVER_ASKED or entry.state not in NEVER_CAME}
    return {name for name in symbols if name not in over and not is_settled(slices.get(name), day, now)}
