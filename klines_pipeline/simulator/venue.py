"""The whole make-believe exchange behind the HTTP answers: clock, market, bucket, limits, faults, counts.

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
from klines_pipeline.simulator.market import Market
from klines_pipeline.simulator.markets import SPOT
from klines_pipeline.simulator.publication import NEVER
from klines_pipeline.simulator.real_files import lay_over
from klines_pipeline.simulator.revisions import Revision, revise_archive
from klines_pipeline.simulator.stored import ObjectFacts, StoredObject
from klines_pipeline.simulator.tally import Tally

ChecksumChoice = Literal["fresh", "none", "stale"]


class Venue:
    """Everything a handler may ask."""

    def __init__(self, *, seed: int, now: datetime | None, rate: float, root: Path | None, extra_symbols: int) -> None:
        self.rules = SPOT
        self.clock = SimulatedClock(start=now, rate=rate)
        self.market = Market(seed=seed, extra_symbols=extra_symbols)
        self.bucket = Bucket(market=self.market, rules=self.rules)
        self.limit = WeightLimit(self.clock, weight_limit=self.rules.weight_limit)
        self.faults = Faults(seed=seed)
        self.tally = Tally()
        self._revisions = itertools.count(1)
        self.bucket.shelf.put_all(junk_objects())
        if root is not None:
            lay_over(self.bucket, root)

    def revise(self, key: str, *, with_checksum: bool = True) -> Revision:
        """Rewrite a published archive in place; see `revisions`."""
        number, now = next(self._revisions), self.clock.now()
        return revise_archive(self.bucket, key, number=number, with_checksum=with_checksum, now=now)

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

    def hold_publication(self, symbol: str, day: date, *, until: datetime | None) -> None:
        """Let a symbol-day's archives appear at `until` (UTC), or never."""
        self.bucket.hold(symbol, day, until=until or NEVER)
