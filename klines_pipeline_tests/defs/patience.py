"""Definitions whose connections give a request up at once, so that a second try is Dagster's and no test waits."""

import dagster as dg

from klines_pipeline.defs.resources import ExchangesResource
from klines_pipeline.exchanges.protocols import Market
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline_tests.conftest import impatient

ATTEMPTS = 2
"""Of one request, with hardly a wait in between."""


def without_patience(built: dg.Definitions, exchange: EmbeddedExchange) -> dg.Definitions:
    """The same assets, impatiently connected."""

    class ImpatientExchanges(ExchangesResource):
        def connect(self, exchange_name: str, market: str) -> Market:
            return impatient(exchange, f"{exchange_name}/{market}", attempts=ATTEMPTS)

    resources = {**(built.resources or {}), "exchanges": ImpatientExchanges(retry_seconds=0)}
    return dg.Definitions(assets=built.assets, resources=resources, executor=built.executor)
