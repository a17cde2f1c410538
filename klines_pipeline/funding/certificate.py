"""The certificate: for one symbol and day, which settlements are there, from where, and why any is missing.

A reason is only given with evidence. `exchange_halt` needs two witnesses: an archive and a REST answer without it.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import blake2b
from typing import Any

import polars as pl

from klines_pipeline.domain.states import NEVER_ASKED, ArchiveState, Life, Reason
from klines_pipeline.domain.utc_day import day_end, day_start
from klines_pipeline.funding.expected import Gap, Settlement, due_times, gaps_of
from klines_pipeline.funding.schema import CERTIFICATE_SCHEMA, REST, VALUES, VISION

_NEVER_CAME = frozenset({ArchiveState.NOT_PUBLISHED, ArchiveState.NO_ARCHIVE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is known of one symbol-day besides its rows."""

    archive: ArchiveState
    life: Life | None = None
    before: Settlement | None = None
    after: Settlement | None = None
    """The settlements next to the day, where a source has named them."""
    answered_until: datetime | None = None
    """REST has said what it has from the day's start to here; None where it has not."""
    refused: bool = False
    """REST answered that it does not know the symbol."""
    blocked: bool = False
    failed: bool = False


def certify(
    table: pl.DataFrame,
    conflicts: pl.DataFrame,
    evidence: Mapping[str, Evidence],
    day: date,
    *,
    now: datetime,
) -> pl.DataFrame:
    """One certificate a symbol in `evidence`, in CERTIFICATE_SCHEMA. `now` is the exchange's time."""
    parts, disputed = _rows_by_symbol(table), dict(conflicts.group_by("symbol").len().iter_rows())
    rows = []
    for symbol, known in sorted(evidence.items()):
        part = parts.get(symbol, [])
        present = [Settlement(row["funding_time"], row["interval_hours"]) for row in part]
        near = {"before": known.before, "after": known.after}
        due = due_times(present, day, now=now, **near, answered_until=known.answered_until)
        gaps = gaps_of(due, present, day)
        sources = [row["source"] for row in part]
        rows.append({
            "symbol": symbol,
            "expected": len(due),
            "present": len(present),
            "from_vision": sources.count(VISION),
            "from_rest": sources.count(REST),
            "missing": len(due) - len(present),
            "missing_ranges": [{"start": gap.start, "end": gap.end} for gap in gaps],
            "reason": join_reasons(explain(gaps, known, day, whole=not present)),
            "conflicts": disputed.get(symbol, 0),
            "fingerprint": _fingerprint(part) if part else None,
            "checked_at": now,
        })  # fmt: skip
    return pl.DataFrame(rows, schema=CERTIFICATE_SCHEMA)


def explain(gaps: Sequence[Gap], known: Evidence, day: date, *, whole: bool) -> set[Reason]:
    """Every reason that the gaps have; `whole`: the day has no settlement at all."""
    if gaps and whole and known.life in NEVER_ASKED:
        return {Reason(known.life)}
    reasons = set()
    for gap in gaps:
        answered = known.answered_until is not None and gap.last < known.answered_until
        reasons.add(_why_answered(gap, known, day, whole=whole) if answered else _why_unasked(known))
    return reasons


def _why_unasked(known: Evidence) -> Reason:
    if known.blocked:
        return Reason.BLOCKED
    if known.life in NEVER_ASKED:
        return Reason(known.life)
    return Reason.UNAVAILABLE if known.failed or known.archive not in _NEVER_CAME else Reason.NOT_PUBLISHED


def _why_answered(gap: Gap, known: Evidence, day: date, *, whole: bool) -> Reason:
    """REST answered without the gap's settlements: what do the archive and the edges of life add?"""
    if edge := _edge_of_life(gap, known, day, whole=whole):
        return edge
    if known.refused or known.archive is ArchiveState.NO_ARCHIVE:
        return Reason.NO_DATA
    if known.archive is ArchiveState.OK:
        return Reason.EXCHANGE_HALT
    if known.archive is not ArchiveState.NOT_PUBLISHED:
        return Reason(known.archive)
    return Reason.NO_DATA if whole else Reason.NOT_PUBLISHED


def _edge_of_life(gap: Gap, known: Evidence, day: date, *, whole: bool) -> Reason | None:
    """Before the first settlement or after the last one: what REST says of the name today does not matter then."""
    opens, closes = gap.start == day_start(day), gap.end == day_end(day) and known.after is None
    if known.archive is ArchiveState.OK:
        if opens and known.life is Life.FIRST_DAY:
            return Reason.NOT_LISTED
        return Reason.DELISTED if closes and known.life is Life.LAST_DAY else None
    if known.archive not in _NEVER_CAME:
        return None
    if opens and known.before is None and known.life is Life.FIRST_DAY and not known.refused:
        return Reason.NOT_LISTED
    if closes and not whole and known.life is Life.LAST_DAY:
        return Reason.DELISTED
    if known.archive is ArchiveState.NO_ARCHIVE:
        return None  # what REST lacks there it may have forgotten
    if closes and known.life is Life.PERHAPS_DELISTED:
        return Reason.DELISTED
    begun = opens and known.before is None and known.after is not None  # nothing the day before either, and some since
    return Reason.NOT_LISTED if begun else None


def join_reasons(reasons: Iterable[Reason]) -> str | None:
    """`a+b` in the order of the enum; None for none."""
    given = set(reasons)
    return "+".join(reason for reason in Reason if reason in given) or None


def fingerprints(table: pl.DataFrame) -> dict[str, str]:
    """Of each symbol's rows of a day, in the order they have."""
    return {symbol: _fingerprint(rows) for symbol, rows in _rows_by_symbol(table).items()}


def _rows_by_symbol(table: pl.DataFrame) -> dict[str, list[dict[str, Any]]]:
    """The table's rows, ascending, by symbol."""
    parts: dict[str, list[dict[str, Any]]] = {}
    for row in table.iter_rows(named=True):
        parts.setdefault(row["symbol"], []).append(row)
    return parts


def _fingerprint(rows: Sequence[Mapping[str, Any]]) -> str:
    """BLAKE2b-128 in hex of a symbol-day's values: the same for the same numbers, whatever their source."""
    values = [[row[name] for name in ("symbol", "funding_time", *VALUES)] for row in rows]
    return blake2b(json.dumps(values, default=str).encode(), digest_size=16).hexdigest()
