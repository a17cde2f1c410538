"""Schedules as the daemon meets them: ticks at the exchange's time, and the runs they ask for on a real instance."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from klines_pipeline.defs.automation.run_requests import KIND, REASON
from klines_pipeline.klines.quality import RULES
from klines_pipeline.query.read import load
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.conftest import certificate
from klines_pipeline_tests.defs.assets.test_klines import metadata_of, run
from klines_pipeline_tests.defs.checks.test_quality import spoil
from klines_pipeline_tests.defs.conftest import built, days, names, run_requested, run_tick, tick

CONFIG = "datasets: [{interval: 1m, start: 2025-03-04, symbols: [BTCUSDT, ETHUSDT], resample: [1h]}]"
FRESH, NET = "binance__spot__klines_1m__freshness", "binance__spot__klines_1m__safety_net"
CHAIN = ["vision_klines_1m", "rest_klines_1m", "klines_1m", "resampled_klines_1h"]


def at(day: int, hour: int, minute: int = 0, second: int = 30) -> datetime:
    """A moment of March 2025, UTC."""
    return datetime(2025, 3, day, hour, minute, second, tzinfo=UTC)


def test_ticks_five_minutes_apart_keep_the_table_at_the_last_closed_kline(
    exchange: EmbeddedExchange, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    definitions = built(exchange, tmp_path, CONFIG)
    [first] = run_tick(definitions, instance, FRESH, exchange)
    exchange.set_clock(at(4, 9, 5))
    exchange.reset_requests()

    [second] = run_tick(definitions, instance, FRESH, exchange)

    assert (days(first), names(first)) == (("2025-03-04", "2025-03-04"), CHAIN)
    assert (days(second), names(second)) == (("2025-03-04", "2025-03-04"), CHAIN[1:])
    assert second.tags[REASON] == "klines until 2025-03-04 09:05 UTC"
    assert (second.tags[KIND], second.tags["dagster/priority"]) == ("freshness", "5")
    assert exchange.requests()["rest"] == {"time": 2, "klines": 2}, "one slice a symbol, and the time of tick and run"
    assert exchange.requests()["listing"] == 0
    newest = load(["BTCUSDT", "ETHUSDT"], "1m", "2025-03-04", "2025-03-05", lake=str(tmp_path / "lake"))
    assert newest.group_by("symbol").agg(newest=newest["open_time"].max())["newest"].to_list() == [at(4, 9, 4, 0)] * 2
    assert tick(definitions, instance, FRESH, exchange) == "No kline has closed that the lake has not, as of 09:05 UTC."


def test_when_the_archive_comes_the_rest_rows_are_confirmed_or_replaced_and_the_metadata_says_how_many(
    exchange: EmbeddedExchange, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    exchange.set_clock(at(5, 0, 10))
    definitions = built(exchange, tmp_path, CONFIG.replace(", ETHUSDT", "").replace(", resample: [1h]", ""))
    [request] = run_tick(definitions, instance, FRESH, exchange)
    exchange.set_clock(at(5, 9))
    change = exchange.revise("data/spot/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2025-03-04.zip")
    lacking, changed = len(change.removed), len(change.changed)

    assert run_requested(definitions, instance, request).success

    proof = certificate(Lake(str(tmp_path / "lake")), "BTCUSDT", "2025-03-04")
    assert changed > 0
    assert (proof["confirmed"], proof["conflicts"], proof["from_rest"]) == (1440 - lacking - changed, changed, lacking)
    metadata = metadata_of(instance, dg.AssetKey(["binance", "spot", "klines_1m"]))
    assert metadata["2025-03-04"]["rows_confirmed"] == 1440 - lacking - changed


def test_no_run_is_asked_for_while_the_one_before_is_under_way(
    exchange: EmbeddedExchange, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    definitions = built(exchange, tmp_path, CONFIG)
    [request] = tick(definitions, instance, FRESH, exchange)
    assert isinstance(request, dg.RunRequest)
    started = dg.DagsterRun(job_name="__ASSET_JOB", tags={**request.tags}, status=dg.DagsterRunStatus.STARTED)
    instance.add_run(started)

    assert "has not ended" in str(tick(definitions, instance, FRESH, exchange))


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


def test_a_day_that_this_machine_does_not_know_yet_is_skipped_with_a_sentence(
    exchange: EmbeddedExchange, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    definitions = built(exchange, tmp_path, CONFIG)
    exchange.set_clock(datetime.now(UTC) + timedelta(days=2))

    assert "by this machine's clock that day has not begun" in str(tick(definitions, instance, FRESH, exchange))


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


def last_words(instance: dg.DagsterInstance, definitions: dg.Definitions) -> dict[str, tuple[str, str]]:
    """By check: the run that evaluated it, or meant to, last, and what came of it."""
    found = {}
    for key in definitions.resolve_asset_graph().asset_check_keys:
        for record in instance.event_log_storage.get_asset_check_execution_history(key, limit=1):
            found[key.name] = (record.run_id, record.status.value)
    return found


def test_a_freshness_run_checks_what_it_brought_and_leaves_the_last_word_on_whole_days_to_others(
    exchange: EmbeddedExchange, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    definitions = built(exchange, tmp_path, CONFIG.replace("1m", "1h", 1).replace("-04", "-03").replace("[1h]", "[4h]"))
    exchange.add_fault(kind="checksum", match="*ETHUSDT-1h-2025-03-03.zip*")
    [net] = tick(definitions, instance, NET.replace("1m", "1h"), exchange)
    assert isinstance(net, dg.RunRequest)
    whole = run_requested(definitions, instance, net).run_id

    [fresh] = tick(definitions, instance, FRESH.replace("1m", "1h"), exchange)
    assert isinstance(fresh, dg.RunRequest)
    done = run_requested(definitions, instance, fresh)

    assert done.success
    blocking = {name for name, rule in RULES.items() if rule.truth.blocking}
    words = last_words(instance, definitions)
    assert {name for name, (run_id, _) in words.items() if run_id == done.run_id} == {"klines_are_fresh", *blocking}
    assert words["archive_matches_checksum"] == (whole, "FAILED")
    assert words["rest_agrees_with_archive"] == (whole, "SUCCEEDED")


def test_the_checks_of_a_freshness_run_still_stand_before_what_is_resampled(
    exchange: EmbeddedExchange, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    definitions = built(exchange, tmp_path, CONFIG.replace("1m", "1h", 1).replace("[1h]", "[4h]"))
    [fresh] = run_tick(definitions, instance, FRESH.replace("1m", "1h"), exchange)
    table = "lake/klines/exchange=binance/market=spot/interval=1h/date=2025-03-04/part.parquet"
    spoil(tmp_path / table, (pl.col("low") - 1).alias("high"))
    resampled = dg.AssetKey(["binance", "spot", "resampled_klines_4h"])

    done = run_requested(definitions, instance, fresh.with_replaced_attrs(asset_selection=[resampled]))

    assert not done.success
    failed = {check.check_name for check in done.get_asset_check_evaluations() if not check.passed}
    assert "high_and_low_bound_open_and_close" in failed
    assert not done.get_asset_materialization_events()
