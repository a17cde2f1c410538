"""A run that fails on one of its days: what Dagster leaves out of the good ones is asked for right after it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg

from klines_pipeline.defs.automation.run_requests import KIND, REASON
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline_tests.defs.conftest import built, days, names, run_requested, tick

CONFIG = "datasets: [{interval: 1h, start: 2025-03-01, symbols: [BTCUSDT, ETHUSDT], resample: [4h]}]"
NET = "binance__spot__klines_1h__safety_net"
KLINES, RESAMPLED = (dg.AssetKey(["binance", "spot", name]) for name in ("klines_1h", "resampled_klines_4h"))


class Sensor:
    """The sensor's ticks, with the cursor that the daemon would keep."""

    def __init__(self, definitions: dg.Definitions, instance: dg.DagsterInstance) -> None:
        [found] = [sensor for sensor in definitions.sensors or () if sensor.name == "left_behind"]
        assert isinstance(found, dg.SensorDefinition)
        self.sensor, self.instance, self.cursor = found, instance, None
        self.repository = definitions.get_repository_def()

    def tick(self) -> list[dg.RunRequest]:
        context = dg.build_sensor_context(self.instance, cursor=self.cursor, repository_def=self.repository)
        data = self.sensor.evaluate_tick(context)
        self.cursor = data.cursor  # type: ignore[assignment]
        return list(data.run_requests or ())


def fail_in_the_middle(
    exchange: EmbeddedExchange, definitions: dg.Definitions, instance: dg.DagsterInstance, lake: Path
) -> dg.ExecuteInProcessResult:
    """Three days asked for, of which the second has a ledger that nobody can read."""
    ledger = lake / "ledger/archives/exchange=binance/market=spot/interval=1h/date=2025-03-02/part.parquet"
    ledger.parent.mkdir(parents=True)
    ledger.write_bytes(b"PAR1")
    [request] = tick(definitions, instance, NET, exchange)
    assert isinstance(request, dg.RunRequest)
    assert days(request) == ("2025-03-01", "2025-03-03")
    done = run_requested(definitions, instance, request)
    assert not done.success
    assert instance.get_materialized_partitions(KLINES) == {"2025-03-01", "2025-03-03"}
    return done


def test_what_follows_the_good_days_is_asked_for_once_as_soon_as_the_run_has_ended(
    exchange: EmbeddedExchange, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    definitions = built(exchange, tmp_path, CONFIG)
    sensor = Sensor(definitions, instance)
    assert sensor.tick() == []
    failed = fail_in_the_middle(exchange, definitions, instance, tmp_path / "lake")
    assert not instance.get_materialized_partitions(RESAMPLED)

    requests = sensor.tick()

    assert [days(request) for request in requests] == [("2025-03-01", "2025-03-01"), ("2025-03-03", "2025-03-03")]
    for request in requests:
        assert (names(request), request.tags[KIND]) == (["resampled_klines_4h"], "repair")
        assert request.tags[REASON].startswith(f"what the run {failed.run_id[:8]} left behind: 3 day(s)")
        done = run_requested(definitions, instance, request)
        assert done.success
        checked = {check.check_name for check in done.get_asset_check_evaluations()}
        assert checked >= {"key_is_unique_and_sorted", "klines_are_complete_or_explained", "rest_agrees_with_archive"}
    assert instance.get_materialized_partitions(RESAMPLED) == {"2025-03-01", "2025-03-03"}
    assert sensor.tick() == []
    assert Sensor(definitions, instance).tick() == [], "a lost cursor asks for nothing twice"


def test_without_resampled_klines_the_good_days_are_still_checked_unless_another_run_has_them(
    exchange: EmbeddedExchange, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    definitions = built(exchange, tmp_path, CONFIG.replace(", resample: [4h]", ""))
    failed = fail_in_the_middle(exchange, definitions, instance, tmp_path / "lake").dagster_run
    again = dg.DagsterRun("assets", tags=failed.tags, status=dg.DagsterRunStatus.STARTED)
    instance.add_run(again)
    assert Sensor(definitions, instance).tick() == []
    instance.delete_run(again.run_id)

    [first, _] = Sensor(definitions, instance).tick()
    done = run_requested(definitions, instance, first)

    assert names(first) == []
    found = {check.check_name: check for check in done.get_asset_check_evaluations()}
    assert found["klines_are_complete_or_explained"].metadata["days_examined"].value == 1
    assert not done.get_asset_materialization_events()
    later = Sensor(definitions, instance)
    later.cursor = (datetime.now(UTC) + timedelta(minutes=1)).isoformat()  # type: ignore[assignment]
    assert later.tick() == []
