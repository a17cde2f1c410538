"""Quality rules pass a good day and count what is wrong in a bad one."""

import polars as pl
import pytest

from klines_pipeline.klines.ledgers import ARCHIVE_SCHEMA, CERTIFICATE_SCHEMA, NEWER_VERSION
from klines_pipeline.klines.quality import RULES, DayTables, Severity, examine
from klines_pipeline_tests.klines.frames import klines


def archive(state: str = "ok", error: str | None = None) -> pl.DataFrame:
    return pl.DataFrame([{"symbol": "A", "key": "k", "state": state, "error": error}], schema=ARCHIVE_SCHEMA)


def certificate(missing: int = 0, reason: str | None = None) -> pl.DataFrame:
    return pl.DataFrame([{"symbol": "A", "missing": missing, "reason": reason}], schema=CERTIFICATE_SCHEMA)


GOOD = DayTables(pl.concat([klines("A", range(5)), klines("B", range(5))]), archive(), certificate())


@pytest.mark.parametrize(
    ("rule", "tables", "breaches"),
    [
        ("key_is_unique_and_sorted", GOOD._replace(klines=klines("A", [1, 1, 2, 2])), 2),
        ("key_is_unique_and_sorted", GOOD._replace(klines=klines("A", [2, 1])), 1),
        ("key_is_unique_and_sorted", GOOD._replace(klines=pl.concat([klines("B", [1]), klines("A", [2])])), 1),
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
    ],
)
def test_a_breach_is_counted_under_its_symbol_and_under_no_other_rule(
    rule: str, tables: DayTables, breaches: int
) -> None:
    found = {name: rows.rows() for name, rows in examine(tables).items() if rows.height}

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
        GOOD._replace(archives=archive("not_published", "delisted")),
        GOOD._replace(archives=archive("unavailable", "HTTP 503")),
        GOOD._replace(certificates=certificate(1440, "not_listed")),
        GOOD._replace(certificates=certificate(90, "exchange_halt+delisted")),
    ],
)
def test_a_good_or_explained_day_passes_every_rule(tables: DayTables) -> None:
    assert {name: rows.height for name, rows in examine(tables).items()} == dict.fromkeys(RULES, 0)


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.name)
def test_a_rule_tells_people_what_to_do(rule: object) -> None:
    assert "Remedy: " in rule.description
    assert rule.severity in Severity
