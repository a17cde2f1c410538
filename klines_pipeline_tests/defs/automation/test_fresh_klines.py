"""The freshness schedule: the table follows the last closed kline, archives confirm it, and its runs check what they
brought."""

from pathlib import Path

import dagster as dg
import polars as pl

from klines_pipeline.defs.automation.run_requests import KIND, REASON
from klines_pipeline.klines.quality import RULES
from klines_pipeline.query.read import load
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.conftest import certificate
from klines_pipeline_tests.defs.assets.test_klines import metadata_of
from klines_pipeline_tests.defs.automation.conftest import at
from klines_pipeline_tests.defs.checks.test_quality import spoil
from klines_pipeline_tests.defs.conftest import built, days, names, run_requested, run_tick, tick

CONFIG = "datasets: [{interval: 1m, start: 2025-03-04, symbols: [BTCUSDT, ETHUSDT], resample: [1h]}]"
FRESH, NET = "binance__spot__klines_1m__freshness", "binance__spot__klines_1m__safety_net"
CHAIN = ["vision_klines_1m", "rest_klines_1m", "klines_1m", "resampled_klines_1h"]


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
    assert (proof["confirmed"], proof["conflicts"], proof["from_rest"]) == (1440 - lacking - changed, changed, 0)
    assert proof["missing"] == lacking, "what the exchange withdrew is asked for again, and gone"
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
