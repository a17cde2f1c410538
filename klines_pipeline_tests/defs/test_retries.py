"""A second try: for outages in runs that the project asked for, never for what asking again cannot mend."""

from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from klines_pipeline.defs.build import build_definitions
from klines_pipeline.domain.wanted import Kind
from klines_pipeline.settings import Settings
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline_tests.defs.patience import ATTEMPTS, without_patience

SPOT = [dg.AssetKey(["binance", "spot", f"{name}_1h"]) for name in ("vision_klines", "rest_klines", "klines")]
FUNDING = [dg.AssetKey(["binance", "um", name]) for name in ("vision_funding", "rest_funding", "funding")]
CONFIG = """
automation: {retry_seconds: 0}
datasets:
  - interval: 1h
    start: 2024-01-01
    symbols: [BTCUSDT, ETHUSDT]
  - market: um
    interval: 1h
    start: 2024-01-01
    symbols: [BTCUSDT]
    funding: true
"""
FIRST, BAD, LAST = "2024-03-01", "2024-03-02", "2024-03-03"
ARCHIVE = f"*ETHUSDT-1h-{BAD}.zip"

Run = Callable[..., dg.ExecuteInProcessResult]


@pytest.fixture
def run(exchange: EmbeddedExchange, tmp_path: Path, instance: dg.DagsterInstance) -> Run:
    config = tmp_path / "klines.yaml"
    config.write_text(CONFIG, "utf-8")
    built = build_definitions(Settings.from_env({**exchange.environment(), "KLINES_CONFIG": str(config)}))
    job = without_patience(built, exchange).resolve_implicit_global_asset_job_def()

    def run(
        kind: Kind | None = Kind.PUBLISHED, keys: list[dg.AssetKey] = SPOT, first: str = FIRST, last: str = LAST
    ) -> dg.ExecuteInProcessResult:
        tags = {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}
        asked = {"klines/kind": kind.value} if kind else {}
        return job.execute_in_process(
            instance=instance, asset_selection=keys, tags={**tags, **asked}, raise_on_error=False
        )

    return run


def tries(result: dg.ExecuteInProcessResult) -> int:
    """How often the ingesting step began."""
    begun = [event for event in result.all_events if event.event_type_value in ("STEP_START", "STEP_RESTARTED")]
    return len([event for event in begun if "checks" not in str(event.step_key)])


def days(instance: dg.DagsterInstance, key: dg.AssetKey) -> list[str | None]:
    """The day of every materialization there is."""
    return [record.partition_key for record in instance.fetch_materializations(key, limit=100, ascending=True).records]


def test_an_outage_that_is_over_at_the_second_try_leaves_no_trace_but_the_retry(
    run: Run, exchange: EmbeddedExchange, instance: dg.DagsterInstance
) -> None:
    exchange.add_fault(kind="status", status=503, match=ARCHIVE, times=ATTEMPTS)

    result = run()

    assert (result.success, tries(result)) == (True, 2)
    assert [days(instance, key) for key in SPOT] == [[FIRST, BAD, LAST]] * 3
    assert exchange.requests()["archives"] == 6 + ATTEMPTS
    [event] = [event for event in result.all_events if event.is_step_up_for_retry]
    assert "HTTP 503" in str(event.event_specific_data)


def test_an_outage_that_lasts_fails_the_day_after_two_tries_and_good_days_are_recorded_once(
    run: Run, exchange: EmbeddedExchange, instance: dg.DagsterInstance
) -> None:
    exchange.add_fault(kind="status", status=503, match=ARCHIVE)

    result = run()

    assert (result.success, tries(result)) == (False, 2)
    assert [days(instance, key) for key in SPOT] == [[FIRST, LAST], [FIRST, BAD, LAST], [FIRST, LAST]]
    [failure] = [event for event in result.all_events if event.is_step_failure and "checks" not in str(event.step_key)]
    assert "HTTP 503" in str(failure.step_failure_data.user_failure_data.description)


@pytest.mark.parametrize("kind", [None, Kind.FRESHNESS])
def test_who_sits_there_decides_alone_and_a_top_up_leaves_it_to_the_next(
    run: Run, exchange: EmbeddedExchange, kind: Kind | None
) -> None:
    exchange.add_fault(kind="status", status=503, match=ARCHIVE)

    assert tries(run(kind)) == 1


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 418, "headers": {"Retry-After": "900"}},
        {"status": 429, "headers": {"Retry-After": "900"}},
        {"status": 400, "body": '{"code": -1102, "msg": "A mandatory parameter was not sent."}'},
    ],
    ids=lambda fault: str(fault["status"]),
)
def test_bans_silences_and_refusals_are_not_tried_again(
    run: Run, exchange: EmbeddedExchange, fault: dict[str, object]
) -> None:
    today = "2025-03-04"
    exchange.add_fault(kind="status", group="rest", **fault)

    result = run(first=today, last=today)

    assert (result.success, tries(result)) == (False, 1)


def test_a_bad_day_that_cannot_be_mended_denies_the_others_their_second_try(
    run: Run, exchange: EmbeddedExchange
) -> None:
    exchange.add_fault(kind="status", status=503, match="*ETHUSDT-1h-2025-03-03.zip")

    assert tries(run(first="2025-03-03", last="2025-03-04")) == 2
    assert tries(run(first="2025-03-03", last="2025-03-05")) == 1  # has not begun yet


def test_funding_is_tried_again_likewise(run: Run, exchange: EmbeddedExchange, instance: dg.DagsterInstance) -> None:
    exchange.add_fault(kind="status", status=503, match="*BTCUSDT-fundingRate-2024-03.zip")

    result = run(keys=FUNDING)

    assert (result.success, tries(result)) == (False, 2)
    assert days(instance, FUNDING[-1]) == []
