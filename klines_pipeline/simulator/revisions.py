"""Rewriting an archive in place, as the exchange does without notice: some rows changed, some added, one removed."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np

from klines_pipeline.simulator.archives import checksum_text, zip_archive
from klines_pipeline.simulator.bucket import Bucket
from klines_pipeline.simulator.columns import Klines
from klines_pipeline.simulator.hashing import stream_key, uniforms
from klines_pipeline.simulator.keyspace import CHECKSUM
from klines_pipeline.simulator.kline_archives import KlineArchives
from klines_pipeline.simulator.stored import ObjectFacts, StoredObject

_CHANGED_ROWS = 3
_FEWEST_ROWS_TO_REMOVE_ONE = 12
_DOUBLED = ("volume", "quote_volume", "trades", "taker_buy_volume", "taker_buy_quote_volume")


@dataclass(frozen=True, slots=True)
class Revision:
    """What a rewritten key holds now."""

    key: str
    sha256: str
    md5: str
    rows: int
    changed: tuple[int, ...]
    """Open times (µs) of rows with other volumes."""
    removed: tuple[int, ...]
    """Open times (µs) of rows that are gone from archive and REST alike."""


def revise_archive(
    bucket: Bucket, archives: KlineArchives | None, key: str, *, number: int, with_checksum: bool, now: datetime
) -> Revision:
    """Rewrite a published daily kline archive; REST has the new rows from now on.

    Rows the archive lacked are in the new one. Without a checksum the old `.CHECKSUM` stays, and is wrong.
    """
    archive = archives.parse(key) if archives else None
    if archives is None or archive is None or not bucket.exists(key, now):
        raise ValueError(f"{key!r} is not a published daily kline archive. Take the key of a .zip from the listing.")
    market = archives.market
    before = market.klines(archive.symbol, archive.interval, archive.day)
    after, changed, removed = _rewritten(before, stream_key(market.seed, "revision", key, number))
    moment = now.replace(microsecond=0)
    body = zip_archive(archive.name, archives.text(archive, after), written=moment)
    facts = ObjectFacts.of(body)
    if with_checksum:
        bucket.place(key + CHECKSUM, StoredObject(checksum_text(facts.sha256, archive.name), moment))
    elif bucket.exists(key + CHECKSUM, now):
        kept = StoredObject(bucket.read(key + CHECKSUM), bucket.last_modified(key + CHECKSUM))
        bucket.place(key + CHECKSUM, kept)
    bucket.place(key, StoredObject(body, moment))
    market.set_rows(archive.symbol, archive.interval, archive.day, lambda: after)
    return Revision(key, facts.sha256, facts.md5, len(after), changed, removed)


def _rewritten(klines: Klines, key: int) -> tuple[Klines, tuple[int, ...], tuple[int, ...]]:
    order = np.argsort(uniforms(key, np.arange(len(klines))), kind="stable")
    changed = np.zeros(len(klines), dtype=np.bool_)
    changed[order[:_CHANGED_ROWS]] = True
    removed = np.zeros(len(klines), dtype=np.bool_)
    if len(klines) >= _FEWEST_ROWS_TO_REMOVE_ONE:
        removed[order[_CHANGED_ROWS]] = True
    doubled = {name: np.where(changed, getattr(klines, name) * 2, getattr(klines, name)) for name in _DOUBLED}
    doubled["trades"] = np.where(changed, klines.trades + 1, klines.trades)
    after = klines.with_columns(**doubled).take(~removed)
    return after, tuple(klines.open_time[changed].tolist()), tuple(klines.open_time[removed].tolist())
