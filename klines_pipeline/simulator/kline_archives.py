"""One market's daily kline archives: which exist, when they appear, and their bytes. The bucket holds several such."""

from collections.abc import Iterator
from datetime import date, datetime

from klines_pipeline.domain.interval import Interval
from klines_pipeline.domain.utc_day import to_microseconds
from klines_pipeline.simulator.archives import zip_archive
from klines_pipeline.simulator.columns import Klines
from klines_pipeline.simulator.formats import archive_text
from klines_pipeline.simulator.keyspace import ArchiveKey, KeySpace, parse_archive_key
from klines_pipeline.simulator.market import Market
from klines_pipeline.simulator.markets import MarketRules
from klines_pipeline.simulator.publication import Publication
from klines_pipeline.simulator.truths import archive_gaps


class KlineArchives:
    """The archives of one market, by arithmetic."""

    def __init__(self, *, market: Market, rules: MarketRules) -> None:
        self.market = market
        self.rules = rules
        self.publication = Publication(seed=market.seed, rules=rules)
        self._keys = KeySpace(self.prefix, market.listings, rules.intervals)

    @property
    def prefix(self) -> str:
        """What their keys begin with."""
        return self.rules.daily_klines

    def keys_from(self, bound: bytes, now: datetime) -> Iterator[str]:
        """Zip keys published by `now` whose own or whose checksum's key is at or after `bound`, ascending."""
        for archive in self._keys.archives_from(bound, now.date()):
            if self._has_appeared(archive, now):
                yield archive.key

    def is_published(self, key: str, now: datetime) -> bool:
        """Whether there is such an archive, and by `now`."""
        archive = self._find(key)
        return archive is not None and self._has_appeared(archive, now)

    def published_at(self, key: str) -> datetime:
        """When an archive appears, UTC, whole seconds."""
        archive = self._known(key)
        return self.publication.at(archive.symbol, archive.day)

    def body(self, key: str) -> bytes:
        """The zip's bytes."""
        archive = self._known(key)
        written = self.publication.usual(archive.symbol, archive.day)
        return zip_archive(archive.name, self.text(archive, self.archived(archive)), written=written)

    def archived(self, archive: ArchiveKey) -> Klines:
        """The rows an archive holds: those of the exchange without this archive's gaps."""
        klines = self.market.synthetic(archive.symbol, archive.interval, archive.day)
        duration = Interval.parse(archive.interval).microseconds
        for gap in archive_gaps(self.market.seed, archive.symbol, archive.day, market=self.rules.name):
            klines = klines.without(to_microseconds(gap.start), to_microseconds(gap.end), duration=duration)
        return klines

    def text(self, archive: ArchiveKey, klines: Klines) -> bytes:
        """The member of an archive with these rows."""
        return archive_text(self.rules, self.market.listings.get(archive.symbol), archive.day, klines)

    def parse(self, key: str) -> ArchiveKey | None:
        """The archive a zip key names, if it has the form of a daily kline archive of this market."""
        archive = parse_archive_key(self.prefix, key)
        return archive if archive and archive.interval in self.rules.intervals else None

    def keys_of(self, symbol: str, day: date) -> list[str]:
        """The zip keys of a symbol-day."""
        return [ArchiveKey(self.prefix, symbol, interval, day).key for interval in self.rules.intervals]

    def _has_appeared(self, archive: ArchiveKey, now: datetime) -> bool:
        return archive.day < now.date() and self.publication.is_published(archive.symbol, archive.day, now)

    def _find(self, key: str) -> ArchiveKey | None:
        archive = self.parse(key)
        listing = self.market.listings.get(archive.symbol) if archive else None
        return archive if archive and listing and listing.archived_on(archive.day) else None

    def _known(self, key: str) -> ArchiveKey:
        archive = self._find(key)
        if archive is None:
            raise KeyError(key)
        return archive
