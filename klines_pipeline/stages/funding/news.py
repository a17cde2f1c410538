"""Which days of funding were made before their monthly archive came, or before it was published anew.

The bucket's listing is compared with the archives ledgers; nothing is downloaded here.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby

from klines_pipeline.domain.errors import BlockedError, TransientError
from klines_pipeline.domain.wanted import Kind, Wanted
from klines_pipeline.exchanges.funding import FundingArchive
from klines_pipeline.exchanges.protocols import Listed, Market
from klines_pipeline.funding.months import month_of
from klines_pipeline.klines.ledgers import ARCHIVE_SCHEMA, ArchiveEntry, archive_entries
from klines_pipeline.stages.funding.dataset import FundingDataset, FundingUniverse, source_of
from klines_pipeline.stages.funding.state import certified_days, paths_of
from klines_pipeline.stages.verdict import is_current
from klines_pipeline.stages.watching.safety_net import TURNS
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.tables import read_legible


@dataclass(frozen=True, slots=True)
class ArchiveNews:
    """Days whose archives have news; `words` name what could not be listed or read."""

    wanted: Sequence[Wanted] = ()
    words: str = ""


def archive_news(
    lake: Lake, market: Market, dataset: FundingDataset, today: date, revisited: int, *, seconds: float = 20.0
) -> ArchiveNews:
    """Days in the lake whose monthly archive came, or was published anew, since they were made.

    Of the last `revisited` days each is looked at, of older months one day for all: their archives came long ago. One
    listing a symbol, none begun after `seconds`; whose turn did not come begins another day of the week.
    """
    archive = source_of(market, dataset).archive
    probes = _probes(certified_days(lake, dataset), today, revisited)
    if archive is None or not probes:
        return ArchiveNews()
    ledgers, damaged = read_legible(lake, [paths_of(dataset, day).archives for day in probes], ARCHIVE_SCHEMA)
    listed, trouble = _listed(market, archive, dataset, min(probes), today, seconds)
    news: dict[Kind, dict[date, Sequence[str]]] = {Kind.PUBLISHED: {}, Kind.REWRITTEN: {}}
    for part in ledgers.partition_by("date"):
        day, entries = part["date"][0], archive_entries(part.drop("date"))
        for kind, versions in _news_of(entries, listed, month_of(day)).items():
            news[kind] |= dict.fromkeys(probes[day], versions)
    wanted = [*_told(Kind.PUBLISHED, "out", news[Kind.PUBLISHED]), *_told(Kind.REWRITTEN, "anew", news[Kind.REWRITTEN])]
    return ArchiveNews(wanted, " ".join([*trouble, *map(str, damaged.values())]))


def _probes(certified: set[date], today: date, revisited: int) -> dict[date, list[date]]:
    """The days to look at, each with the days it speaks for; an archive comes after its month."""
    recent, probes = month_of(today - timedelta(days=revisited)), dict[date, list[date]]()
    for month, found in groupby(sorted(day for day in certified if day < month_of(today)), key=month_of):
        days = list(found)
        probes |= {day: [day] for day in days} if month >= recent else {days[0]: days}
    return probes


def _listed(
    market: Market, archive: FundingArchive, dataset: FundingDataset, first: date, today: date, seconds: float
) -> tuple[Listed, list[str]]:
    """What is published since `first`, and what went wrong."""
    try:
        symbols = FundingUniverse(market, dataset, lambda _: None).symbols()
    except (BlockedError, TransientError) as error:
        return Listed(None, {}, {}, (), requests=0), [f"No archive could be looked for: {error}"]
    listed, trouble = archive.listed(begun_in_turn(symbols, today), month_of(first), seconds=seconds), list[str]()
    if listed.failed:
        why = next(iter(listed.failed.values()))
        trouble.append(f"{len(listed.failed)} of {len(symbols)} symbols could not be listed: {why}")
    if listed.unasked:
        late = f"{len(listed.unasked)} of {len(symbols)} symbols"
        trouble.append(f"For the archives of {late} there was no time; tomorrow others come first.")
    return listed, trouble


def begun_in_turn(symbols: Sequence[str], today: date) -> list[str]:
    """All of them, each day of a week beginning with another seventh."""
    start = today.toordinal() % TURNS * len(symbols) // TURNS
    return [*symbols[start:], *symbols[:start]]


def _news_of(entries: Mapping[str, ArchiveEntry], listed: Listed, month: date) -> dict[Kind, Sequence[str]]:
    """The versions of the month's archives that a day was not made from, by what is new of them."""
    versions: dict[Kind, Sequence[str]] = {}
    for name, entry in sorted(entries.items()):
        found = listed.archives.get((name, month))
        if found is not None and not is_current(entry, found):
            kind = Kind.REWRITTEN if entry.revision else Kind.PUBLISHED
            versions[kind] = [*versions.get(kind, ()), f"{name}:{found.etag}:{found.checksum_modified}"]
    return versions


def _told(kind: Kind, how: str, news: Mapping[date, Sequence[str]]) -> Iterator[Wanted]:
    """A wish a month: its days share an archive."""
    for month, found in groupby(sorted(news), key=month_of):
        days = tuple(found)
        count = max(len(news[day]) for day in days)
        reason = f"archives of {month:%Y-%m} are {how}: {count} symbol(s)"
        yield Wanted(kind, days, reason, {day: " ".join(news[day]) for day in days})
