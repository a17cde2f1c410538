"""Two runs of one day of a lake in a bucket: one after the other, as on a disk; the second finds nothing to do."""

import os

from klines_pipeline.klines.ledgers import CERTIFICATE_SCHEMA
from klines_pipeline.settings import lake_options
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.layout import DayPaths
from klines_pipeline.storage.tables import read_table
from klines_pipeline_tests.conftest import make_dataset
from klines_pipeline_tests.faults.processes import finish, start
from klines_pipeline_tests.storage.s3 import KEYS, s3_root

__all__ = ["s3_root"]


def test_two_processes_on_one_day_of_a_bucket_download_everything_once(
    exchange: EmbeddedExchange, s3_root: str
) -> None:
    dataset = make_dataset("BTCUSDT", "ETHUSDT", interval="1h")
    store = {"endpoint_url": os.environ["AWS_ENDPOINT_URL"], **KEYS}
    order = {"lake": s3_root, "store": store, "symbols": dataset.symbols, "interval": "1h", "days": ["2025-03-01"]}

    ended = [finish(process) for process in [start(exchange, **order), start(exchange, **order)]]

    together = exchange.requests()
    assert [code for code, _ in ended] == [0, 0], ended
    assert (together["archives"], together["duplicate_downloads"]) == (2, {})
    lake = Lake(s3_root, lake_options(s3_root))
    certificates = DayPaths.of(dataset, dataset.start.replace(2025, 3, 1)).certificates
    assert read_table(lake, certificates, CERTIFICATE_SCHEMA)["present"].to_list() == [24, 24]
