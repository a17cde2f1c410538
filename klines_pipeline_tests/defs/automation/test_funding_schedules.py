"""Funding's schedules as the daemon meets them: at the exchange's time, in trouble too, on a real instance."""

from datetime import UTC, datetime
from pathlib import Path

import dagster as dg

from klines_pipeline.defs.automation.run_requests import KIND, REASON
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline_tests.defs.conftest import built, days, names, run_tick, tick

CONFIG = "datasets: [{market: um, interval: 1h, start: 2025-02-28, symbols: [BTCUSDT], funding: true}]"
FRESH, NET = "binance__um__funding__freshness", "binance__um__funding__safety_net"


def at(day: int, hour: int) -> datetime:
    """Ten past an hour of March 2025, UTC."""
    return datetime(2025, 3, day, hour, 10, tzinfo=UTC)


def test_funding_is_asked_for_each_hour_and_its_archives_once_a_day(
    exchange: EmbeddedExchange, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    definitions = built(exchange, tmp_path, CONFIG)
    exchange.set_clock(at(1, 1))

    [request] = run_tick(definitions, instance, FRESH, exchange)
    assert (days(request), names(request)) == (
        ("2025-02-28", "2025-03-01"),
        ["vision_funding", "rest_funding", "funding"],
    )
    assert "Nothing was settled since" in str(tick(definitions, instance, FRESH, exchange))

    exchange.set_clock(at(2, 11))
    net = tick(definitions, instance, NET, exchange)
    assert [(days(request), request.tags[REASON]) for request in net if isinstance(request, dg.RunRequest)] == [
        (("2025-02-28", "2025-02-28"), "archives of 2025-02 are out: 1 symbol(s)"),
        (("2025-03-01", "2025-03-01"), "1 day(s): 2025-03-01 is certified in part only, 1 symbol"),
    ]


def test_the_hourly_tick_passes_over_a_damaged_ledger_and_the_run_it_asks_for_says_how_to_mend_it(
    exchange: EmbeddedExchange, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    definitions = built(exchange, tmp_path, CONFIG)
    exchange.set_clock(at(1, 1))
    run_tick(definitions, instance, FRESH, exchange)
    folder = "lake/ledger/funding_slices/exchange=binance/market=um/date=2025-02-28"
    (tmp_path / folder / "part.parquet").write_bytes(b"damaged")
    exchange.set_clock(at(1, 9))

    asked = [request for request in tick(definitions, instance, FRESH, exchange) if isinstance(request, dg.RunRequest)]

    assert [(request.tags[KIND], days(request)[0]) for request in asked] == [
        ("freshness", "2025-03-01"),
        ("repair", "2025-02-28"),
    ]
    assert "is damaged" in asked[1].tags[REASON]


def test_a_bucket_that_is_dark_keeps_the_daily_tick_from_no_repair_and_is_named_where_none_is_due(
    exchange: EmbeddedExchange, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    definitions = built(exchange, tmp_path, CONFIG)
    exchange.set_clock(at(1, 1))
    run_tick(definitions, instance, FRESH, exchange)
    exchange.set_clock(at(2, 11))
    exchange.add_fault(kind="status", status=403, group="listing")

    [request] = tick(definitions, instance, NET, exchange)

    assert isinstance(request, dg.RunRequest)
    assert (request.tags[KIND], days(request)) == ("repair", ("2025-03-01", "2025-03-01"))
    exchange.clear_faults()
    run_tick(definitions, instance, NET, exchange)
    exchange.add_fault(kind="status", status=403, group="listing")
    words = str(tick(definitions, instance, NET, exchange))
    assert words.startswith("The last 2 days lack nothing that a run could bring. 1 of 1 symbols could not be listed: ")


def test_no_run_is_asked_for_while_the_one_before_is_under_way(
    exchange: EmbeddedExchange, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    definitions = built(exchange, tmp_path, CONFIG)
    exchange.set_clock(at(1, 1))
    [request] = tick(definitions, instance, FRESH, exchange)
    assert isinstance(request, dg.RunRequest)
    started = dg.DagsterRun(job_name="__ASSET_JOB", tags={**request.tags}, status=dg.DagsterRunStatus.STARTED)
    instance.add_run(started)

    assert "has not ended" in str(tick(definitions, instance, FRESH, exchange))
