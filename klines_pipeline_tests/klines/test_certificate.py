"""Certificates: counts that add up, and a reason only where there is evidence for it."""

from collections.abc import Sequence

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from klines_pipeline.domain.interval import Interval
from klines_pipeline.domain.states import EXPLAINED, ArchiveState, Life, Reason, SliceState
from klines_pipeline.domain.utc_day import day_end, to_microseconds
from klines_pipeline.klines.certificate import Evidence, certify, is_explained, join_reasons
from klines_pipeline.klines.fingerprint import fingerprints
from klines_pipeline.klines.grid import TimeRange
from klines_pipeline.klines.ledgers import CERTIFICATE_SCHEMA, ArchiveEntry, SliceEntry
from klines_pipeline.klines.merge import CONFLICT_SCHEMA, Merged
from klines_pipeline.klines.schema import REST
from klines_pipeline_tests.klines.frames import DAY, at, frame, kline, klines

ONE_MINUTE = Interval.parse("1m")
WHOLE_DAY = TimeRange(DAY, day_end(DAY.date()))
CHECKED_AT = at(2000)
NO_CONFLICTS = CONFLICT_SCHEMA.to_frame()


def archive(state: ArchiveState = ArchiveState.OK, life: Life | None = None) -> ArchiveEntry:
    return ArchiveEntry(symbol="A", key="k", state=state, error=life)


def asked(
    start: float = 0, end: float = 1440, *, state: SliceState = SliceState.OK, at_minute: float = 2000
) -> SliceEntry:
    key = f"A:1m:{start}:1000"
    return SliceEntry(slice_key=key, slice_id="", start=at(start), end=at(end), state=state, requested_at=at(at_minute))


def certificate(
    rows: pl.DataFrame,
    entry: ArchiveEntry,
    slices: Sequence[SliceEntry] = (),
    *,
    expected: TimeRange = WHOLE_DAY,
    conflicts: pl.DataFrame = NO_CONFLICTS,
    quarantined: pl.Series | None = None,
    confirmed: int = 0,
) -> dict[str, object]:
    """The one certificate of symbol A."""
    evidence = {"A": Evidence(entry, slices, quarantined)}
    merged = Merged(rows, conflicts, {"A": confirmed})
    table = certify(merged, evidence, expected, interval=ONE_MINUTE, checked_at=CHECKED_AT)
    assert table.schema == CERTIFICATE_SCHEMA
    return table.row(0, named=True)


def test_a_whole_day_is_certified_with_its_sources_flat_minutes_conflicts_and_fingerprint() -> None:
    flat = frame([kline("A", 0, volume=0.0, trades=0)])
    rows = pl.concat([flat, klines("A", range(1, 1400)), klines("A", range(1400, 1440), source=REST)])
    conflicts = pl.DataFrame([{"symbol": "A"}, {"symbol": "B"}], schema=CONFLICT_SCHEMA)

    assert certificate(rows, archive(), conflicts=conflicts, confirmed=7) == {
        "symbol": "A",
        "expected": 1440,
        "present": 1440,
        "from_vision": 1400,
        "from_rest": 40,
        "flat": 1,
        "missing": 0,
        "missing_ranges": [],
        "reason": None,
        "conflicts": 1,
        "fingerprint": fingerprints(rows)["A"],
        "checked_at": CHECKED_AT,
        "confirmed": 7,
    }


@given(st.sets(st.integers(0, 1439), max_size=30), st.integers(0, 1440))
def test_present_and_missing_add_up_to_expected(absent: set[int], closed: int) -> None:
    rows = klines("A", [minute for minute in range(closed) if minute not in absent])

    row = certificate(rows, archive(), expected=TimeRange(at(0), at(closed)))

    gaps = [TimeRange(gap["start"], gap["end"]) for gap in row["missing_ranges"]]
    assert (row["expected"], row["present"]) == (closed, rows.height)
    assert row["missing"] == closed - rows.height == sum(gap.bars(ONE_MINUTE) for gap in gaps)
    assert (row["reason"] is None) == (row["missing"] == 0)
    assert (row["fingerprint"] is None) == (rows.height == 0)


def test_a_row_beside_the_grid_fills_its_slot() -> None:
    rows = klines("A", [0.3, *range(1, 1440)])

    assert certificate(rows, archive())["missing"] == 0


def test_a_symbol_without_any_row_has_a_certificate_too() -> None:
    row = certificate(klines("A", []), archive(ArchiveState.NOT_PUBLISHED, Life.NOT_LISTED))

    assert (row["present"], row["missing"], row["from_rest"], row["reason"]) == (0, 1440, 0, "not_listed")


OK, ABSENT = ArchiveState.OK, ArchiveState.NOT_PUBLISHED
HOLE = (600, 660)
REASONS = [
    ("both witnesses lack it", archive(), [asked()], HOLE, "exchange_halt"),
    ("REST was not asked", archive(), [], HOLE, "unavailable"),
    ("REST was asked for half of it", archive(), [asked(600, 630)], HOLE, "exchange_halt+unavailable"),
    ("REST failed", archive(), [asked(state=SliceState.UNAVAILABLE)], HOLE, "unavailable"),
    ("REST has banned this address", archive(), [asked(state=SliceState.BANNED)], HOLE, "unavailable"),
    ("REST does not serve this address", archive(), [asked(state=SliceState.BLOCKED)], HOLE, "blocked"),
    ("REST answered too soon", archive(), [asked(at_minute=630)], HOLE, "exchange_halt+unavailable"),
    ("no archive and REST was not asked", archive(ABSENT), [], HOLE, "not_published"),
    ("no archive, REST has some", archive(ABSENT), [asked()], HOLE, "not_published"),
    ("no archive, REST has none", archive(ABSENT), [asked(state=SliceState.NO_DATA)], (0, 1440), "no_data"),
    ("no archive, REST is blocked", archive(ABSENT), [asked(state=SliceState.BLOCKED)], (0, 1440), "blocked"),
    ("the archive is broken", archive(ArchiveState.CORRUPT), [asked()], HOLE, "corrupt"),
    ("the archive is quarantined", archive(ArchiveState.CHECKSUM_MISMATCH), [asked()], HOLE, "checksum_mismatch"),
    ("the checksum is absent", archive(ArchiveState.CHECKSUM_ABSENT), [asked()], HOLE, "checksum_absent"),
    ("the archive could not be had", archive(ArchiveState.UNAVAILABLE), [asked()], HOLE, "unavailable"),
    ("before the listing", archive(ABSENT, Life.NOT_LISTED), [], (0, 1440), "not_listed"),
    ("long after the delisting", archive(ABSENT, Life.DELISTED), [], (0, 1440), "delisted"),
    ("after what seems a delisting", archive(ABSENT, Life.PERHAPS_DELISTED), [asked()], (0, 1440), "delisted"),
    ("what seems a delisting, not asked", archive(ABSENT, Life.PERHAPS_DELISTED), [], (0, 1440), "not_published"),
    ("the morning of the first day", archive(OK, Life.FIRST_DAY), [asked()], (0, 600), "not_listed"),
    ("a hole in the first day", archive(OK, Life.FIRST_DAY), [asked()], HOLE, "exchange_halt"),
    ("the evening of the last day", archive(OK, Life.LAST_DAY), [asked()], (600, 1440), "delisted"),
    ("the morning of the last day", archive(OK, Life.LAST_DAY), [asked()], (0, 600), "exchange_halt"),
]


@pytest.mark.parametrize(
    ("entry", "slices", "hole", "reason"), [row[1:] for row in REASONS], ids=[row[0] for row in REASONS]
)
def test_a_gap_has_the_reason_its_evidence_gives(
    entry: ArchiveEntry, slices: list[SliceEntry], hole: tuple[int, int], reason: str
) -> None:
    rows = klines("A", [minute for minute in range(1440) if not hole[0] <= minute < hole[1]])

    row = certificate(rows, entry, slices)

    assert row["reason"] == reason
    assert row["missing_ranges"] == [{"start": at(hole[0]), "end": at(hole[1])}]


@pytest.mark.parametrize(("minutes", "reason"), [(range(600), "exchange_halt"), (range(640), "checksum_mismatch")])
def test_a_quarantined_archive_is_a_witness_of_what_it_lacks(minutes: range, reason: str) -> None:
    rows = klines("A", [*range(600), *range(660, 1440)])
    slots = pl.Series([to_microseconds(at(minute)) for minute in minutes])

    row = certificate(rows, archive(ArchiveState.CHECKSUM_MISMATCH), [asked()], quarantined=slots)

    assert row["reason"] == reason


@given(st.sets(st.sampled_from(Reason)))
def test_a_day_is_explained_only_if_each_of_its_reasons_is(reasons: set[Reason]) -> None:
    text = join_reasons(reasons)

    assert is_explained(text) == (reasons <= EXPLAINED)
    assert text is None or text.split("+") == [reason for reason in Reason if reason in reasons]
