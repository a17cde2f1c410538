"""Which days of funding are wanted: the newest from REST, those nobody has looked at, those whose archive has news.

Only ledgers and the bucket's listing are read.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import groupby

import polars as pl

from klines_pipeline.domain.errors import DamagedFileError
from klines_pipeline.domain.lateness import LONGEST_DELAY
from klines_pipeline.domain.states import NEVER_ASKED, NEVER_CAME
from klines_pipeline.domain.utc_day import days_between
from klines_pipeline.domain.wanted import Kind, Wanted
from klines_pipeline.exchanges.funding import FundingSurvey
from klines_pipeline.exchanges.protocols import Market
from klines_pipeline.funding.months import month_of
from klines_pipeline.funding.schema import CERTIFICATE_SCHEMA
from klines_pipeline.funding.slices import is_settled
from klines_pipeline.stages.funding.dataset import FundingDataset, FundingUniverse, source_of
from klines_pipeline.stages.funding.state import load_entries, load_slices, paths_of
from klines_pipeline.stages.verdict import is_current
from klines_pipeline.stages.watching.safety_net import Said, never_asked, repairs, unexplained
from klines_pipeline.storage.funding_layout import funding_folder
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.layout import PART, day_of
from klines_pipeline.storage.tables import read_table

_PROOF = "ledger/funding_certificates"


def wanted_of_funding(lake: Lake, market: Market, dataset: FundingDataset, now: datetime) -> list[Wanted]:
    """Days of which REST may know more than it was asked for, the newest also where nobody has looked at them; and
    older ones never looked at. What lacks of an ended day is the same news at each tick.
    """
    archived = source_of(market, dataset).archive is not None
    universe = FundingUniverse(market, dataset, lambda _: None)
    today, hour = now.date(), f"{now:%Y-%m-%d %H}:00 UTC"
    certified, yesterday = certified_days(lake, dataset), today - timedelta(days=1)
    recent = days_between(max(dataset.start, (now - LONGEST_DELAY).date()), today)
    looked_at = [day for day in recent if day >= yesterday or day in certified]
    listed = [day for day in looked_at if not archived or _is_listed(lake, dataset, day, universe.named(day))]
    unseen = [day for day in looked_at if day >= yesterday and day not in listed]
    due = [day for day in listed if _is_due(lake, dataset, day, universe.named(day), now)]
    never = sorted({*days_between(dataset.start, yesterday - timedelta(days=1))} - certified)
    return [
        *_wish(Kind.FRESHNESS, unseen, "nobody has looked for its archive yet", f"listing of {hour}"),
        *_wish(
            Kind.FRESHNESS, due[-1:] if today in due else [], f"settlements until {hour}", hour, with_archives=False
        ),
        *_wish(Kind.FRESHNESS, [day for day in due if day < today], "over since", "over", with_archives=False),
        *_wish(Kind.HISTORY, never, "never materialized", "never materialized"),
    ]


def _wish(kind: Kind, days: Sequence[date], reason: str, news: str, *, with_archives: bool = True) -> Iterator[Wanted]:
    if days:
        yield Wanted(kind, tuple(days), reason, dict.fromkeys(days, news), with_archives=with_archives)


def certified_days(lake: Lake, dataset: FundingDataset) -> set[date]:
    """Days that somebody has looked at."""
    names = lake.folders(funding_folder(_PROOF, *dataset.prefix), holding=PART)
    return {day for name in names if (day := day_of(name))}


def _is_listed(lake: Lake, dataset: FundingDataset, day: date, named: Iterable[str]) -> bool:
    """Whether the day's archives ledger knows every symbol that klines.yaml names."""
    entries = load_entries(lake, dataset, day)
    return entries.keys() >= set(named) and (bool(entries) or lake.size(paths_of(dataset, day).archives) is not None)


def _is_due(lake: Lake, dataset: FundingDataset, day: date, named: set[str], now: datetime) -> bool:
    """Whether REST may know of a settlement that it has not been asked for: funding settles on the hour."""
    entries, slices = load_entries(lake, dataset, day), load_slices(lake, dataset, day)
    over = {name for name, entry in entries.items() if entry.life in NEVER_ASKED or entry.state not in NEVER_CAME}
    asked: set[str] = {*slices, *entries} if dataset.has_filters else set()
    if not (named or asked):
        return lake.size(paths_of(dataset, day).certificates) is None
    return any(not is_settled(slices.get(name), day, now) for name in {*named, *asked} - over)


def archive_news(lake: Lake, market: Market, dataset: FundingDataset, today: date, revisited: int) -> list[Wanted]:
    """Days in the lake whose monthly archive came, or was published anew, since they were made.

    Of the last `revisited` days each is looked at, of older months one day for all: their archives came long ago. One
    listing a symbol. TransientError where none can be listed.
    """
    archive = source_of(market, dataset).archive
    probes = _probes(certified_days(lake, dataset), today, revisited)
    if archive is None or not probes:
        return []
    symbols = FundingUniverse(market, dataset, lambda _: None).symbols()
    survey = archive.survey(symbols, sorted({month_of(day) for day in probes}))
    if survey.failed.keys() >= set(symbols):
        raise next(iter(survey.failed.values()))
    news: dict[Kind, dict[date, Sequence[str]]] = {Kind.PUBLISHED: {}, Kind.REWRITTEN: {}}
    for day, days in probes.items():
        for kind, versions in _news_of(lake, dataset, survey, day).items():
            news[kind] |= dict.fromkeys(days, versions)
    return [*_told(Kind.PUBLISHED, "out", news[Kind.PUBLISHED]), *_told(Kind.REWRITTEN, "anew", news[Kind.REWRITTEN])]


def _probes(certified: set[date], today: date, revisited: int) -> dict[date, list[date]]:
    """The days to look at, each with the days it speaks for; an archive comes after its month."""
    recent, probes = month_of(today - timedelta(days=revisited)), dict[date, list[date]]()
    for month, found in groupby(sorted(day for day in certified if day < month_of(today)), key=month_of):
        days = list(found)
        probes |= {day: [day] for day in days} if month >= recent else {days[0]: days}
    return probes


def _news_of(lake: Lake, dataset: FundingDataset, survey: FundingSurvey, day: date) -> dict[Kind, Sequence[str]]:
    """The versions of the month's archives that the day was not made from, by what is new of them."""
    versions: dict[Kind, Sequence[str]] = {}
    for name, entry in sorted(load_entries(lake, dataset, day).items()):
        listed = survey.published.get((name, month_of(day)))
        if listed is not None and not is_current(entry, listed):
            kind = Kind.REWRITTEN if entry.revision else Kind.PUBLISHED
            versions[kind] = [*versions.get(kind, ()), f"{name}:{listed.etag}:{listed.checksum_modified}"]
    return versions


def _told(kind: Kind, how: str, news: Mapping[date, Sequence[str]]) -> Iterator[Wanted]:
    """A wish a month: its days share an archive."""
    for month, found in groupby(sorted(news), key=month_of):
        days = tuple(found)
        count = max(len(news[day]) for day in days)
        reason = f"archives of {month:%Y-%m} are {how}: {count} symbol(s)"
        yield Wanted(kind, days, reason, {day: " ".join(news[day]) for day in days})


def funding_repairs(
    lake: Lake, market: Market, dataset: FundingDataset, days: Sequence[date], today: date, said: Said
) -> list[Wanted]:
    """Days that are missing or incomplete without an explanation, and those `said` names."""
    universe, certified = FundingUniverse(market, dataset, lambda _: None), certified_days(lake, dataset)
    wrong: dict[date, Sequence[str]] = {}
    for day in days:
        try:
            proof = read_table(lake, paths_of(dataset, day).certificates, CERTIFICATE_SCHEMA)
            asked_for = proof if dataset.has_filters else proof.filter(pl.col("symbol").is_in(universe.named(day)))
            lacks = [*never_asked(universe.named(day), proof), *unexplained(asked_for)]
        except DamagedFileError as error:
            lacks = [str(error)]
        wrong[day] = [*said.get(day, ()), *(lacks if day in certified else ["was never materialized"])]
    return repairs(wrong, today)
