"""What rules found, in a sentence: how much was looked at, how much is wrong, the gravest first."""

from datetime import date, timedelta

import pytest

from klines_pipeline.klines.findings import Finding, Looked, counted
from klines_pipeline.klines.truths import Severity, Truth

TRUTH = Truth("klines_are_complete", Severity.WARN, "Remedy: wait.", "kline missing")
DAYS = [date(2025, 3, 1) + timedelta(days=number) for number in range(31)]


def looked(*, days: int = 31, empty: int = 0) -> Looked:
    """Sixty symbols; the last days are `empty`."""
    made = Looked()
    for number, day in enumerate(DAYS[:days]):
        symbols = [f"S{symbol}" for symbol in range(60)]
        made.add(day, symbols, is_empty=number >= days - empty)
    return made


def test_what_holds_says_how_much_was_looked_at() -> None:
    sentence = Finding("rule", looked(days=3)).sentence(TRUTH)

    assert sentence == "3 days (2025-03-01 to 2025-03-03) and 60 symbols looked at: no kline missing."
    assert Finding("rule", looked(days=1)).sentence(TRUTH).startswith("2025-03-01 and 60 symbols looked at: ")
    assert Finding("rule").sentence(TRUTH) == "No day was looked at."


def test_what_does_not_hold_names_the_gravest_first() -> None:
    finding = Finding("rule", looked())
    finding.add(DAYS[1], "BTCUSDT", 1)
    finding.add(DAYS[1], "ETHUSDT", 80)
    finding.add(DAYS[4], "BTCUSDT", 1440)
    finding.add(DAYS[4], "SOLUSDT", 1)

    assert finding.bad_days == ["2025-03-02", "2025-03-05"]
    assert finding.sentence(TRUTH) == (
        "2 of 31 days bad, 1,522 klines missing: "
        "2025-03-05 BTCUSDT (1,440), 2025-03-02 ETHUSDT (80), 2025-03-02 BTCUSDT (1) and 1 more symbol-day."
    )


def test_only_the_gravest_are_kept_and_all_are_counted() -> None:
    finding = Finding("rule", looked())
    for day in DAYS:
        for symbol in range(60):
            finding.add(day, f"S{symbol}", 1 + symbol)

    assert (finding.symbol_days, len(finding.bad_days), len(finding.worst)) == (31 * 60, 31, 20)
    assert {breach.times for breach in finding.worst} == {60}
    assert finding.sentence(TRUTH).endswith(" and 1,857 more symbol-days.")


def test_days_of_which_the_lake_has_nothing_are_not_passed_over() -> None:
    assert Finding("rule", looked(days=5, empty=2)).sentence(TRUTH).endswith(
        ": no kline missing. The lake has nothing of 2025-03-04, 2025-03-05."
    )  # fmt: skip
    assert Finding("rule", looked(empty=9)).sentence(TRUTH).endswith("2025-03-25 and 6 more.")


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 rows of it"), (1, "1 row of it"), (2, "2 rows of it"), (1440, "1,440 rows of it")]
)
def test_things_are_counted_in_english(number: int, text: str) -> None:
    assert counted(number, "row of it") == text
    assert counted(number, "more row of it") == text.replace(" row", " more row")
