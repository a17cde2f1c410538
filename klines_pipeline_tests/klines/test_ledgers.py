"""Ledger rows survive the way to a frame and back."""

from dataclasses import replace

import pytest

from klines_pipeline.domain.states import ArchiveState, Life, SliceState
from klines_pipeline.klines.ledgers import (
    ARCHIVE_SCHEMA,
    REVISION_SCHEMA,
    SLICE_SCHEMA,
    ArchiveEntry,
    RevisionEntry,
    SliceEntry,
    archive_entries,
    note,
    slice_entries,
    to_frame,
)
from klines_pipeline_tests.klines.frames import DAY, at

ARCHIVE = ArchiveEntry(
    symbol="币安人生USDT",
    key="data/x.zip",
    state=ArchiveState.OK,
    size=7,
    etag="abc",
    last_modified=at(1500),
    sha256_published="ab",
    sha256_actual="ab",
    rows=1440,
    first_open_time=at(0),
    last_open_time=at(1439),
    revision=2,
    first_seen_at=at(1600),
    fetched_at=at(1601),
    attempts=1,
    http_status=200,
)
SLICE = SliceEntry(
    slice_key="BTCUSDT:1m:0:1000",
    slice_id="ff",
    start=at(0),
    end=at(1000),
    state=SliceState.NO_DATA,
    requested_at=at(1500),
)


def test_archives_and_slices_are_read_as_they_were_written() -> None:
    bare = ArchiveEntry(symbol="A", key="k", state=ArchiveState.NOT_PUBLISHED)

    assert archive_entries(to_frame([ARCHIVE, bare], ARCHIVE_SCHEMA)) == {ARCHIVE.symbol: ARCHIVE, "A": bare}
    assert slice_entries(to_frame([SLICE], SLICE_SCHEMA)) == {SLICE.slice_key: SLICE}
    assert SLICE.symbol == "BTCUSDT"


def test_states_read_back_are_states_and_not_texts() -> None:
    [entry] = archive_entries(to_frame([ARCHIVE], ARCHIVE_SCHEMA)).values()

    assert isinstance(entry.state, ArchiveState)


@pytest.mark.parametrize("schema", [ARCHIVE_SCHEMA, SLICE_SCHEMA, REVISION_SCHEMA])
def test_an_empty_ledger_has_its_columns(schema: object) -> None:
    assert to_frame([], schema).schema == schema


def test_a_revision_row_has_every_field_of_its_schema() -> None:
    entry = RevisionEntry(
        symbol="A",
        date=DAY.date(),
        key="k",
        revision=2,
        sha256="ab",
        etag=None,
        last_modified=None,
        seen_at=at(0),
        rows_added=1,
        rows_removed=2,
        rows_changed=3,
    )

    assert to_frame([entry], REVISION_SCHEMA).row(0, named=True)["rows_changed"] == 3


@pytest.mark.parametrize(
    ("life", "problem", "text"),
    [
        (None, None, None),
        (Life.DELISTED, None, "delisted"),
        (None, "HTTP 503: gone", "HTTP 503: gone"),
        (Life.FIRST_DAY, "the zip: broken", "first_day: the zip: broken"),
    ],
)
def test_error_holds_life_and_problem_and_gives_both_back(
    life: Life | None, problem: str | None, text: str | None
) -> None:
    entry = replace(ARCHIVE, error=note(life, problem))

    assert (entry.error, entry.life, entry.problem) == (text, life, problem)
