"""The daemon's part, in process: a run request becomes the run it asks for, with its tags, selection and run key."""

from pathlib import Path

import dagster as dg

from klines_pipeline.defs.build import build_definitions
from klines_pipeline.settings import Settings
from klines_pipeline.simulator.server import EmbeddedExchange


def built(exchange: EmbeddedExchange, folder: Path, config: str) -> dg.Definitions:
    """The code location of a klines.yaml in `folder`, its lake beside it, all URLs those of the embedded exchange."""
    path = folder / "klines.yaml"
    path.write_text(config, "utf-8")
    return build_definitions(Settings.from_env({**exchange.environment(), "KLINES_CONFIG": str(path)}))


def run_requested(
    definitions: dg.Definitions, instance: dg.DagsterInstance, request: dg.RunRequest
) -> dg.ExecuteInProcessResult:
    """Execute what a sensor or a schedule asked for through the implicit asset job, checks included."""
    job = definitions.resolve_implicit_global_asset_job_def()
    key = {"dagster/run_key": request.run_key} if request.run_key else {}
    return job.execute_in_process(
        instance=instance,
        asset_selection=[*(request.asset_selection or [])],
        tags={**request.tags, **key},
        raise_on_error=False,
    )
