"""Checks that take a second source: a few requests a run, numbers that plot, silence that is said and never raised."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from klines_pipeline.domain.wanted import Kind
from klines_pipeline.klines.agreement import RESAMPLED_EQUALS, REST_AGREES
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline_tests.defs.assets.test_klines import KLINES, RESAMPLED, REST, VISION, definitions, run
from klines_pipeline_tests.defs.checks.test_quality import outcomes, selected
from klines_pipeline_tests.defs.conftest import built
from klines_pipeline_tests.faults.archives import Lines, key_of, rewrite, with_cell

__all__ = ["definitions"]
CHAIN = [VISION, REST, KLINES, RESAMPLED]
HOURS = [dg.AssetKey(["binance", "spot", f"{stage}_1h"]) for stage in ("vision_klines", "rest_klines", "klines")]
WITH_HOURS = """
datasets:
  - {interval: 1m, start: 2024-01-01, symbols: [BTCUSDT, ETHUSDT], resample: [1h]}
  - {interval: 1h, start: 2024-01-01, symbols: [BTCUSDT, ETHUSDT, SOLUSDT]}
"""


def of(result: dg.ExecuteInProcessResult, name: str) -> tuple[bool, dict[str, Any]]:
    """Whether a check passed, and its metadata."""
    check = outcomes(result)[name]
    assert check.severity == dg.AssetCheckSeverity.WARN
    return check.passed, {key: value.value for key, value in check.metadata.items()}


def numbers(metadata: Mapping[str, Any]) -> tuple[int, int, float, int]:
    return tuple(metadata[key] for key in ("rows_compared", "rows_differing", "largest_difference", "requests"))  # type: ignore[return-value]


def asked(exchange: EmbeddedExchange) -> int:
    return int(exchange.requests()["rest"].get("klines", 0))


def doubled(lines: Lines) -> Lines:
    """Twice the volume in every row: no rule of one source minds that."""
    return [with_cell(with_cell(line, 5, "7"), 7, str(7 * float(line.split(",")[1]))) for line in lines]


def test_a_sample_of_three_answers_stands_for_a_range_of_archives(
    definitions: dg.Definitions, instance: dg.DagsterInstance, exchange: EmbeddedExchange
) -> None:
    result = run(definitions, instance, "2024-03-01", "2024-03-05", kind=Kind.PUBLISHED)

    passed, found = of(result, REST_AGREES.name)

    assert passed
    assert numbers(found)[1:] == (0, 0.0, 3)
    assert 3 * 440 <= found["rows_compared"] <= 3 * 1000
    assert asked(exchange) == 3


def test_an_archive_that_rest_contradicts_is_a_warning_with_numbers(
    definitions: dg.Definitions, instance: dg.DagsterInstance, exchange: EmbeddedExchange
) -> None:
    rewrite(exchange, key_of("ETHUSDT", "2024-03-02"), doubled)

    result = run(definitions, instance, "2024-03-02", "2024-03-02", *CHAIN, kind=Kind.REWRITTEN)

    assert result.success
    passed, found = of(result, REST_AGREES.name)
    assert not passed
    assert found["rows_differing"] in (440, 1000)
    assert found["largest_difference"] > 0.5
    assert found["bad_days"] == ["2024-03-02"]
    assert "ETHUSDT" in str(outcomes(result)[REST_AGREES.name].description)


def test_rest_that_does_not_answer_is_said_and_warns_of_nothing(
    definitions: dg.Definitions, instance: dg.DagsterInstance, exchange: EmbeddedExchange
) -> None:
    exchange.add_fault(kind="blocked", match="/api/v3/klines")

    result = run(definitions, instance, "2024-03-01", "2024-03-02", *CHAIN, kind=Kind.HISTORY)

    assert result.success
    for name in (REST_AGREES.name, RESAMPLED_EQUALS.name):
        passed, found = of(result, name)
        assert passed
        assert numbers(found) == (0, 0, 0.0, 1)
        assert "does not serve this address (HTTP 451)" in found["not_compared"][0]


def test_rest_that_has_nothing_of_what_the_lake_has_is_no_agreement(
    definitions: dg.Definitions, instance: dg.DagsterInstance, exchange: EmbeddedExchange
) -> None:
    exchange.add_fault(kind="status", status=200, body="[]", match="/api/v3/klines")

    result = run(definitions, instance, "2024-03-01", "2024-03-02", *CHAIN, kind=Kind.REWRITTEN)

    assert result.success
    for name in (REST_AGREES.name, RESAMPLED_EQUALS.name):
        passed, found = of(result, name)
        assert not passed
        assert numbers(found)[:2] == (0, 0)
        assert "REST has no kline of it" in found["not_compared"][0]


@pytest.mark.parametrize("kind", [Kind.FRESHNESS, None], ids=["freshness", "by hand"])
def test_neither_a_freshness_run_nor_one_by_hand_asks_rest_for_its_checks(
    definitions: dg.Definitions, instance: dg.DagsterInstance, exchange: EmbeddedExchange, kind: Kind | None
) -> None:
    result = run(definitions, instance, "2024-03-02", "2024-03-02", *CHAIN, kind=kind)

    assert result.success
    assert exchange.requests()["rest_total"] == 0
    assert not {REST_AGREES.name, RESAMPLED_EQUALS.name} & set(outcomes(result))
    assert "klines_are_fresh" in outcomes(result)


@pytest.fixture
def with_hours(exchange: EmbeddedExchange, tmp_path: Path) -> dg.Definitions:
    return built(exchange, tmp_path, WITH_HOURS)


def test_every_hour_that_the_lake_has_of_the_exchange_is_compared_with_ours(
    with_hours: dg.Definitions, instance: dg.DagsterInstance, exchange: EmbeddedExchange
) -> None:
    """2025-03-02 has a halt of 48 minutes, 2025-03-04 is in progress."""
    run(with_hours, instance, "2025-03-01", "2025-03-04", *HOURS)
    run(with_hours, instance, "2025-03-01", "2025-03-04", VISION, REST, KLINES)
    exchange.reset_requests()

    passed, found = of(run(with_hours, instance, "2025-03-01", "2025-03-04", RESAMPLED), RESAMPLED_EQUALS.name)

    assert passed
    assert numbers(found)[0] == 2 * (24 * 3 + 9)
    assert numbers(found)[1] == 0
    assert asked(exchange) == 0


def test_run_alone_they_take_the_latest_month(
    definitions: dg.Definitions, instance: dg.DagsterInstance, exchange: EmbeddedExchange
) -> None:
    run(definitions, instance, "2024-03-01", "2024-03-03", *CHAIN)
    exchange.reset_requests()

    alone = selected(definitions, dg.AssetSelection.checks_for_assets(KLINES, RESAMPLED))
    result = alone.execute_in_process(instance=instance)

    assert asked(exchange) == 4
    assert of(result, REST_AGREES.name)[0]
    assert of(result, RESAMPLED_EQUALS.name)[0]
