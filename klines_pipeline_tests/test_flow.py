"""The flow as a whole, on the embedded exchange: what must hold for any day."""

from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.conftest import Run, certificate, make_dataset, read_day


def test_a_complete_archive_day_costs_no_rest_request(exchange: EmbeddedExchange, ingest: Run, lake: Lake) -> None:
    dataset = make_dataset("BTCUSDT", "ETHUSDT")

    [result] = ingest(dataset, "2024-03-01")

    assert not result.failures
    assert exchange.requests()["rest_total"] == 0
    assert read_day(lake, "klines", "2024-03-01").height == 2 * 1440
    assert certificate(lake, "BTCUSDT", "2024-03-01")["from_vision"] == 1440
