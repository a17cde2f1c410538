"""What a day's table and certificates are made from, as a digest: while it stays the same, so do they."""

import json
from collections.abc import Mapping
from datetime import datetime
from hashlib import blake2b

from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.utc_day import to_microseconds
from klines_pipeline.klines.fingerprint import fingerprints
from klines_pipeline.klines.grid import TimeRange
from klines_pipeline.klines.ledgers import ArchiveEntry, SliceEntry
from klines_pipeline.stages.results import ToppedUpDay

_FORMAT = "2"
"""Raise it when the same inputs would give another table or certificate."""


def digest_of_inputs(
    dataset: Dataset,
    entries: Mapping[str, ArchiveEntry],
    topped_up: ToppedUpDay,
    expected: TimeRange,
    sizes: Mapping[str, float],
) -> str:
    """Of everything the table and the certificates are made from; attempts and the wording of errors are not."""
    facts = [
        _FORMAT,
        str(dataset.on_checksum_mismatch),
        to_microseconds(expected.end),
        [
            (name, entry.state, entry.sha256_actual, entry.revision, _time(entry.first_seen_at), entry.life)
            for name, entry in sorted(entries.items())
            if name in dataset.symbols
        ],
        [_asked(entry) for _, entry in sorted(topped_up.slices.items())],
        sorted(fingerprints(topped_up.rows).items()),
        topped_up.rows["ingested_at"].to_physical().to_list(),
        *([sorted((name, size) for name, size in sizes.items() if name in dataset.symbols)] if sizes else []),
    ]
    return blake2b(json.dumps(facts).encode(), digest_size=16).hexdigest()


def _asked(entry: SliceEntry) -> tuple[str | int | bool | None, ...]:
    """What was asked, when, and how it ended, as far as a reason depends on it."""
    times = (_time(moment) for moment in (entry.start, entry.end, entry.requested_at))
    return (entry.slice_key, entry.state, *times, entry.http_status, bool(entry.error))


def _time(instant: datetime | None) -> int | None:
    return None if instant is None else to_microseconds(instant)
