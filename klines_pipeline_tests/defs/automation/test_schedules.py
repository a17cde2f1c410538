"""Schedules as the daemon meets them: ticks at the exchange's time, and the runs they ask for on a real instance."""

from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import dagster as dg
import pytest

from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline_tests.defs.conftest import built, days, tick

CONFIG = "datasets: [{interval: 1m, start: 2025-03-04, symbols: [BTCUSDT, ETHUSDT], resample: [1h]}]"
FRESH, NET = "binance__spot__klines_1m__freshness", "binance__spot__klines_1m__safety_net"


@pytest.mark.parametrize(
    ("fault", "words"),
    [({"kind": "status", "status": 503}, "HTTP 503"), ({"kind": "blocked"}, "HTTP 451")],
    ids=["503", "451"],
)
def test_while_rest_does_not_answer_a_tick_says_so_and_the_next_one_asks_again(
    exchange: EmbeddedExchange, instance: dg.DagsterInstance, tmp_path: Path, fault: dict[str, object], words: str
) -> None:
    definitions = built(exchange, tmp_path, CONFIG)
    exchange.add_fault(**fault, group="rest")

    assert words in str(tick(definitions, instance, FRESH, exchange))
    assert exchange.requests()["rest_total"] <= 2

    exchange.clear_faults()
    assert isinstance(tick(definitions, instance, FRESH, exchange), list)


def test_a_tick_does_not_wait_for_the_end_of_a_silence_and_asks_nothing_until_then(
    exchange: EmbeddedExchange, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    definitions = built(exchange, tmp_path, CONFIG)
    exchange.add_fault(kind="status", status=429, headers={"Retry-After": "170"}, group="rest")

    assert "170 s of silence" in str(tick(definitions, instance, FRESH, exchange))
    exchange.clear_faults()
    exchange.reset_requests()

    assert "s of silence (HTTP 429)" in str(tick(definitions, instance, FRESH, exchange))
    assert exchange.requests()["rest_total"] == 0


def test_a_day_that_this_machine_does_not_know_yet_is_left_out_with_a_sentence(
    exchange: EmbeddedExchange, instance: dg.DagsterInstance, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Six hours or a day behind: the day that has ended is asked for all the same."""
    today = datetime.now(UTC).date()
    tomorrow = datetime.combine(today + timedelta(days=1), time(1), UTC)
    definitions = built(exchange, tmp_path, CONFIG.replace("2025-03-04", str(today)))
    exchange.set_clock(tomorrow)

    [request] = tick(definitions, instance, FRESH, exchange)

    assert isinstance(request, dg.RunRequest)
    assert days(request) == (str(today), str(today))
    assert f"{tomorrow.date()}: on the exchange it is {tomorrow:%Y-%m-%d %H:%M} UTC; by this machine's" in caplog.text


def test_a_dataset_that_begins_in_the_future_is_left_alone(
    exchange: EmbeddedExchange, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    definitions = built(exchange, tmp_path, CONFIG.replace("2025-03-04", "2025-04-01"))

    assert str(tick(definitions, instance, FRESH, exchange)).startswith("klines.yaml begins on 2025-04-01")
    assert "The last 0 days" in str(tick(definitions, instance, NET, exchange))


def test_schedules_are_on_unless_klines_yaml_says_otherwise(exchange: EmbeddedExchange, tmp_path: Path) -> None:
    for enabled, status in (("true", "RUNNING"), ("false", "STOPPED")):
        definitions = built(exchange, tmp_path, f"automation: {{enabled: {enabled}, freshness_minutes: 120}}\n{CONFIG}")
        found = definitions.resolve_schedule_def(FRESH)
        assert found.default_status.value == status
        assert (found.cron_schedule, found.execution_timezone) == ("0 */2 * * *", "UTC")
        assert "every 120 minutes" in str(found.description)
