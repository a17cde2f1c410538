"""A code location for `test_run_queue`: the project's own, with jobs that `dagster job launch` can put in the queue."""

import dagster as dg

from klines_pipeline.defs.build import build_definitions
from klines_pipeline.settings import Settings

TABLES = {
    "spot_1h": "binance/spot/klines_1h",
    "spot_4h": "binance/spot/resampled_klines_4h",
    "spot_1d": "binance/spot/klines_1d",
    "um_1h": "binance/um/klines_1h",
}
"""A job a table, with everything the table needs."""
jobs = [
    dg.define_asset_job(name, dg.AssetSelection.assets(dg.AssetKey(table.split("/"))).upstream())
    for name, table in TABLES.items()
]
defs = dg.Definitions.merge(build_definitions(Settings.from_env()), dg.Definitions(jobs=jobs))
