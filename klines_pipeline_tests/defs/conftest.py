"""A Dagster instance, a code location, and the daemon's part in process: a run request becomes the run it asks for."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from klines_pipeline.defs.automation.run_requests import FIRST, LAST
from klines_pipeline.defs.build import build_definitions
from klines_pipeline.settings import Settings
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline_tests.unattended.stepped_daemon import subset_of


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """Dagster's memory of one test."""
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def built(exchange: EmbeddedExchange, folder: Path, config: str) -> dg.Definitions:
    """The code location of a klines.yaml in `folder`, its lake beside it, all URLs those of the embedded exchange."""
    path = folder / "klines.yaml"
    path.write_text(config, "utf-8")
    return build_definitions(Settings.from_env({**exchange.environment(), "KLINES_CONFIG": str(path)}))


def run_requested(
    definitions: dg.Definitions, instance: dg.DagsterInstance, request: dg.RunRequest
) -> dg.ExecuteInProcessResult:
    """Execute what a sensor or a schedule asked for, with the checks it names or all, as the implicit asset job."""
    key = {"dagster/run_key": request.run_key} if request.run_key else {}
    return subset_of(definitions, request).execute_in_process(
        instance=instance,
        tags={**request.tags, **key},
        raise_on_error=False,
    )


class _Context(dg.ScheduleEvaluationContext):
    """Dagster opens the instance anew from its folder; one in memory has none, and is thrice as fast."""

    def __init__(self, instance: dg.DagsterInstance, *args: object, **fields: object) -> None:
        super().__init__(*args, **fields)  # type: ignore[arg-type]
        self.in_memory = instance

    @property
    def instance(self) -> dg.DagsterInstance:
        """The one given."""
        return self.in_memory


def tick(
    definitions: dg.Definitions, instance: dg.DagsterInstance, name: str, exchange: EmbeddedExchange
) -> list[dg.RunRequest] | str:
    """Evaluate a schedule as the daemon would, at the exchange's time: its run requests, or why there are none."""
    repository = definitions.get_repository_def()
    resources = repository.get_top_level_resources()
    with _Context(instance, None, exchange.now(), resources=resources, repository_def=repository) as context:
        answer = definitions.resolve_schedule_def(name).evaluate_tick(context)
    return list(answer.run_requests or []) or str(answer.skip_message)


def run_tick(
    definitions: dg.Definitions, instance: dg.DagsterInstance, name: str, exchange: EmbeddedExchange
) -> list[dg.RunRequest]:
    """Evaluate a schedule and run to success all it asks for."""
    requests = tick(definitions, instance, name, exchange)
    assert not isinstance(requests, str), requests
    for request in requests:
        assert run_requested(definitions, instance, request).success
    return requests


def days(request: dg.RunRequest) -> tuple[str, str]:
    """First and last day asked for."""
    return request.tags[FIRST], request.tags[LAST]


def names(request: dg.RunRequest) -> list[str]:
    """The assets asked for, without their venue."""
    return [key.path[-1] for key in request.asset_selection or []]
