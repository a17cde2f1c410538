"""The safety net as the daemon meets it: days that nobody mended, asked for on a real instance."""

from pathlib import Path

import dagster as dg

from klines_pipeline.defs.automation.run_requests import KIND, REASON
from klines_pipeline.query.read import load
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline_tests.defs.assets.test_klines import run
from klines_pipeline_tests.defs.automation.conftest import at
from klines_pipeline_tests.defs.conftest import built, days, run_requested, tick

CONFIG = "datasets: [{interval: 1m, start: 2025-03-04, symbols: [BTCUSDT, ETHUSDT], resample: [1h]}]"
NET = "binance__spot__klines_1m__safety_net"
CHAIN = ["vision_klines_1m", "rest_klines_1m", "klines_1m", "resampled_klines_1h"]


def test_the_safety_net_mends_failed_missing_and_outdated_days_and_nothing_else(
    exchange: EmbeddedExchange, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    config = CONFIG.replace("1m", "1h", 1).replace("2025-03-04", "2025-02-28").replace("[1h]", "[4h]")
    definitions, net = built(exchange, tmp_path, config), NET.replace("1m", "1h")
    keys = [dg.AssetKey(["binance", "spot", name.replace("1m", "1h")]) for name in CHAIN[:3]]
    resampled = dg.AssetKey(["binance", "spot", "resampled_klines_4h"])
    exchange.add_fault(kind="status", status=503, match="*ETHUSDT-1h-2025-03-02.zip")
    run(definitions, instance, "2025-02-28", "2025-03-02", *keys)
    exchange.clear_faults()
    run(definitions, instance, "2025-02-28", "2025-03-02", resampled)
    run(definitions, instance, "2025-02-28", "2025-02-28", *keys)

    requests = tick(definitions, instance, net, exchange)

    assert [days(request) for request in requests if isinstance(request, dg.RunRequest)] == [
        ("2025-02-28", "2025-02-28"),
        ("2025-03-02", "2025-03-03"),
    ]
    request = requests[-1]
    assert isinstance(request, dg.RunRequest)
    assert (request.tags[KIND], request.tags["dagster/priority"]) == ("repair", "2")
    assert request.tags[REASON] == (
        "3 day(s): 2025-02-28 resampled_klines_4h is older than klines_1h; "
        "2025-03-02 vision_klines_1h, klines_1h failed, unavailable 1 symbol; 2025-03-03 was never materialized"
    )
    for asked in requests:
        assert isinstance(asked, dg.RunRequest)
        assert run_requested(definitions, instance, asked).success
    assert tick(definitions, instance, net, exchange) == "The last 4 days lack nothing that a run could bring."


def test_an_interval_added_to_resample_gets_its_history_within_a_week_without_another_word(
    exchange: EmbeddedExchange, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    net = NET.replace("1m", "1d")
    config = "automation: {safety_net_days: 1, days_per_run: 4}\ndatasets: [{interval: 1d, start: 2025-02-24, symbols: "
    keys = [dg.AssetKey(["binance", "spot", name.replace("1m", "1d")]) for name in CHAIN[:3]]
    run(built(exchange, tmp_path, config + "[BTCUSDT]}]"), instance, "2025-02-24", "2025-03-03", *keys)
    definitions = built(exchange, tmp_path, config + "[BTCUSDT], resample: [1w]}]")

    def older(day: int) -> list[dg.RunRequest]:
        exchange.set_clock(at(day, 11, 30))
        requests = [each for each in tick(definitions, instance, net, exchange) if isinstance(each, dg.RunRequest)]
        return [request for request in requests if days(request)[1] <= "2025-03-03"]

    week = {day: older(day) for day in range(5, 12)}
    asked = [request for requests in week.values() for request in requests]

    assert sorted(days(request) for request in asked) == [
        ("2025-02-24", "2025-02-25"),
        ("2025-02-26", "2025-03-01"),
        ("2025-03-02", "2025-03-03"),
    ]
    assert "resampled_klines_1w is missing" in asked[0].tags[REASON]
    for request in asked:
        assert run_requested(definitions, instance, request).success
    weekly = load("BTCUSDT", "1w", "2025-02-24", "2025-03-03", lake=str(tmp_path / "lake"), resampled=True)
    assert weekly.height == 1
    assert [older(day + 7) for day, requests in week.items() if requests] == [[], [], []]


def test_a_host_that_does_not_serve_this_address_still_tells_the_safety_net_the_time(
    exchange: EmbeddedExchange, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    definitions = built(exchange, tmp_path, CONFIG.replace("2025-03-04", "2025-03-03"))
    exchange.add_fault(kind="blocked", group="rest")

    [request] = tick(definitions, instance, NET, exchange)

    assert isinstance(request, dg.RunRequest)
    assert days(request) == ("2025-03-03", "2025-03-03")
