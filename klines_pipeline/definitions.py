"""The code location: `dagster dev`, `dagster asset materialize -m klines_pipeline.definitions`."""

from klines_pipeline.defs.build import build_definitions
from klines_pipeline.settings import Settings

defs = build_definitions(Settings.from_env())
