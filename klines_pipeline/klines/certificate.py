"""The certificate: for one symbol and day, what is there, from where, and why anything is missing.

A reason is only given with evidence. `exchange_halt` needs two witnesses: an archive that lacks the kline and a REST
answer, HTTP 200, without it. An archive in quarantine may witness a gap between its own rows, but not one that reaches
the end of the day: there it may as well be cut short, as ARBUSDT 1h of 2023-07-27 is.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from klines_pipeline.domain.interval import Interval
from klines_pipeline.domain.states import (
    BLOCKED_STATUS,
    EXPLAINED,
    NEVER_ASKED,
    NEVER_CAME,
    ArchiveState,
    Life,
    Reason,
    SliceState,
)
from klines_pipeline.domain.utc_day import to_microseconds
from klines_pipeline.klines.fingerprint import fingerprints
from klines_pipeline.klines.grid import TimeRange, missing_ranges, present_slots, subtract
from klines_pipeline.klines.ledgers import CERTIFICATE_SCHEMA, ArchiveEntry, SliceEntry
from klines_pipeline.klines.merge import Merged
from klines_pipeline.klines.schema import REST, VISION, slot
from klines_pipeline.klines.slices import answered_ranges

_HTTP_OK = 200


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of one symbol-day besides its rows."""

    archive: ArchiveEntry
    slices: Sequence[SliceEntry]
    quarantined: pl.Series | None = None
    """Grid slots (µs) that a quarantined archive has: not used for the table, but a witness of what it lacks."""
    rejected: pl.Series | None = None
    """Grid slots (µs) for which a source had a row that could not be a kline."""


def certify(
    merged: Merged,
    evidence: Mapping[str, Evidence],
    expected: TimeRange,
    *,
    interval: Interval,
    checked_at: datetime,
) -> pl.DataFrame:
    """One certificate a symbol in `evidence`, in CERTIFICATE_SCHEMA."""
    counts = {row["symbol"]: row for row in _counts(merged.klines, interval).iter_rows(named=True)}
    whole = {symbol for symbol, row in counts.items() if row.pop("slots") == expected.bars(interval)}
    disputed = dict(merged.conflicts.group_by("symbol").len().iter_rows())
    prints = fingerprints(merged.klines)
    slots = present_slots(merged.klines.filter(~pl.col("symbol").is_in(whole)), interval)
    rows = []
    for symbol, known in sorted(evidence.items()):
        gaps = [] if symbol in whole else missing_ranges(slots.get(symbol), expected, interval)
        missing = sum(gap.bars(interval) for gap in gaps)
        rows.append({
            **counts.get(symbol, {"symbol": symbol, "from_vision": 0, "from_rest": 0, "flat": 0}),
            "expected": expected.bars(interval),
            "present": expected.bars(interval) - missing,
            "missing": missing,
            "missing_ranges": [gap._asdict() for gap in gaps],
            "reason": join_reasons(explain(gaps, known, expected)),
            "conflicts": disputed.get(symbol, 0),
            "fingerprint": prints.get(symbol),
            "checked_at": checked_at,
            "confirmed": merged.confirmed.get(symbol, 0),
        })  # fmt: skip
    return pl.DataFrame(rows, schema=CERTIFICATE_SCHEMA)


def _counts(klines: pl.DataFrame, interval: Interval) -> pl.DataFrame:
    return klines.group_by("symbol").agg(
        slot(interval.microseconds).n_unique().alias("slots"),
        (pl.col("source") == VISION).sum().cast(pl.Int64).alias("from_vision"),
        (pl.col("source") == REST).sum().cast(pl.Int64).alias("from_rest"),
        ((pl.col("volume") == 0) & (pl.col("trades").fill_null(0) == 0)).sum().cast(pl.Int64).alias("flat"),
    )


def explain(gaps: Sequence[TimeRange], known: Evidence, expected: TimeRange) -> set[Reason]:
    """Every reason that the gaps have."""
    if not gaps:
        return set()
    whole = list(gaps) == [expected]
    if whole and known.archive.life in NEVER_ASKED:
        return {Reason(known.archive.life)}
    answered = answered_ranges(known.slices)
    if whole and answered and known.archive.life is Life.PERHAPS_DELISTED:
        return {Reason.DELISTED}
    reasons = set()
    for gap in gaps:
        unasked = subtract([gap], answered)
        if unasked:
            reasons.add(_why_unasked(known))
        if unasked != [gap]:
            reasons.add(_why_answered(gap, known, expected, whole=whole))
    return reasons


def _why_unasked(known: Evidence) -> Reason:
    """REST said nothing of the gap, or too soon after it closed."""
    if any(entry.state is SliceState.BLOCKED or entry.http_status in BLOCKED_STATUS for entry in known.slices):
        return Reason.BLOCKED
    if known.archive.life in NEVER_ASKED:
        return Reason(known.archive.life)
    if any(entry.error for entry in known.slices) or known.archive.state not in NEVER_CAME:
        return Reason.UNAVAILABLE
    return Reason.NO_DATA if known.archive.state is ArchiveState.NO_ARCHIVE else Reason.NOT_PUBLISHED


def _why_answered(gap: TimeRange, known: Evidence, expected: TimeRange, *, whole: bool) -> Reason:
    """REST answered without the gap's klines: what does the archive add?"""
    life = known.archive.life
    if _has(known.rejected, gap):
        return Reason.REJECTED
    if life is Life.FIRST_DAY and gap.start == expected.start and not whole:
        return Reason.NOT_LISTED
    if life is Life.LAST_DAY and gap.end == expected.end and not whole:
        return Reason.DELISTED
    if any(entry.error is None and entry.http_status not in (None, _HTTP_OK) for entry in known.slices):
        return Reason.NO_DATA  # an unknown symbol says nothing of klines
    if known.archive.state is ArchiveState.OK:
        return Reason.EXCHANGE_HALT
    if known.archive.state is ArchiveState.NO_ARCHIVE:
        return Reason.NO_DATA  # one witness is no proof of a halt
    if known.archive.state is not ArchiveState.NOT_PUBLISHED:
        lacks = known.quarantined is not None and not _has(known.quarantined, gap) and gap.end < expected.end
        return Reason.EXCHANGE_HALT if lacks else Reason(known.archive.state)
    return Reason.NO_DATA if whole else Reason.NOT_PUBLISHED


def _has(slots: pl.Series | None, gap: TimeRange) -> bool:
    """Whether any of the slots lies in the gap."""
    if slots is None:
        return False
    return bool(((slots >= to_microseconds(gap.start)) & (slots < to_microseconds(gap.end))).any())


def join_reasons(reasons: Iterable[Reason]) -> str | None:
    """`a+b` in the order of the enum; None for none."""
    given = set(reasons)
    return "+".join(reason for reason in Reason if reason in given) or None


def is_explained(reason: str | None) -> bool:
    """Whether the exchange itself has nothing there, by evidence (or nothing is missing at all)."""
    return reason is None or all(part in EXPLAINED for part in reason.split("+"))
