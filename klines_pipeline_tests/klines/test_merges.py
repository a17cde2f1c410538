"""Since when the table has which version, and what REST's answers that came late add to that."""

from datetime import datetime

import polars as pl
import pytest

from klines_pipeline.klines.ledgers import MERGE_SCHEMA
from klines_pipeline.klines.merges import Change, Known, with_merge
from klines_pipeline.klines.schema import UTC_TIME
from klines_pipeline_tests.klines.frames import DAY, at

ROW = {"symbol": pl.String, "slot": pl.Int64, "source": pl.String, "revision": pl.Int16, "ingested_at": UTC_TIME}
NOTHING = MERGE_SCHEMA.to_frame()


def table(*rows: tuple[str, int, int, int]) -> pl.DataFrame:
    """Rows (symbol, slot, revision, minute of ingestion); revision 0 is REST's."""
    told = [(name, slot, "vision" if version else "rest", version, at(minute)) for name, slot, version, minute in rows]
    return pl.DataFrame(told, ROW, orient="row")


def merged(ledger: pl.DataFrame, change: Change, *, began: int, minute: int) -> list[tuple[object, ...]]:
    return with_merge(ledger, change, began=at(began), at=at(minute)).rows()


def ledger_of(*rows: tuple[str, int, datetime | None, datetime | None]) -> pl.DataFrame:
    return pl.DataFrame(rows, MERGE_SCHEMA, orient="row")


REST = table(("A", 0, 0, 5))
FIRST = table(("A", 0, 1, 10), ("A", 1, 1, 10))
SECOND = table(("A", 0, 2, 20), ("A", 1, 2, 20))


def test_a_version_counts_from_its_merge_and_answers_need_no_row() -> None:
    grows = Change(
        REST, table(("A", 0, 0, 5), ("A", 1, 0, 7)), table(("A", 0, 0, 5), ("A", 1, 0, 7)), ["symbol", "slot"]
    )
    assert merged(NOTHING, grows, began=7, minute=7) == []

    comes = Change(REST, FIRST, REST, ["symbol", "slot"])
    assert merged(NOTHING, comes, began=10, minute=11) == [("A", 1, at(11), None)]


def test_answers_given_before_the_run_began_came_late() -> None:
    late = Change(REST.clear(), REST, REST, ["symbol", "slot"])

    assert merged(NOTHING, late, began=6, minute=9) == [("A", 0, at(9), at(5))]
    assert merged(NOTHING, late, began=5, minute=9) == []
    assert merged(NOTHING, late._replace(is_lost=True), began=6, minute=9) == []


def test_a_row_whose_table_never_came_about_is_replaced() -> None:
    known = ledger_of(("A", 1, at(11), None), ("A", 2, at(21), None), ("B", 1, at(11), None))
    again = Change(FIRST, SECOND, REST.clear(), ["symbol", "slot"])

    assert merged(known, again, began=30, minute=31) == [
        ("A", 1, at(11), None),
        ("B", 1, at(11), None),
        ("A", 2, at(31), None),
    ]


def test_a_version_from_before_the_ledger_is_told_without_an_instant() -> None:
    change = Change(FIRST, SECOND, REST.clear(), ["symbol", "slot"])

    assert merged(NOTHING, change, began=20, minute=21) == [("A", 1, None, None), ("A", 2, at(21), None)]


@pytest.mark.parametrize(("minute", "revision"), [(10, None), (11, 1), (20, 1), (21, 2), (30, 2), (31, None), (41, 2)])
def test_at_each_instant_one_version_is_in_force(minute: int, revision: int | None) -> None:
    rows = [("A", 1, at(11), None), ("A", 2, at(21), None), ("A", 0, at(31), None), ("A", 2, at(41), None)]
    day = pl.lit(DAY.date()).alias("date")
    versions = pl.DataFrame({"symbol": ["A", "A"], "revision": [1, 2], "verified_at": [at(9), at(19)]}).with_columns(
        day, pl.col("revision").cast(pl.Int16), pl.col("verified_at").cast(UTC_TIME)
    )

    known = Known(ledger_of(*rows).with_columns(day), versions)

    assert known.in_force(at(minute))["revision"].to_list() == ([revision] if revision else [])
    assert known.changed_after(at(minute)).height == (minute < 41)
