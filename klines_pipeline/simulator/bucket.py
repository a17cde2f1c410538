"""The bucket `data.binance.vision`: which keys exist now, in byte order, and what lies behind each.

No HTTP and no XML here: those are `bucket_listing` and `bucket_answers`.
"""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime

from klines_pipeline.domain.interval import DAILY_INTERVALS, Interval
from klines_pipeline.domain.utc_day import to_microseconds
from klines_pipeline.simulator.archives import checksum_text, zip_archive
from klines_pipeline.simulator.columns import Klines
from klines_pipeline.simulator.keyspace import CHECKSUM, ArchiveKey, KeySpace, parse_archive_key
from klines_pipeline.simulator.market import Market
from klines_pipeline.simulator.markets import MarketRules
from klines_pipeline.simulator.publication import Publication
from klines_pipeline.simulator.stored import BoundedCache, ObjectFacts, Shelf, StoredObject
from klines_pipeline.simulator.text import TimeUnit
from klines_pipeline.simulator.truths import archive_gaps

_MOST_BYTES_HELD = 96 * 1024 * 1024
_MOST_FACTS_HELD = 200_000


class Bucket:
    """One market's daily kline archives, generated when asked for, and the stored objects beside them."""

    def __init__(self, *, market: Market, rules: MarketRules) -> None:
        self.rules = rules
        self.market = market
        self.shelf = Shelf()
        self.publication = Publication(seed=market.seed, rules=rules)
        self.stopping = threading.Event()
        self._making = threading.RLock()  # a zip and its checksum are often asked for at once: made once
        self._keys = KeySpace(rules.daily_klines, market.listings)
        self._bodies: BoundedCache[bytes] = BoundedCache(_MOST_BYTES_HELD)
        self._facts: BoundedCache[ObjectFacts] = BoundedCache(_MOST_FACTS_HELD)

    def keys_from(self, bound: bytes, now: datetime) -> Iterator[bytes]:
        """Keys that exist at `now`, from `bound` on, ascending by their bytes."""
        stored = self.shelf.first_from(bound, now)
        for key in self._archive_keys_from(bound, now):
            while stored is not None and stored < key:
                yield stored
                stored = self.shelf.first_from(stored + b"\0", now)
            if stored == key:
                stored = self.shelf.first_from(key + b"\0", now)
            yield key
        while stored is not None:
            yield stored
            stored = self.shelf.first_from(stored + b"\0", now)

    def exists(self, key: str, now: datetime) -> bool:
        """Whether a key can be had at `now`."""
        stored = self.shelf.get(key)
        if stored is not None:
            return stored.visible_from <= now
        archive = self._archive(key)
        return archive is not None and not self.shelf.is_missing(key) and self._is_published(archive, now)

    def last_modified(self, key: str) -> datetime:
        """`Last-Modified` of an existing key, UTC, whole seconds."""
        stored = self.shelf.get(key)
        if stored is not None:
            return stored.last_modified
        archive = self._archive(key)
        if archive is None:
            raise KeyError(key)
        return self.publication.at(archive.symbol, archive.day)

    def facts(self, key: str) -> ObjectFacts:
        """Size and digests of an existing key; they are held longer than the bytes."""
        found = self._facts.get(key)
        if found is None:
            found = ObjectFacts.of(self.read(key))
            self._facts.put(key, found)
        return found

    def place(self, key: str, stored: StoredObject) -> None:
        """Put an object at a key, over whatever was there."""
        self.shelf.put(key, stored)
        self._forget(key)

    def hold(self, symbol: str, day: date, *, until: datetime) -> None:
        """Let the archives of a symbol-day, real ones too, appear at `until` (UTC)."""
        self.publication.hold(symbol, day, until=until)
        for interval in DAILY_INTERVALS:
            zip_key = ArchiveKey(self.rules.daily_klines, symbol, interval, day).key
            for key in (zip_key, zip_key + CHECKSUM):
                stored = self.shelf.get(key)
                if stored is not None:
                    self.shelf.put(key, replace(stored, visible_from=until))
                self._forget(key)

    def remove(self, key: str) -> None:
        """Make a key missing."""
        self.shelf.remove(key)
        self._forget(key)

    def _forget(self, key: str) -> None:
        self._facts.drop(key)
        self._bodies.drop(key)

    def has_ready(self, key: str) -> bool:
        """Whether `read` and `facts` answer at once, without generating an archive."""
        generated = self._bodies.get(key) is not None and self._facts.get(key) is not None
        return generated or self.shelf.get(key) is not None

    def read(self, key: str) -> bytes:
        """The bytes of an existing key."""
        stored = self.shelf.get(key)
        if stored is not None:
            return stored.read()
        with self._making:
            held = self._bodies.get(key)
            if held is None:
                held = self._generate(key)
                self._bodies.put(key, held, cost=len(held))
            return held

    def archived(self, archive: ArchiveKey) -> Klines:
        """The rows an archive holds: those of the exchange without this archive's gaps."""
        klines = self.market.synthetic(archive.symbol, archive.interval, archive.day)
        duration = Interval.parse(archive.interval).microseconds
        for gap in archive_gaps(self.market.seed, archive.symbol, archive.day):
            klines = klines.without(to_microseconds(gap.start), to_microseconds(gap.end), duration=duration)
        return klines

    def unit(self, archive: ArchiveKey) -> TimeUnit:
        """Unit of the times inside an archive: by the day of its data."""
        return "us" if archive.day >= self.rules.microseconds_since else "ms"

    def parse(self, key: str) -> ArchiveKey | None:
        """The archive a zip key names, if it has the form of a daily kline archive."""
        return parse_archive_key(self.rules.daily_klines, key)

    def _generate(self, key: str) -> bytes:
        if self.stopping.is_set():
            raise ConnectionAbortedError("the embedded exchange is stopping. Start it again to read the bucket.")
        archive = self._archive(key)
        if archive is None:
            raise KeyError(key)
        if key.endswith(CHECKSUM):
            return checksum_text(self.facts(archive.key).sha256, archive.name)
        written = self.publication.usual(archive.symbol, archive.day)
        return zip_archive(archive.name, self.archived(archive), unit=self.unit(archive), written=written)

    def _archive(self, key: str) -> ArchiveKey | None:
        """The synthetic archive behind a zip or checksum key, published or not."""
        archive = self.parse(key.removesuffix(CHECKSUM))
        listing = self.market.listings.get(archive.symbol) if archive else None
        return archive if archive and listing and listing.trades_on(archive.day) else None

    def _is_published(self, archive: ArchiveKey, now: datetime) -> bool:
        return archive.day < now.date() and self.publication.is_published(archive.symbol, archive.day, now)

    def _archive_keys_from(self, bound: bytes, now: datetime) -> Iterator[bytes]:
        for archive in self._keys.archives_from(bound, now.date()):
            if not self._is_published(archive, now):
                continue
            for key in (archive.key, archive.key + CHECKSUM):
                encoded = key.encode()
                if encoded >= bound and not self.shelf.is_missing(key):
                    yield encoded
