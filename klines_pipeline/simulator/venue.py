"""The whole make-believe exchange behind the HTTP answers: clock, markets, bucket, faults, counts.

What control requests and in-process controls mean is written here once; how they arrive is `control`'s and `server`'s.
"""

import itertools
from datetime import date, datetime
from pathlib import Path
from typing import Literal

from klines_pipeline.simulator.archives import checksum_text
from klines_pipeline.simulator.bucket import Bucket
from klines_pipeline.simulator.clock import SimulatedClock
from klines_pipeline.simulator.faults import Faults
from klines_pipeline.simulator.junk import junk_objects
from klines_pipeline.simulator.keyspace import CHECKSUM
from klines_pipeline.simulator.limits import WeightLimit
from klines_pipeline.simulator.listings import LEVERAGED_TOKENS
from klines_pipeline.simulator.markets import MARKETS
from klines_pipeline.simulator.okx_venue import OkxVenue
from klines_pipeline.simulator.publication import NEVER
from klines_pipeline.simulator.real_files import lay_over
from klines_pipeline.simulator.revisions import Revision, revise_archive
from klines_pipeline.simulator.stored import ObjectFacts, StoredObject
from klines_pipeline.simulator.tally import Tally
from klines_pipeline.simulator.venue_market import VenueMarket

ChecksumChoice = Literal["fresh", "none", "stale"]


class Venue:
    """Everything a handler may ask."""

    def __init__(
        self,
        *,
        seed: int,
        now: datetime | None,
        rate: float,
        root: Path | None,
        extra_symbols: int,
        leveraged_tokens: bool = False,
    ) -> None:
        self.clock = SimulatedClock(start=now, rate=rate)
        more = {"spot": LEVERAGED_TOKENS if leveraged_tokens else ()}
        self._markets = {
            rules.name: VenueMarket.build(
                rules, self.clock, seed=seed, extra_symbols=extra_symbols, more=more.get(rules.name, ())
            )
            for rules in MARKETS
        }
        self.bucket = Bucket([kind for market in self._markets.values() for kind in market.archives()])
        self.okx = OkxVenue(clock=self.clock, seed=seed)
        self.faults = Faults(seed=seed)
        self.tally = Tally()
        self._revisions = itertools.count(1)
        self.bucket.shelf.put_all(junk_objects())
        if root is not None:
            lay_over(self.bucket, [market.klines for market in self._markets.values()], root)

    def market(self, name: str = "spot") -> VenueMarket:
        """A market by its name: `spot`, `um`, `cm`."""
        if name not in self._markets:
            raise ValueError(f"unknown market {name!r}. Use one of {', '.join(self._markets)}.")
        return self._markets[name]

    def rest_target(self, path: str) -> tuple[VenueMarket, str] | None:
        """The market and the endpoint a path names; None if the path is not REST's."""
        for market in self._markets.values():
            for prefix in (market.rules.rest_prefix, *market.rules.retired_prefixes):
                if path.startswith(prefix):
                    return market, path.removeprefix(prefix)
        return None

    def market_of_key(self, key: str) -> str:
        """The name of the market a key of the bucket belongs to; "" where there is none."""
        return next((name for name, found in self._markets.items() if key.startswith(found.rules.archive_prefix)), "")

    def limit(self, market: str = "spot", *, funding: bool = False) -> WeightLimit:
        """The limit on a market's request weight, or on its requests for funding."""
        found = self.market(market)
        return found.funding_limit if funding else found.limit

    def revise(self, key: str, *, with_checksum: bool = True) -> Revision:
        """Rewrite a published archive in place; see `revisions`."""
        number, now = next(self._revisions), self.clock.now()
        market = self.market_of_key(key)
        archives = self._markets[market].klines if market else None
        return revise_archive(self.bucket, archives, key, number=number, with_checksum=with_checksum, now=now)

    def put_object(self, key: str, body: bytes, *, checksum: ChecksumChoice = "fresh") -> ObjectFacts:
        """Place any bytes at a key, last modified now. REST is not touched.

        The `.CHECKSUM` beside it is made `fresh`, removed (`none`), or left as it was (`stale`).
        """
        if not key.startswith("data/") or key.endswith("/"):
            raise ValueError(f"{key!r} cannot be a key of the bucket. It starts with data/ and names a file.")
        now = self.clock.now()
        facts, moment = ObjectFacts.of(body), now.replace(microsecond=0)
        beside = key + CHECKSUM
        if checksum == "stale" and self.bucket.exists(beside, now):
            kept = StoredObject(self.bucket.read(beside), self.bucket.last_modified(beside))
            self.bucket.place(beside, kept)
        elif checksum == "none" and not key.endswith(CHECKSUM):
            self.bucket.remove(beside)
        elif not key.endswith(CHECKSUM):
            digest = facts.sha256 if checksum == "fresh" else "0" * 64
            self.bucket.place(beside, StoredObject(checksum_text(digest, key.rpartition("/")[2]), moment))
        self.bucket.place(key, StoredObject(body, moment))
        return facts

    def remove_object(self, key: str) -> None:
        """Make a key missing (404 and unlisted)."""
        self.bucket.remove(key)

    def hold_publication(self, symbol: str, day: date, *, until: datetime | None, market: str = "spot") -> None:
        """Let a symbol-day's kline archives, real ones too, appear at `until` (UTC), or never."""
        archives = self.market(market).klines
        archives.publication.hold(symbol, day, until=until or NEVER)
        for key in archives.keys_of(symbol, day):
            self.bucket.hold(key, until=until or NEVER)
