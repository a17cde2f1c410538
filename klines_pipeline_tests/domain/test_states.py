"""Words that stand in the ledgers for ever."""

from klines_pipeline.domain.states import EXPLAINED, NEVER_ASKED, ArchiveState, Life, Reason, SliceState

WRITTEN = {
    ArchiveState: "ok not_published unavailable checksum_absent checksum_mismatch corrupt no_archive",
    SliceState: "ok no_data blocked banned unavailable",
    Reason: "exchange_halt not_listed delisted no_data not_published checksum_absent checksum_mismatch corrupt "
    "rejected blocked unavailable",
}


def test_states_are_spelled_as_lakes_already_written_have_them() -> None:
    assert {kind: " ".join(kind) for kind in WRITTEN} == WRITTEN


def test_a_life_that_is_never_asked_is_a_reason_by_itself() -> None:
    assert {Reason(life) for life in NEVER_ASKED} <= EXPLAINED
    assert not set(Life) & set(ArchiveState)


def test_no_failure_counts_as_an_explanation() -> None:
    assert not EXPLAINED & {Reason.UNAVAILABLE, Reason.BLOCKED, Reason.CORRUPT, Reason.NOT_PUBLISHED}
