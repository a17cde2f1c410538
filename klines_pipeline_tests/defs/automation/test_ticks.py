"""Ticks while nobody answers: sensors and schedules say so alike, and a sensor forgets nothing."""

import dagster as dg
import pytest

from klines_pipeline.defs.automation.ticks import Answer, schedule, sensor
from klines_pipeline.defs.resources import ExchangesResource, LakeResource
from klines_pipeline.domain.automation import Automation
from klines_pipeline.domain.errors import BlockedError, ConfigurationError, TransientError

RESOURCES = {"lake": LakeResource(root="lake"), "exchanges": ExchangesResource(endpoints={})}
TABLE = [dg.AssetKey("table")]


@pytest.mark.parametrize("error", [TransientError("HTTP 503."), BlockedError("HTTP 451.", http_status=451)])
def test_an_outage_is_a_skipped_tick_of_sensors_and_schedules_alike(error: Exception) -> None:
    def of_sensor(
        context: dg.SensorEvaluationContext, lake: LakeResource, exchanges: ExchangesResource
    ) -> dg.SensorResult:
        raise error

    def of_schedule(context: dg.ScheduleEvaluationContext, lake: LakeResource, exchanges: ExchangesResource) -> Answer:
        raise error

    watching = sensor("watching", 60, of_sensor, TABLE, Automation(), "")
    timed = schedule("timed", "0 * * * *", of_schedule, TABLE, Automation(), "")

    with (
        dg.build_sensor_context(cursor="far", resources=RESOURCES) as of_sensors,
        dg.build_schedule_context(resources=RESOURCES) as of_schedules,
    ):
        met, asked = watching.evaluate_tick(of_sensors), timed.evaluate_tick(of_schedules)

    assert met.skip_message == asked.skip_message == f"Nothing can be asked for now; the next tick tries again. {error}"
    assert met.cursor == "far"


def test_what_a_person_must_mend_fails_the_tick() -> None:
    def misspelled(
        context: dg.SensorEvaluationContext, lake: LakeResource, exchanges: ExchangesResource
    ) -> dg.SensorResult:
        raise ConfigurationError("klines.yaml names a symbol that nobody knows.")

    watching = sensor("watching", 60, misspelled, TABLE, Automation(), "")

    with (
        pytest.raises(ConfigurationError, match="nobody knows"),
        dg.build_sensor_context(resources=RESOURCES) as context,
    ):
        watching.evaluate_tick(context)
