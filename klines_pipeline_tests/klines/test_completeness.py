"""Certificates as a grid: what each cell says, who comes first, who is left out."""

from datetime import date

import polars as pl

from klines_pipeline.klines.completeness import Cell, completeness

FIRST, LAST = date(2025, 3, 1), date(2025, 3, 3)


def certificates(*rows: tuple[str, int, int, str | None], expected: int = 1440) -> pl.DataFrame:
    """Symbol, day of March, klines missing, reason."""
    return pl.DataFrame(
        [(symbol, date(2025, 3, day), expected, missing, reason) for symbol, day, missing, reason in rows],
        schema={
            "symbol": pl.String,
            "date": pl.Date,
            "expected": pl.Int64,
            "missing": pl.Int64,
            "reason": pl.String,
        },
        orient="row",
    )


def test_a_cell_says_complete_explained_missing_or_nothing() -> None:
    grid = completeness(
        certificates(
            ("A", 1, 0, None), ("A", 2, 9, "exchange_halt"), ("B", 2, 1, "exchange_halt+unavailable"), ("B", 3, 0, None)
        ),
        FIRST,
        LAST,
        symbols=60,
        bars_per_day=1440,
        newest=LAST,
    )

    assert grid.days == (FIRST, date(2025, 3, 2), LAST)
    assert dict(zip(grid.symbols, grid.cells, strict=True)) == {
        "A": (Cell.COMPLETE, Cell.EXPLAINED, Cell.NOTHING),
        "B": (Cell.NOTHING, Cell.MISSING, Cell.COMPLETE),
    }


def test_those_that_lack_most_come_first_and_what_nobody_explained_weighs_more() -> None:
    grid = completeness(
        certificates(
            ("HALTED", 1, 1440, "exchange_halt"),
            ("WHOLE", 1, 0, None),
            ("ALSO", 1, 0, None),
            ("BROKEN", 1, 1, "unavailable"),
        ),
        FIRST,
        LAST,
        symbols=3,
        bars_per_day=1440,
        newest=LAST,
    )

    assert grid.symbols == ("BROKEN", "HALTED", "ALSO")
    assert grid.left_out == 1


def test_days_outside_weigh_nothing() -> None:
    grid = completeness(
        certificates(("A", 1, 9, "unavailable"), ("B", 2, 1, "unavailable")),
        LAST,
        LAST,
        symbols=60,
        bars_per_day=1440,
        newest=LAST,
    )

    assert grid.symbols == ()


def test_a_day_that_is_over_and_was_certified_in_part_only_is_not_complete() -> None:
    morning = certificates(("PARTLY", 2, 0, None), ("PARTLY", 3, 0, None), expected=600)
    rows = pl.concat([certificates(("WHOLE", 2, 0, None), ("HALTED", 2, 800, "exchange_halt")), morning])

    grid = completeness(rows, date(2025, 3, 2), LAST, symbols=60, bars_per_day=1440, newest=LAST)

    assert grid.symbols == ("PARTLY", "HALTED", "WHOLE")
    assert grid.cells[0] == (Cell.MISSING, Cell.COMPLETE), "the newest day may be in progress"
