"""Several processes, one address: a ban told to one stops the others, and the weight of a minute is enough for all."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg

from klines_pipeline.exchanges.budget import WeightBudget
from klines_pipeline.exchanges.registry import connect
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.conftest import endpoints_of, make_dataset
from klines_pipeline_tests.defs.assets.test_klines import REST, definitions
from klines_pipeline_tests.defs.assets.test_klines import run as materialize
from klines_pipeline_tests.defs.conftest import instance
from klines_pipeline_tests.faults.conftest import Runner
from klines_pipeline_tests.faults.processes import finish, start

__all__ = ["definitions", "instance"]

DAY = "2025-03-03"
NIGHT = datetime(2025, 3, 4, 1, tzinfo=UTC)
"""DAY is over and its archives are not yet published: REST is asked for all of it."""


def test_a_run_during_a_ban_fails_at_once_with_its_end_and_asks_nothing(
    exchange: EmbeddedExchange, run: Runner, lake: Lake, tmp_path: Path
) -> None:
    state = str(tmp_path / "state")
    exchange.set_clock(NIGHT)
    exchange.add_fault(kind="status", status=418, group="rest", headers={"Retry-After": "7200"})
    run(make_dataset("BTCUSDT"), DAY, market=connect("binance", "spot", endpoints_of(exchange), state))
    exchange.clear_faults()
    exchange.reset_requests()

    another = start(exchange, lake=lake.base, symbols=["BTCUSDT"], interval="1m", days=[DAY], state=state)
    code, said = finish(another)

    assert code == 1
    assert "has banned this address until 2025-03-04 03:00:00 UTC" in said
    assert exchange.requests()["rest_total"] == 0


def test_runs_of_dagster_share_what_one_of_them_was_told(
    definitions: dg.Definitions, instance: dg.DagsterInstance, exchange: EmbeddedExchange
) -> None:
    exchange.set_clock(NIGHT)
    exchange.add_fault(kind="status", status=418, group="rest", headers={"Retry-After": "7200"})
    assert not materialize(definitions, instance, DAY, DAY).success
    exchange.clear_faults()
    exchange.reset_requests()

    second = materialize(definitions, instance, DAY, DAY)

    failures = [event.step_failure_data.user_failure_data for event in second.all_events if event.is_step_failure]
    assert any("until 2025-03-04 03:00:00 UTC" in str(failure.description) for failure in failures if failure)
    assert exchange.requests()["rest_total"] == 0
    assert DAY not in instance.get_materialized_partitions(REST)


def test_an_exchange_on_the_same_port_is_another_exchange(exchange: EmbeddedExchange) -> None:
    state = exchange.environment()["KLINES_STATE"]

    assert EmbeddedExchange().environment()["KLINES_STATE"] != state


def test_processes_share_the_weight_of_a_minute_through_what_the_host_counts(exchange: EmbeddedExchange) -> None:
    exchange.set_limits(weight_limit=100, window_seconds=0.5)
    markets = [connect("binance", "spot", endpoints_of(exchange)) for _ in range(3)]
    asked = {"symbol": "BTCUSDT", "interval": "1m", "limit": 1}

    def ask(number: int) -> None:
        host = markets[number].api.host  # type: ignore[attr-defined]
        host.budget = WeightBudget(100, window=0.5)
        for _ in range(60):
            host.get("/api/v3/klines", asked, weight=2)

    with ThreadPoolExecutor(len(markets)) as pool:
        list(pool.map(ask, range(len(markets))))

    assert exchange.requests()["by_status"] == {"200": 180}
    for market in markets:
        market.api.close()
