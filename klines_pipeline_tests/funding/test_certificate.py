"""Reasons need evidence: each row of the table below takes a piece of it away or adds one."""

from dataclasses import replace

import polars as pl
import pytest

from klines_pipeline.domain.states import ArchiveState, Life
from klines_pipeline.funding.certificate import Evidence, certify
from klines_pipeline.funding.expected import Settlement
from klines_pipeline.funding.schema import CERTIFICATE_SCHEMA, CONFLICT_SCHEMA, FUNDING_SCHEMA, REST
from klines_pipeline_tests.funding.moments import DAY, LATER, at, rows

ASKED = Evidence(archive=ArchiveState.OK, answered_until=at(24))
UNASKED = Evidence(archive=ArchiveState.OK)


def certificate(table: pl.DataFrame, evidence: Evidence) -> dict[str, object]:
    """BTCUSDT's."""
    found = certify(table, CONFLICT_SCHEMA.to_frame(), {"BTCUSDT": evidence}, DAY, now=LATER)
    assert found.schema == CERTIFICATE_SCHEMA
    return found.row(0, named=True)


def test_a_whole_day_needs_no_reason() -> None:
    table = pl.concat([rows("BTCUSDT", [0, 8]), rows("BTCUSDT", [16], source=REST)])

    found = certificate(table, UNASKED)

    assert (found["expected"], found["present"], found["from_vision"], found["from_rest"]) == (3, 3, 2, 1)
    assert (found["missing"], found["missing_ranges"], found["reason"]) == (0, [], None)


@pytest.mark.parametrize(
    ("evidence", "reason"),
    [
        (ASKED, "exchange_halt"),
        (UNASKED, "unavailable"),
        (replace(ASKED, answered_until=at(8)), "unavailable"),
        (replace(UNASKED, blocked=True), "blocked"),
        (replace(UNASKED, archive=ArchiveState.NOT_PUBLISHED), "not_published"),
        (replace(UNASKED, archive=ArchiveState.NOT_PUBLISHED, failed=True), "unavailable"),
        (replace(ASKED, archive=ArchiveState.NOT_PUBLISHED), "not_published"),
        (replace(ASKED, archive=ArchiveState.CORRUPT), "corrupt"),
        (replace(ASKED, archive=ArchiveState.CHECKSUM_MISMATCH), "checksum_mismatch"),
        (replace(ASKED, archive=ArchiveState.NO_ARCHIVE), "no_data"),
        (replace(ASKED, refused=True), "no_data"),
    ],
)
def test_a_settlement_lost_within_the_day(evidence: Evidence, reason: str) -> None:
    found = certificate(rows("BTCUSDT", [0, 16]), evidence)

    assert (found["expected"], found["missing"], found["reason"]) == (3, 1, reason)
    assert found["missing_ranges"] == [{"start": at(8), "end": at(16)}]


@pytest.mark.parametrize(
    ("evidence", "reason"),
    [
        (replace(UNASKED, archive=ArchiveState.NOT_PUBLISHED, life=Life.NOT_LISTED), "not_listed"),
        (replace(UNASKED, archive=ArchiveState.NOT_PUBLISHED, life=Life.DELISTED), "delisted"),
        (replace(ASKED, archive=ArchiveState.NOT_PUBLISHED, life=Life.PERHAPS_DELISTED), "delisted"),
        (replace(UNASKED, archive=ArchiveState.NOT_PUBLISHED, life=Life.PERHAPS_DELISTED), "not_published"),
        (replace(ASKED, life=Life.FIRST_DAY), "not_listed"),
        (replace(ASKED, life=Life.LAST_DAY), "delisted"),
        (replace(ASKED, life=Life.LAST_DAY, after=Settlement(at(24), 8)), "exchange_halt"),
        (
            replace(
                ASKED,
                archive=ArchiveState.NOT_PUBLISHED,
                life=Life.PERHAPS_DELISTED,
                before=Settlement(at(-8), 8),
                after=Settlement(at(24), 8),
            ),
            "no_data",
        ),
        (replace(ASKED, archive=ArchiveState.NOT_PUBLISHED), "no_data"),
        (replace(ASKED, archive=ArchiveState.NOT_PUBLISHED, after=Settlement(at(40), 8)), "not_listed"),
        (
            replace(
                ASKED,
                archive=ArchiveState.NOT_PUBLISHED,
                before=Settlement(at(-8), 8),
                after=Settlement(at(40), 8),
            ),
            "no_data",
        ),
        (replace(ASKED, archive=ArchiveState.NO_ARCHIVE, after=Settlement(at(40), 8)), "no_data"),
        (replace(ASKED, archive=ArchiveState.NO_ARCHIVE, life=Life.NOT_LISTED), "not_listed"),
        (replace(ASKED, archive=ArchiveState.NO_ARCHIVE, life=Life.FIRST_DAY), "not_listed"),
        (replace(ASKED, archive=ArchiveState.NO_ARCHIVE, life=Life.FIRST_DAY, before=Settlement(at(-8), 8)), "no_data"),
        (replace(ASKED, archive=ArchiveState.NOT_PUBLISHED, life=Life.FIRST_DAY), "not_listed"),
        (replace(ASKED, archive=ArchiveState.NOT_PUBLISHED, life=Life.FIRST_DAY, refused=True), "no_data"),
        (replace(ASKED, archive=ArchiveState.CORRUPT, life=Life.FIRST_DAY), "corrupt"),
        (replace(ASKED, archive=ArchiveState.NO_ARCHIVE, life=Life.DELISTED), "delisted"),
        (replace(ASKED, archive=ArchiveState.NO_ARCHIVE, life=Life.LAST_DAY, refused=True), "no_data"),
        (replace(ASKED, life=Life.FIRST_DAY, refused=True), "not_listed"),
        (replace(ASKED, life=Life.LAST_DAY, refused=True), "delisted"),
        (replace(ASKED, archive=ArchiveState.NOT_PUBLISHED, life=Life.PERHAPS_DELISTED, refused=True), "delisted"),
        (replace(ASKED, refused=True), "no_data"),
    ],
)
def test_a_day_without_any_settlement(evidence: Evidence, reason: str) -> None:
    found = certificate(FUNDING_SCHEMA.to_frame(), evidence)

    assert (found["expected"], found["present"], found["reason"]) == (3, 0, reason)
    assert found["missing_ranges"] == [{"start": at(0), "end": at(24)}]


@pytest.mark.parametrize("archive", [ArchiveState.OK, ArchiveState.NO_ARCHIVE])
@pytest.mark.parametrize("life", [Life.LAST_DAY, None])
def test_what_lacks_after_a_last_settlement_is_delisted_though_rest_forgot_the_name(
    life: Life | None, archive: ArchiveState
) -> None:
    found = certificate(rows("BTCUSDT", [0]), replace(ASKED, archive=archive, life=life, refused=True))

    assert (found["missing"], found["reason"]) == (2, "delisted" if life else "no_data")


def test_what_lacks_before_a_first_settlement_was_not_listed_and_what_lacks_later_is_a_halt() -> None:
    found = certificate(rows("BTCUSDT", [8], interval_hours=4), replace(ASKED, life=Life.FIRST_DAY))

    assert found["missing"] == 5
    assert found["reason"] == "exchange_halt+not_listed"


def test_a_distance_that_the_interval_before_a_switch_explains_is_a_switch_once_rest_has_answered() -> None:
    switched = pl.concat([rows("BTCUSDT", [0, 8]), rows("BTCUSDT", [16, 20], interval_hours=4)])

    found = [certificate(switched, evidence) for evidence in (ASKED, UNASKED)]

    assert [(row["expected"], row["missing"], row["reason"]) for row in found] == [(4, 0, None), (5, 1, "unavailable")]


def test_a_fingerprint_changes_with_a_rate_and_not_with_the_source() -> None:
    archived, asked = rows("BTCUSDT", [0], mark_price=1.0), rows("BTCUSDT", [0], source=REST, mark_price=1.0)
    other = rows("BTCUSDT", [0], mark_price=1.0, rate=-0.0001)

    prints = [certificate(table, UNASKED)["fingerprint"] for table in (archived, asked, other)]

    assert prints[0] == prints[1] != prints[2]
