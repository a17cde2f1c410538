"""Quality rules pass a good day and count what is wrong in a bad one."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from klines_pipeline.domain.interval import Interval
from klines_pipeline.klines.agreement import RESAMPLED_EQUALS, REST_AGREES
from klines_pipeline.klines.fingerprint import fingerprints
from klines_pipeline.klines.ledgers import ARCHIVE_SCHEMA, CERTIFICATE_SCHEMA, NEWER_VERSION
from klines_pipeline.klines.quality import RULES, due_time, examine, last_closes
from klines_pipeline.klines.truths import CLOSES, DayTables, Severity, Truth, what_is_wrong
from klines_pipeline.stages.funding.rules import FUNDING_RULES
from klines_pipeline_tests.klines.frames import DAY, at, klines


def archive(state: str = "ok", error: str | None = None) -> pl.DataFrame:
    return pl.DataFrame([{"symbol": "A", "key": "k", "state": state, "error": error}], schema=ARCHIVE_SCHEMA)


def certificate(
    missing: int = 0, reason: str | None = None, *, symbol: str = "A", expected: int = 1440
) -> pl.DataFrame:
    row = {"symbol": symbol, "missing": missing, "reason": reason, "expected": expected}
    return pl.DataFrame([row], schema=CERTIFICATE_SCHEMA)


def closes(symbol: str, price: float) -> pl.DataFrame:
    """How the symbol ended the day before."""
    return pl.DataFrame([(symbol, price)], schema=CLOSES, orient="row")


TRUTHS = [
    *(rule.truth for rule in (*RULES.values(), *FUNDING_RULES.values())),
    REST_AGREES,
    RESAMPLED_EQUALS,
]
MINUTE = Interval.parse("1m")
FIVE_MINUTES = timedelta(minutes=5)
CERTIFIED = "table_is_what_was_certified"
GOOD = DayTables(DAY.date(), pl.concat([klines("A", range(5)), klines("B", range(5))]), archive(), certificate())


def by_other_rules(tables: DayTables) -> dict[str, pl.DataFrame]:
    """What rules find in frames made by hand, whose certificates have no fingerprints."""
    return {name: rows for name, rows in examine(tables).items() if name != CERTIFIED}


def issued(tables: DayTables) -> DayTables:
    """With a certificate for each symbol's rows as they are."""
    counts = tables.klines.group_by("symbol").len("from_rest").with_columns(pl.col("from_rest").cast(pl.Int64))
    prints = pl.col("symbol").replace_strict(fingerprints(tables.klines)).alias("fingerprint")
    rows = counts.with_columns(prints, from_vision=0).to_dicts()
    return tables._replace(certificates=pl.DataFrame(rows, schema=CERTIFICATE_SCHEMA))


OTHERS = pl.concat([klines("A", range(5)), klines("B", range(5), close=10.5)])


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        (GOOD.klines, []),
        (GOOD.klines.reverse(), []),
        (GOOD.klines.with_columns(source=pl.lit("rest"), revision=pl.lit(0, pl.Int16)), []),
        (OTHERS, [("B", 1)]),
        (GOOD.klines.head(7), [("B", 3)]),
        (GOOD.klines.head(5), [("B", 5)]),
        (pl.concat([GOOD.klines, klines("C", range(4))]), [("C", 4)]),
        (pl.concat([GOOD.klines, klines("B", [4])]), [("B", 1)]),
        (GOOD.klines.with_columns(pl.lit(None, pl.String).alias("symbol")), [("A", 5), ("B", 5)]),
        (GOOD.klines.clear(), [("A", 5), ("B", 5)]),
    ],
)
def test_rows_that_were_not_certified_are_counted(rows: pl.DataFrame, found: list[tuple[str, int]]) -> None:
    assert RULES[CERTIFIED].breaches(issued(GOOD)._replace(klines=rows)).rows() == found


def test_rows_without_any_certificate_are_not_what_was_certified_and_rows_to_be_certified_are_no_matter() -> None:
    none = GOOD._replace(certificates=CERTIFICATE_SCHEMA.to_frame())

    assert RULES[CERTIFIED].breaches(none).rows() == [("A", 5), ("B", 5)]
    assert not RULES[CERTIFIED].breaches(none._replace(certificates=pl.DataFrame())).height


@pytest.mark.parametrize(
    ("rule", "tables", "breaches"),
    [
        ("key_is_unique_and_sorted", GOOD._replace(klines=klines("A", [1, 1, 2, 2])), 2),
        ("key_is_unique_and_sorted", GOOD._replace(klines=klines("A", [2, 1])), 1),
        ("key_is_unique_and_sorted", GOOD._replace(klines=pl.concat([klines("B", [1]), klines("A", [2])])), 1),
        ("key_is_unique_and_sorted", GOOD._replace(klines=klines("A", [1, 2], open_time=None)), 2),
        ("rows_lie_in_their_day", GOOD._replace(klines=klines("A", [-1, 0, 1439, 1440])), 2),
        ("prices_are_finite_and_positive", GOOD._replace(klines=klines("A", [1, 2], close=None)), 2),
        ("prices_are_finite_and_positive", GOOD._replace(klines=klines("A", [1], high=float("inf"))), 1),
        ("prices_are_finite_and_positive", GOOD._replace(klines=klines("A", [1], low=0.0)), 1),
        ("high_and_low_bound_open_and_close", GOOD._replace(klines=klines("A", [1, 2], close=12.5)), 2),
        ("high_and_low_bound_open_and_close", GOOD._replace(klines=klines("A", [1], open=8.5)), 1),
        ("average_price_lies_between_low_and_high", GOOD._replace(klines=klines("A", [1, 2], volume=5000.0)), 2),
        ("average_price_lies_between_low_and_high", GOOD._replace(klines=klines("A", [1], quote_volume=800.0)), 1),
        ("archive_matches_checksum", GOOD._replace(archives=archive("checksum_mismatch")), 1),
        ("archive_matches_checksum", GOOD._replace(archives=archive("checksum_absent")), 1),
        ("archive_matches_checksum", GOOD._replace(archives=archive("corrupt", "bad zip")), 1),
        ("archive_matches_checksum", GOOD._replace(archives=archive("ok", f"{NEWER_VERSION}corrupt: x")), 1),
        ("klines_are_complete_or_explained", GOOD._replace(certificates=certificate(3, "unavailable")), 3),
        ("klines_are_complete_or_explained", GOOD._replace(certificates=certificate(3, "exchange_halt+blocked")), 3),
        ("klines_are_complete_or_explained", GOOD._replace(certificates=certificate(expected=600), owed=1440), 840),
        ("price_continues_across_days", GOOD._replace(closes_before=closes("A", 11.2)), 1),
        ("price_continues_across_days", GOOD._replace(closes_before=closes("B", 0.01)), 1),
        ("klines_are_fresh", GOOD._replace(due=at(5)), 1),
    ],
)
def test_a_breach_is_counted_under_its_symbol_and_under_no_other_rule(
    rule: str, tables: DayTables, breaches: int
) -> None:
    found = {name: rows.rows() for name, rows in by_other_rules(tables).items() if rows.height}

    assert list(found) == [rule]
    assert sum(count for _, count in found[rule]) == breaches


@pytest.mark.parametrize(
    "tables",
    [
        GOOD,
        GOOD._replace(klines=klines("A", [])),
        GOOD._replace(klines=klines("A", [1], volume=0.0, quote_volume=0.0)),
        GOOD._replace(klines=klines("A", [1], quote_volume=None)),
        GOOD._replace(klines=klines("A", [1], volume=0.001, quote_volume=0.01201)),
        GOOD._replace(closes_before=closes("A", 10.9)),
        GOOD._replace(closes_before=closes("GONE", 9999.0)),
        GOOD._replace(due=at(4)),
        GOOD._replace(due=at(9), certificates=certificate(10, "exchange_halt")),
        GOOD._replace(due=at(9), certificates=certificate(1440, "not_listed")),
        GOOD._replace(archives=archive("not_published", "delisted")),
        GOOD._replace(archives=archive("unavailable", "HTTP 503")),
        GOOD._replace(certificates=certificate(1440, "not_listed")),
        GOOD._replace(certificates=certificate(90, "exchange_halt+delisted")),
    ],
)
def test_a_good_or_explained_day_passes_every_rule(tables: DayTables) -> None:
    assert not any(rows.height for rows in by_other_rules(tables).values())


@pytest.mark.parametrize("truth", TRUTHS, ids=lambda truth: truth.name)
def test_a_truth_tells_people_what_to_do(truth: Truth) -> None:
    assert truth.remedy
    assert truth.blocking is (truth.severity is Severity.ERROR)


def test_only_symbols_that_are_still_asked_for_must_be_fresh() -> None:
    """A was given up when 3 klines were expected; B is at the 10th of them and C has none."""
    certificates = [
        certificate(symbol="A", expected=3),
        certificate(symbol="B", expected=10),
        certificate(10, "blocked", symbol="C", expected=10),
    ]
    both = pl.concat([klines("A", range(3)), klines("B", range(10))])
    tables = GOOD._replace(klines=both, certificates=pl.concat(certificates), due=at(7))

    assert RULES["klines_are_fresh"].breaches(tables).rows() == [("C", 1)]


@pytest.mark.parametrize(
    ("expected", "due"),
    [(1440, None), (600, datetime(2024, 3, 1, 9, 54, tzinfo=UTC)), (6, at(0)), (5, None), (0, None)],
)
def test_a_day_owes_klines_up_to_the_cadence_before_it_was_certified(expected: int, due: datetime | None) -> None:
    assert due_time(DAY.date(), certificate(expected=expected), MINUTE, FIVE_MINUTES) == due


def test_an_hour_that_has_just_closed_is_due_only_after_the_cadence() -> None:
    due = due_time(DAY.date(), certificate(expected=10), Interval.parse("1h"), FIVE_MINUTES)

    assert due == datetime(2024, 3, 1, 8, 55, tzinfo=UTC)


def test_last_closes_are_those_of_the_last_kline_there_is() -> None:
    day = pl.concat([klines("A", [1, 900], close=9.5), klines("B", [7])])

    assert last_closes(day).rows() == [("A", 9.5), ("B", 11.0)]


def test_what_keeps_a_day_red_names_the_truth_the_symbols_and_the_remedy() -> None:
    wrong = pl.concat([klines("A", [1, 2], open=99.0), klines("B", [3], close=1.0)])

    text = what_is_wrong(GOOD._replace(klines=wrong, certificates=pl.DataFrame()), RULES)

    assert text is not None
    assert text.startswith("high_and_low_bound_open_and_close does not hold for A (2 rows), B (1 rows). Remedy: ")
    assert what_is_wrong(issued(GOOD), RULES) is None


def test_a_warning_never_keeps_a_day_red() -> None:
    odd = GOOD._replace(klines=klines("A", [1], volume=5000.0), certificates=pl.DataFrame())

    assert what_is_wrong(odd._replace(closes_before=closes("A", 1.0), due=at(900)), RULES) is None
